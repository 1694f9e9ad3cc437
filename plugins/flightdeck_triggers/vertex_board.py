"""Where all the deferred waits of one triggerer for Vertex AI learn of their ends, at the price of one list for all.

How it works: one board for each event loop and connection. While somebody waits, it lists the jobs of this deployment
that have not ended, kind by kind, and asks by itself only for those that are waited for and not in the list. So a list
that lags behind costs a call and is never believed to be an end. A look that fails is made again after a growing pause;
what time does not mend reaches the waiting tasks.

What it does not do: judge an end, stop anything.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

GONE = "GONE"
ENDED = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "EXPIRED", "CANCELLED"})
_LONGEST_PAUSE_SECONDS = 300.0
_PATIENCE = 3
_JITTER = 0.1

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VertexConnection:
    """How a board reaches Vertex AI.

    Args:
        gcp_conn_id: The Airflow connection.
        impersonation_chain: Accounts to act as, if any.
        region: The region.
    """

    gcp_conn_id: str
    impersonation_chain: tuple[str, ...]
    region: str

    def client(self) -> Any:
        """Return a JobServiceClient; its import takes seconds of a worker that has not done it before."""
        from airflow.providers.google.common.hooks.base_google import GoogleBaseHook  # noqa: PLC0415 - see above
        from google.cloud.aiplatform_v1.services.job_service import JobServiceClient

        hook = GoogleBaseHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=list(self.impersonation_chain) or None)
        return JobServiceClient(
            credentials=hook.get_credentials(),
            client_options={"api_endpoint": f"{self.region}-aiplatform.googleapis.com:443"},
        )


@dataclass
class _Waiter:
    noun: str
    name: str
    selection: str
    end: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


_boards: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[VertexConnection, VertexBoard]] = WeakKeyDictionary()


class VertexBoard:
    """What one triggerer waits for over one connection.

    Args:
        connect: Returns a JobServiceClient; called in a thread.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._waiters: list[_Waiter] = []
        self._polling: asyncio.Task[None] | None = None
        self._interval = 0.0

    @classmethod
    def of(cls, connection: VertexConnection) -> VertexBoard:
        """Return the running event loop's board of this connection."""
        boards = _boards.setdefault(asyncio.get_running_loop(), {})
        return boards.setdefault(connection, cls(connection.client))

    async def end_of(self, noun: str, name: str, selection: str, poll_seconds: float) -> str:
        """Return the state that a job ended in, or ``GONE`` when there is none of this name.

        Args:
            noun: custom_job or batch_prediction_job.
            name: Its resource name.
            selection: A filter that it passes, together with what else its deployment runs.
            poll_seconds: Seconds between two looks; of several waiters' the smallest counts.

        Raises:
            GoogleAPICallError: the cloud refuses the status calls, again and again.
        """
        waiter = _Waiter(noun, name, selection)
        self._interval = min(self._interval or poll_seconds, poll_seconds)
        self._waiters.append(waiter)
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll(), name="status of Vertex AI's jobs")
        try:
            return await waiter.end
        finally:
            self._waiters.remove(waiter)
            if not self._waiters and self._polling is not None:
                self._polling.cancel()
                self._polling = None
                self._interval = 0.0

    async def _poll(self) -> None:
        client: Any = None
        failures = 0
        while True:
            try:
                client = client or await asyncio.to_thread(self._connect)
                await self._look(client)
                failures = 0
                pause = self._interval
            except Exception as error:  # noqa: BLE001 - whatever it is, the waiters have to hear of it or to go on
                failures += 1
                if not _passes(error) and failures >= _PATIENCE:
                    for waiter in self._pending():
                        waiter.end.set_exception(error)
                pause = min(_LONGEST_PAUSE_SECONDS, self._interval * 2**failures)
                log.warning("Status calls failed %d times, next in about %.0f s: %s", failures, pause, error)
            await asyncio.sleep(pause * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - spreads calls

    def _pending(self) -> list[_Waiter]:
        return [waiter for waiter in self._waiters if not waiter.end.done()]

    async def _look(self, client: Any) -> None:
        """List what runs; ask for what is not there."""
        waiting = self._pending()
        for noun, parent, selection in sorted({(each.noun, _parent(each.name), each.selection) for each in waiting}):
            running = await asyncio.to_thread(_running, client, noun, parent, selection)
            for waiter in waiting:
                if (waiter.noun, _parent(waiter.name), waiter.selection) == (noun, parent, selection):
                    if waiter.name in running:
                        continue
                    state = await asyncio.to_thread(_state, client, noun, waiter.name)
                    if state in {GONE, *ENDED} and not waiter.end.done():
                        waiter.end.set_result(state)


def _parent(name: str) -> str:
    return "/".join(name.split("/")[:4])


def _running(client: Any, noun: str, parent: str, selection: str) -> set[str]:
    ended = "".join(f' AND state!="JOB_STATE_{state}"' for state in sorted(ENDED))
    request = {"parent": parent, "filter": f"{selection}{ended}", "page_size": 100}
    return {job.name for job in getattr(client, f"list_{noun}s")(request=request)}


def _state(client: Any, noun: str, name: str) -> str:
    from google.api_core.exceptions import NotFound  # noqa: PLC0415 - a triggerer without such jobs imports nothing

    try:
        job = getattr(client, f"get_{noun}")(name=name)
    except NotFound:
        return GONE
    return str(job.state.name).removeprefix("JOB_STATE_")


def _passes(error: Exception) -> bool:
    """Whether an error is one that time mends: throttling, a server's own fault, a broken connection."""
    from google.api_core.exceptions import ServerError, TooManyRequests  # noqa: PLC0415 - as above
    from google.auth.exceptions import TransportError  # noqa: PLC0415 - as above

    return isinstance(error, (ServerError, TooManyRequests, TransportError, OSError))
