"""Which endpoints serve now: the fleets behind them, by ARN, and the telemetry of their invocations.

Only what runs is kept here; what an endpoint is stays in moto's record. Nothing here survives the server.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.aws.sagemaker.endpoints.asynchronous import AsyncInvocations
from localcloud.aws.sagemaker.endpoints.instances import Fleet
from localcloud.aws.sagemaker.endpoints.telemetry import Telemetry
from localcloud.aws.sagemaker.jobs.execution import Surroundings


class ServingEndpoints:
    """The running fleets of one cloud."""

    def __init__(self) -> None:
        """Start without any."""
        self._lock = threading.Lock()
        self._serving: dict[str, Fleet] = {}
        # also those that are being started or retired
        self._all: set[Fleet] = set()
        self.telemetry = Telemetry()
        self.asynchronous = AsyncInvocations()

    def start(self, surroundings: Surroundings, endpoint: str, variants: Sequence[Mapping[str, Any]]) -> Fleet:
        """Start a fleet and return when it can serve.

        Raises:
            JobFailedError: it cannot, in AWS's words; nothing of it is left.
            JobStoppedError: it was stopped meanwhile.
        """
        fleet = Fleet(surroundings, endpoint, variants)
        with self._lock:
            self._all.add(fleet)
        try:
            fleet.await_ready()
        except Exception:
            self._forget(fleet)
            raise
        return fleet

    def serve(self, arn: str, fleet: Fleet) -> Fleet | None:
        """Let a fleet answer for an endpoint; return the one that did so before."""
        with self._lock:
            before = self._serving.get(arn)
            self._serving[arn] = fleet
        return before

    def find(self, arn: str) -> Fleet | None:
        """Return the fleet that answers for an endpoint."""
        return self._serving.get(arn)

    def withdraw(self, arn: str) -> Fleet | None:
        """Let nothing answer for an endpoint any more; return what did."""
        with self._lock:
            return self._serving.pop(arn, None)

    def retire(self, fleet: Fleet) -> None:
        """Stop a fleet when it has answered the requests that it has."""
        fleet.retire()
        self._forget(fleet)

    def abandon(self) -> None:
        """Stop all fleets at once: moto's records were reset."""
        with self._lock:
            fleets = list(self._all)
            self._all.clear()
            self._serving.clear()
        self.asynchronous.abandon()
        for fleet in fleets:
            fleet.stop()

    def _forget(self, fleet: Fleet) -> None:
        with self._lock:
            self._all.discard(fleet)
