"""A trigger that fires when a SageMaker job has ended, and stops it when nobody waits for it any more.

It fires for an endpoint that has come to rest, too; what serves is never stopped.

How it works: all of them share their status calls (``flightdeck_triggers.status_board``). A trigger is cancelled when
its task was marked, cleared or timed out, but also when its triggerer ends or hands it over; the same on Airflow 3.2,
which has no ``on_kill`` for triggers, and on 3.3. So the task's state decides: while the task is deferred, somebody
waits for the job, and it is left alone. So it is when the state cannot be asked for, as in a triggerer that goes down:
the reaper finds what that leaves (``include.jobs.reaper``).

What it does not do: judge how the job ended.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from botocore import xform_name

from flightdeck_triggers.abandoned import finish_although_cancelled, is_abandoned
from flightdeck_triggers.status_board import KINDS, Connection, StatusBoard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class SageMakerStateTrigger(BaseTrigger):
    """Fires once: ``{"status": the state it ended in}``, ``{"overdue": until}``, ``{"error": why nothing is known}``.

    Args:
        kind: Which of the board's ``KINDS``: a kind of job, or Endpoint.
        name: The job's or endpoint's name.
        since: When its way to that state began, or earlier; ISO 8601.
        until: When it should have come to its end; ISO 8601.
        poll_seconds: Seconds between two looks.
        aws_conn_id: The Airflow connection.
        region_name: The region, if not the connection's.
        verify: Whether, or with which certificates, TLS is verified.
        botocore_config: botocore's settings.
    """

    def __init__(
        self,
        *,
        kind: str,
        name: str,
        since: str,
        until: str,
        poll_seconds: float,
        aws_conn_id: str | None,
        region_name: str | None,
        verify: bool | str | None,
        botocore_config: dict[str, Any] | None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow gives it no types
        self.kind = kind
        self.name = name
        self.since = since
        self.until = until
        self.poll_seconds = poll_seconds
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and its arguments."""
        arguments = (
            "kind",
            "name",
            "since",
            "until",
            "poll_seconds",
            "aws_conn_id",
            "region_name",
            "verify",
            "botocore_config",
        )
        return f"{type(self).__module__}.{type(self).__qualname__}", {each: getattr(self, each) for each in arguments}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the job's end."""
        connection = self._connection()
        try:
            since = datetime.fromisoformat(self.since)
            left = datetime.fromisoformat(self.until) - datetime.now(UTC)
            async with asyncio.timeout(left.total_seconds()):
                status = await StatusBoard.of(connection).end_of(self.kind, self.name, since, self.poll_seconds)
            event = {"status": status}
        except TimeoutError:
            event = {"overdue": self.until}
        except asyncio.CancelledError:
            await finish_although_cancelled(self._stop_if_abandoned(connection))
            raise
        except Exception as error:  # noqa: BLE001 - the task has to hear of it, whatever it is
            event = {"error": f"{type(error).__name__}: {error}"}
        yield TriggerEvent(event)

    def _connection(self) -> Connection:
        config = json.dumps(self.botocore_config or {}, sort_keys=True)
        return Connection(self.aws_conn_id, self.region_name, self.verify, config)

    async def _stop_if_abandoned(self, connection: Connection) -> None:
        kind = KINDS[self.kind]
        if not kind.stops or not await is_abandoned(self, self.name):
            return
        try:
            async with await connection.hook().get_async_conn() as client:
                await getattr(client, xform_name(f"Stop{kind.noun}"))(**{f"{kind.noun}Name": self.name})
        except Exception as error:  # noqa: BLE001 - nobody but the log would hear of it
            # perhaps it has ended meanwhile; if not, the reaper finds it
            self.log.warning("%s was not stopped: %s", self.name, error)
        else:
            self.log.info("Stopped %s", self.name)
