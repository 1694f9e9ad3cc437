"""What counts as done on Vertex AI: a job's end is believed when its artifacts are in Cloud Storage.

How it works: the table of terminal states is ``include.jobs.vertex_kinds``'. A failure becomes an error of Flightdeck's
tree: transient when the cloud lacked machines or broke down itself, terminal when the job is at fault. The message
holds the cloud's code and reason, and says how to find the log.

What it does not do: wait, retry, look into an artifact. Known limitation: the log is Cloud Logging's, which is not
read; the reason of the local Vertex AI holds its end, Google's may hold only where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import NotFound

from include.core.errors import ArtifactError, RemoteJobFailed, RemoteJobInterrupted
from include.jobs.ending import Ending
from include.jobs.result import JobResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.core.errors import FlightdeckError
    from include.jobs.vertex_kinds import VertexKind

# of google.rpc.Code, those after which another try can end better
_TRANSIENT = {8: "RESOURCE_EXHAUSTED", 10: "ABORTED", 13: "INTERNAL", 14: "UNAVAILABLE"}
_HANDED_ON = "handed-on"


class VertexCompletion:
    """Judges jobs of one kind.

    Args:
        kind: The kind.
        storage: Opens a Cloud Storage client; called when there is something to look at.
    """

    def __init__(self, kind: VertexKind, storage: Callable[[], Any]) -> None:
        self._kind = kind
        self._storage = storage

    def lacking(self, job: Any) -> str | None:
        """Return what a job that succeeded did not do: an artifact that is missing or empty, rows without an answer."""
        unanswered = self._kind.unanswered(job)
        if unanswered:
            return f"left {unanswered} rows without an answer, for reasons that stand beside the answers"
        addresses = self._kind.artifacts(job).values()
        client = self._storage()
        missing = next((address for address in addresses if not _is_there(client, address)), None)
        return None if missing is None else f"left nothing at {missing}"

    def handed_on(self, job: Any) -> int | None:
        """Return in which turn a job's result was handed on; None when it was not."""
        try:
            return int(self._mark(job).download_as_bytes())
        except NotFound:
            return None

    def hand_on(self, job: Any, turn: int) -> None:
        """Mark a job's result as handed on in this turn (Airflow's ``max_tries``)."""
        self._mark(job).upload_from_string(str(turn))

    def result(self, job: Any, *, attempts: int, adopted: bool) -> JobResult:
        """Return what a job hands on.

        Raises:
            ArtifactError: it ended as succeeded, and an artifact is missing or empty, or a row has no answer.
            RemoteJobFailed: it ended as failed or cancelled by its own fault or somebody's will.
            RemoteJobInterrupted: it ended as failed by the cloud's fault, or did not end in time.
        """
        if self._kind.ending(job) is not Ending.COMPLETED:
            raise self._failure(job)
        lacking = self.lacking(job)
        if lacking is not None:
            raise ArtifactError(
                self._where(job),
                f"it ended as SUCCEEDED and {lacking}",
                rule="a job writes something to each place that its request names, and answers every row",
                remedy=f"correct its program or its input, then clear the task; {_log_place(job)}",
            )
        return JobResult(
            job_name=job.display_name,
            arn=job.name,
            artifacts={name: address.rstrip("/") for name, address in self._kind.artifacts(job).items()},
            metrics={},
            billable_seconds=self._kind.billable_seconds(job),
            attempts=attempts,
            adopted=adopted,
        )

    def _failure(self, job: Any) -> FlightdeckError:
        where, status = self._where(job), self._kind.status(job)
        if self._kind.ending(job) is None:
            return RemoteJobInterrupted(
                where,
                f"it is {status}, long after its time limit",
                rule="a job ends within its time limit and the time that a machine needs to start and stop",
                remedy="a retry waits for it again; cancel it to let the task start another one",
            )
        what = f"it ended as {status}: code {job.error.code}: {job.error.message or 'no reason given'}"
        if self._kind.ending(job) is Ending.FAILED and job.error.code in _TRANSIENT:
            return RemoteJobInterrupted(
                where,
                what,
                rule="a job ends as SUCCEEDED",
                remedy="a retry starts it again; when they all end like this, ask for another machine type or quota",
            )
        return RemoteJobFailed(
            where,
            what,
            rule="a job ends as SUCCEEDED",
            remedy=f"correct the cause and clear the task; {_log_place(job)}",
        )

    def _where(self, job: Any) -> str:
        return f"Vertex AI {self._kind.word} {job.display_name} ({job.name})"

    def _mark(self, job: Any) -> Any:
        bucket, _, folder = self._kind.folder(job).removeprefix("gs://").partition("/")
        return self._storage().bucket(bucket).blob(f"{folder.rstrip('/')}/{_HANDED_ON}")


def _log_place(job: Any) -> str:
    return f'its log is in Cloud Logging under resource.labels.job_id="{job.name.rpartition("/")[2]}"'


def _is_there(client: Any, address: str) -> bool:
    bucket, _, prefix = address.removeprefix("gs://").partition("/")
    if not bucket or not prefix.strip("/"):
        return False
    try:
        return any(blob.size for blob in client.list_blobs(bucket, prefix=prefix))
    except NotFound:
        return False
