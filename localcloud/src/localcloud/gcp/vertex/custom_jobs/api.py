"""JobService: custom jobs.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#jobservice
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import empty_pb2

from localcloud.gcp.vertex.collection import Collection, Kind
from localcloud.gcp.vertex.custom_jobs.run import CustomJobRun, Extra
from localcloud.gcp.vertex.errors import FailedPreconditionError, refuse
from localcloud.gcp.vertex.jobs import records
from localcloud.gcp.vertex.jobs.pools import check_pools, hosts_of, replicas_of
from localcloud.gcp.vertex.jobs.running import RunningJobs
from localcloud.gcp.vertex.names import check_parent, new_id
from localcloud.gcp.vertex.server import Method
from localcloud.gcp.vertex.surroundings import Surroundings

CUSTOM_JOB = Kind("JobService", "CustomJob", "customJobs", "custom_jobs")
_LONGEST_NAME = 128


class CustomJobs:
    """Create, get, list, cancel, delete."""

    def __init__(self, surroundings: Surroundings, running: RunningJobs) -> None:
        """Serve the jobs of `surroundings`."""
        self._surroundings = surroundings
        self._running = running
        self._collection = Collection(
            CUSTOM_JOB, surroundings.resources, surroundings.operations, check_ended(CUSTOM_JOB.word)
        )

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        return {
            **self._collection.methods(),
            "JobService/CreateCustomJob": lambda request: self._create(request.parent, request.custom_job),
            "JobService/CancelCustomJob": self._cancel,
        }

    def start(self, parent: str, job: Any, extra: Extra) -> CustomJobRun:
        """Store and start a job that has been checked; its name is set in `job`."""
        job.name = f"{parent}/customJobs/{new_id()}"
        records.begin(job)
        run = CustomJobRun(self._surroundings, job.name, job.job_spec, extra)
        self._surroundings.resources.add(parent, CUSTOM_JOB.collection, job)
        self._running.start("custom", job.name, run, hosts_of(replicas_of(job.job_spec)))
        return run

    def _create(self, parent: str, job: Any) -> Any:
        check_parent(parent)
        check_display_name("custom_job.display_name", job.display_name)
        check_pools(job.job_spec, "custom_job.job_spec", self._surroundings.images)
        self.start(parent, job, Extra())
        return job

    def _cancel(self, request: Any) -> Any:
        self._collection.find(request.name)
        self._running.cancel(request.name)
        return empty_pb2.Empty()


def check_display_name(field: str, name: str) -> None:
    """Refuse a display name that is missing or longer than 128 characters."""
    if not name:
        refuse((field, "Required field is not set."))
    if len(name) > _LONGEST_NAME:
        refuse((field, f"must have at most {_LONGEST_NAME} characters, got {len(name)}."))


def check_ended(word: str) -> Any:
    """Return what refuses to delete a job that has not ended."""

    def check(job: Any) -> None:
        state = records.state_of(job)
        if state not in records.FINAL:
            message = f"The {word} {job.name!r} is in state {state} and cannot be deleted. Cancel it first."
            raise FailedPreconditionError(message)

    return check
