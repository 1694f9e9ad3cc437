"""What counts as done: a job's end is believed when its artifacts are there, and otherwise explained.

How it works: the table of terminal states is its kind's (``include.jobs.kinds``). A failure becomes an error of
Flightdeck's tree: transient when the cloud lacked machines or broke down itself, terminal when the job is at fault. Its
message holds the cloud's reason and the last lines of the job's log.

What it does not do: wait, retry, or look into an artifact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from include.core.errors import ArtifactError, RemoteJobFailed, RemoteJobInterrupted
from include.core.lake import Lake
from include.jobs.ending import Ending
from include.jobs.result import JobResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_logs.client import CloudWatchLogsClient
    from mypy_boto3_s3.client import S3Client

    from include.core.errors import FlightdeckError
    from include.jobs.kinds import JobKind

LOG_LINES = 20
# how the cloud's reason begins when another try can end better
TRANSIENT_REASONS = (
    "CapacityError",
    "InsufficientCapacity",
    "InternalFailure",
    "InternalServerError",
    "ResourceLimitExceeded",
    "ServiceUnavailable",
    "Throttling",
)
# secondary states of a stopped job: what stopped it was not a user
_TIME_LIMIT = "MaxRuntimeExceeded"
_NO_MACHINES = {"Interrupted", "MaxWaitTimeExceeded"}
# streams of one job whose ends are read; the last ones are those of its last machines
_STREAMS = 5


class Completion:
    """Judges jobs of one kind.

    Args:
        kind: The kind.
        s3: Opens a client for the artifacts; called when there are some to look at.
        logs: Opens a client for the logs; called when a job failed, as opening one takes longer than using it.
    """

    def __init__(self, kind: JobKind, s3: Callable[[], S3Client], logs: Callable[[], CloudWatchLogsClient]) -> None:
        self._kind = kind
        self._s3 = s3
        self._logs = logs

    def missing(self, description: Mapping[str, Any]) -> str | None:
        """Return the address of the first artifact of a completed job that is missing or empty."""
        addresses = self._kind.artifacts(description).values()
        client = self._s3()
        return next((address for address in addresses if not _is_there(client, address)), None)

    def stopped_by_somebody(self, description: Mapping[str, Any]) -> bool:
        """Whether a job was stopped on request, not by its time limit or for want of machines."""
        reasons = {_TIME_LIMIT, *_NO_MACHINES}
        ended_as = self._kind.ending(description)
        return ended_as is Ending.STOPPED and description.get("SecondaryStatus") not in reasons

    def result(self, description: Mapping[str, Any], *, attempts: int, adopted: bool) -> JobResult:
        """Return what a job hands on.

        Raises:
            ArtifactError: it ended as completed, and an artifact is missing or empty.
            RemoteJobFailed: it ended as failed or stopped by its own fault or somebody's will.
            RemoteJobInterrupted: it ended as failed or stopped by the cloud's fault, or did not end in time.
        """
        if self._kind.ending(description) is not Ending.COMPLETED:
            raise self._failure(description)
        missing = self.missing(description)
        if missing is not None:
            raise ArtifactError(
                self._where(description),
                f"it ended as Completed and left nothing at {missing}",
                rule="a job writes something to each place that its request names",
                remedy=f"let its program write there, then clear the task; {self._log_place(description)}",
            )
        return JobResult(
            job_name=description[self._kind.name_field],
            arn=self._kind.arn(description),
            artifacts={name: address.rstrip("/") for name, address in self._kind.artifacts(description).items()},
            metrics=self._kind.metrics(description),
            billable_seconds=self._kind.billable_seconds(description),
            attempts=attempts,
            adopted=adopted,
        )

    def _failure(self, description: Mapping[str, Any]) -> FlightdeckError:
        where, status = self._where(description), self._kind.status(description)
        if self._kind.ending(description) is None:
            return RemoteJobInterrupted(
                where,
                f"it is {status}, long after its time limit",
                rule="a job ends within its time limit and the time that a machine needs to start and stop",
                remedy="a retry waits for it again; stop it to let the task start another one",
            )
        secondary = str(description.get("SecondaryStatus", ""))
        reason = str(description.get("FailureReason") or secondary or "no reason given")
        what = f"it ended as {status}: {reason}; {self._log_end(description)}"
        if secondary in _NO_MACHINES or reason.startswith(TRANSIENT_REASONS):
            return RemoteJobInterrupted(
                where,
                what,
                rule="a job ends as Completed",
                remedy="a retry starts it again; when they all end like this, ask for another instance type or quota",
            )
        return RemoteJobFailed(
            where,
            what,
            rule="a job ends as Completed",
            remedy=f"correct the cause and clear the task; {self._log_place(description)}",
        )

    def _where(self, description: Mapping[str, Any]) -> str:
        return f"SageMaker {self._kind.word.lower()} job {description[self._kind.name_field]}"

    def _log_place(self, description: Mapping[str, Any]) -> str:
        streams = self._kind.log_streams(description[self._kind.name_field])
        return f"its log is in the group {self._kind.log_group}, streams {streams}…"

    def _log_end(self, description: Mapping[str, Any]) -> str:
        """Return the last lines of the log; that it cannot be read must not hide the cloud's reason."""
        try:
            lines = self._last_lines(self._kind.log_streams(description[self._kind.name_field]))
        except (BotoCoreError, ClientError) as error:
            return f"its log cannot be read: {error}"
        return "\n".join([f"the end of its log ({len(lines)} lines):", *lines]) if lines else "its log is empty"

    def _last_lines(self, streams: str) -> list[str]:
        client, group = self._logs(), self._kind.log_group
        found = client.describe_log_streams(logGroupName=group, logStreamNamePrefix=streams)["logStreams"]
        events = [
            event
            for stream in found[-_STREAMS:]
            for event in client.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], limit=LOG_LINES, startFromHead=False
            )["events"]
        ]
        return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])[-LOG_LINES:]]


def _is_there(client: S3Client, address: str) -> bool:
    folder, _, name = address.rpartition("/")
    lake = Lake(client, folder)
    return any(lake.size(key) for key in ([name] if name else lake.keys("")))
