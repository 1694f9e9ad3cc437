"""A trigger that fires when a Vertex AI job has ended, and cancels it when nobody waits for it any more.

How it works: as ``flightdeck_triggers.sagemaker_state`` does it: the status calls are shared
(``flightdeck_triggers.vertex_board``), and when the trigger is cancelled the task's state decides
(``flightdeck_triggers.abandoned``).

What it does not do: judge how the job ended.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from flightdeck_triggers.abandoned import finish_although_cancelled, is_abandoned
from flightdeck_triggers.vertex_board import VertexBoard, VertexConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class VertexStateTrigger(BaseTrigger):
    """Fires once: ``{"status": the state it ended in}``, ``{"overdue": until}``, ``{"error": why nothing is known}``.

    Args:
        noun: custom_job or batch_prediction_job.
        name: The job's resource name.
        selection: A filter that all jobs of this deployment pass.
        until: When it should have ended; ISO 8601.
        poll_seconds: Seconds between two looks.
        gcp_conn_id: The Airflow connection.
        impersonation_chain: Accounts to act as, if any.
    """

    def __init__(
        self,
        *,
        noun: str,
        name: str,
        selection: str,
        until: str,
        poll_seconds: float,
        gcp_conn_id: str,
        impersonation_chain: list[str],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow gives it no types
        self.noun = noun
        self.name = name
        self.selection = selection
        self.until = until
        self.poll_seconds = poll_seconds
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and its arguments."""
        arguments = ("noun", "name", "selection", "until", "poll_seconds", "gcp_conn_id", "impersonation_chain")
        return f"{type(self).__module__}.{type(self).__qualname__}", {each: getattr(self, each) for each in arguments}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the job's end."""
        try:
            left = datetime.fromisoformat(self.until) - datetime.now(UTC)
            async with asyncio.timeout(left.total_seconds()):
                board = VertexBoard.of(self.connection())
                status = await board.end_of(self.noun, self.name, self.selection, self.poll_seconds)
            event = {"status": status}
        except TimeoutError:
            event = {"overdue": self.until}
        except asyncio.CancelledError:
            await finish_although_cancelled(self._cancel_if_abandoned())
            raise
        except Exception as error:  # noqa: BLE001 - the task has to hear of it, whatever it is
            event = {"error": f"{type(error).__name__}: {error}"}
        yield TriggerEvent(event)

    def connection(self) -> VertexConnection:
        """Return how Vertex AI is reached."""
        return VertexConnection(self.gcp_conn_id, tuple(self.impersonation_chain), self.name.split("/")[3])

    async def _cancel_if_abandoned(self) -> None:
        if not await is_abandoned(self, self.name):
            return
        try:
            client = await asyncio.to_thread(self.connection().client)
            await asyncio.to_thread(getattr(client, f"cancel_{self.noun}"), name=self.name)
        except Exception as error:  # noqa: BLE001 - nobody but the log would hear of it
            # perhaps it has ended meanwhile; if not, the reaper finds it
            self.log.warning("%s was not cancelled: %s", self.name, error)
        else:
            self.log.info("Cancelled %s", self.name)
