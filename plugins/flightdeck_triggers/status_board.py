"""Where all the deferred waits of one triggerer learn of their ends, at the price of one look for all of them.

Purpose: SageMaker allows an account few status calls a second. A thousand triggers that each describe their job use
them up; together they need to know only which jobs changed since the last look.

How it works: one board for each event loop and connection, with one client. While somebody waits, it lists the jobs
that were modified since the last look, kind by kind; the window begins a while before the last look, by the server's
clock, as a list can lag behind. A job that is new to the board opens the window back to its creation once, so that a
triggerer that starts again catches up with one listing. Now and then a sweep lists what still runs: a job that is
neither listed there nor ended is described by itself, which finds one that was deleted. Calls are spaced by a budget; a
call that fails is made again after a growing pause.

An endpoint's deployment is waited for like a job: its states that are on the way to another one are those of a job that
runs.

What it does not do: judge an end, repeat what a waiting task can ask for itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
from botocore import xform_name
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as AwsConnectionError

from flightdeck_triggers.call_budget import CallBudget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GONE = "Gone"
CALLS_IN_AN_INTERVAL = 6
"""Calls that a board makes in one polling interval on average; with 30 s, 0.2 a second."""
INTERVALS_OF_A_SWEEP = 20
# how far a look goes back behind the last one, for a listing that lags behind
_OVERLAPS_IN_AN_INTERVAL = 3
_SAVED_INTERVALS = 2
_PAGE = 100
_LONGEST_PAUSE_SECONDS = 300.0
# beyond these the pause is the longest one, and an outage of days would overflow
_DOUBLINGS = 12
_PATIENCE = 3
_PASSES = frozenset({429, 500, 502, 503, 504})
_JITTER = 0.1

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Connection:
    """How a board reaches SageMaker.

    Args:
        aws_conn_id: The Airflow connection.
        region_name: The region, if not the connection's.
        verify: Whether, or with which certificates, TLS is verified.
        botocore_config: botocore's settings as JSON, so that connections compare.
    """

    aws_conn_id: str | None
    region_name: str | None
    verify: bool | str | None
    botocore_config: str

    def hook(self, **settings: Any) -> SageMakerHook:
        """Return a hook, some of botocore's settings replaced."""
        config = {**json.loads(self.botocore_config), **settings}
        return SageMakerHook(
            aws_conn_id=self.aws_conn_id, region_name=self.region_name, verify=self.verify, config=config
        )


@dataclass(frozen=True)
class Kind:
    """One kind of thing that is waited for, in the words of SageMaker's API.

    Args:
        noun: What the operations and fields begin with: DescribeTrainingJob, TrainingJobName, TrainingJobStatus.
        listing: The field of a listing that holds the summaries.
        running: The states that do not last.
        stops: Whether it can be stopped.
    """

    noun: str
    listing: str
    running: frozenset[str]
    stops: bool = True

    def summary(self, answer: Any) -> tuple[str, str]:
        """Return name and state of what a listing or a description tells of."""
        return answer[f"{self.noun}Name"], answer[f"{self.noun}Status"]


def _job(word: str) -> Kind:
    return Kind(f"{word}Job", f"{word}JobSummaries", frozenset({"InProgress", "Stopping"}))


KINDS = {
    **{word: _job(word) for word in ("Training", "Processing", "Transform", "HyperParameterTuning")},
    "Endpoint": Kind(
        "Endpoint",
        "Endpoints",
        frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}),
        stops=False,
    ),
}


@dataclass
class _Waiter:
    since: datetime
    end: asyncio.Future[str]
    # until a look has shown what happened since its job's creation
    new: bool = True


@dataclass
class _Watch:
    """What of one kind is waited for, and up to when all changes are known."""

    waiters: dict[str, list[_Waiter]] = field(default_factory=dict)
    known_until: datetime | None = None
    swept_at: float = 0.0


_boards: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Connection, StatusBoard]] = WeakKeyDictionary()


class StatusBoard:
    """What one triggerer waits for over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._watched: dict[str, _Watch] = {}
        self._polling: asyncio.Task[None] | None = None
        self._budget: CallBudget | None = None
        self._interval = math.inf

    @classmethod
    def of(cls, connection: Connection) -> StatusBoard:
        """Return the running event loop's board of this connection."""
        return _boards.setdefault(asyncio.get_running_loop(), {}).setdefault(connection, cls(connection))

    async def end_of(self, word: str, name: str, since: datetime, poll_seconds: float) -> str:
        """Return the state that something came to, or ``Gone`` when there is none of this name.

        Args:
            word: Which of ``KINDS`` it is.
            name: Its name.
            since: When its way to that state began, or earlier.
            poll_seconds: Seconds between two looks; of several waiters' the smallest counts.

        Raises:
            ClientError: the cloud refuses the status calls, again and again.
        """
        waiter = _Waiter(since, asyncio.get_running_loop().create_future())
        self._interval = min(self._interval, poll_seconds)
        waiting = self._watched.setdefault(word, _Watch()).waiters
        waiting.setdefault(name, []).append(waiter)
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll(), name=f"status of {self._connection}")
        try:
            return await waiter.end
        finally:
            waiting[name].remove(waiter)
            if not waiting[name]:
                del waiting[name]
            if self._polling is not None and not any(watch.waiters for watch in self._watched.values()):
                self._polling.cancel()
                self._polling = None
                self._watched.clear()
                self._interval = math.inf

    async def _poll(self) -> None:
        failures = 0
        while True:
            try:
                # the pauses between repetitions are this loop's
                hook = self._connection.hook(retries={"total_max_attempts": 1})
                async with await hook.get_async_conn() as client:
                    while True:
                        began = time.monotonic()
                        for word in [word for word, watch in self._watched.items() if watch.waiters]:
                            await self._look(client, word)
                        failures = 0
                        pause = self._interval * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads calls
                        await asyncio.sleep(max(0.0, began + pause - time.monotonic()))
            except Exception as error:  # noqa: BLE001 - whatever it is, the waiters have to hear of it or to go on
                failures += 1
                if not _passes(error) and failures >= _PATIENCE:
                    self._refuse(error)
                    failures = 0
                pause = min(_LONGEST_PAUSE_SECONDS, self._interval * 2 ** min(failures, _DOUBLINGS))
                log.warning("Status calls failed %d times, next in at most %.0f s: %s", failures, pause, error)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads calls

    def _refuse(self, error: Exception) -> None:
        for watch in self._watched.values():
            for waiter in [waiter for waiters in watch.waiters.values() for waiter in waiters]:
                if not waiter.end.done():
                    waiter.end.set_exception(error)

    async def _look(self, client: Any, word: str) -> None:
        """List what changed, and tell the waiters of it."""
        watch = self._watched[word]
        overlap = timedelta(seconds=self._interval / _OVERLAPS_IN_AN_INTERVAL)
        new = [waiter for waiters in watch.waiters.values() for waiter in waiters if waiter.new]
        begins = [waiter.since for waiter in new]
        if watch.known_until is not None:
            begins.append(watch.known_until)
        now: datetime | None = None
        async for page, server_time in self._pages(client, word, LastModifiedTimeAfter=min(begins) - overlap):
            now = now or server_time
            for summary in page:
                self._tell(word, *KINDS[word].summary(summary))
        watch.known_until = now
        for waiter in new:
            waiter.new = False
        if time.monotonic() - watch.swept_at > INTERVALS_OF_A_SWEEP * self._interval:
            # the first look of all is no sweep: nothing has had the time to be lost
            if watch.swept_at:
                known = {name for name, waiters in watch.waiters.items() if not any(waiter.new for waiter in waiters)}
                await self._sweep(client, word, known)
            watch.swept_at = time.monotonic()

    async def _sweep(self, client: Any, word: str, names: set[str]) -> None:
        """Find the end of what no look has shown, for example because it was deleted."""
        kind = KINDS[word]
        for status in sorted(kind.running):
            async for page, _ in self._pages(client, word, StatusEquals=status):
                names -= {kind.summary(summary)[0] for summary in page}
        for name in sorted(names & set(self._watched[word].waiters)):
            await self._take()
            try:
                described = await getattr(client, xform_name(f"Describe{kind.noun}"))(**{f"{kind.noun}Name": name})
            except ClientError as error:
                if error.response["Error"]["Code"] not in {"ResourceNotFound", "ValidationException"}:
                    raise
                self._tell(word, name, GONE)
            else:
                self._tell(word, *kind.summary(described))

    async def _pages(
        self, client: Any, word: str, **selection: Any
    ) -> AsyncIterator[tuple[list[dict[str, Any]], datetime]]:
        """Yield a listing page by page, each with the server's time, the oldest first so that no page shifts."""
        kind = KINDS[word]
        arguments = {**selection, "SortBy": "CreationTime", "SortOrder": "Ascending", "MaxResults": _PAGE}
        while True:
            await self._take()
            answer = await getattr(client, xform_name(f"List{kind.noun}s"))(**arguments)
            headers = answer["ResponseMetadata"]["HTTPHeaders"]
            said = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
            yield answer[kind.listing], said
            if not answer.get("NextToken"):
                return
            arguments["NextToken"] = answer["NextToken"]

    async def _take(self) -> None:
        if self._budget is None:
            per_second = CALLS_IN_AN_INTERVAL / self._interval
            self._budget = CallBudget(per_second, _SAVED_INTERVALS * CALLS_IN_AN_INTERVAL, time.monotonic)
        await self._budget.take()

    def _tell(self, word: str, name: str, status: str) -> None:
        if status not in KINDS[word].running:
            for waiter in self._watched[word].waiters.get(name, []):
                if not waiter.end.done():
                    waiter.end.set_result(status)


def _passes(error: Exception) -> bool:
    """Whether an error is one that time mends: throttling, a server's own fault, a broken connection."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status in _PASSES or "Throttl" in error.response["Error"]["Code"]
    return isinstance(error, (AwsConnectionError, HTTPClientError, OSError, TimeoutError))
