"""The kinds of Vertex AI job and all that differs between them: methods, outputs, machines.

How it works: a request is the job's message as a plain document, in the field names of the API; what is looked up is
the message itself. https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1

What it does not do: decide anything about a job (``include.jobs.vertex_attempts``, ``include.jobs.vertex_completion``);
import Google's clients before a method needs them.
"""

from __future__ import annotations

import copy
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.jobs.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Document = dict[str, Any]

ENDINGS = {
    "SUCCEEDED": Ending.COMPLETED,
    # results are missing: nothing that another stage may build on
    "PARTIALLY_SUCCEEDED": Ending.FAILED,
    "FAILED": Ending.FAILED,
    "EXPIRED": Ending.FAILED,
    "CANCELLED": Ending.STOPPED,
}
"""The terminal states; every other state is one of a job that still runs.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState
"""


@dataclass(frozen=True)
class VertexKind:
    """One kind of job.

    Args:
        word: What a reader calls it.
        message: The API's message.
        noun: How the methods and their fields are called: create_custom_job, custom_job.
        output: Where in a request the address is below which the job writes.
        artifacts: What a job that succeeded wrote, by name: folders with ``/`` at their end.
        machines: How many machines a job has.
        unanswered: How many of its rows a job that succeeded gave no answer for.
    """

    word: str
    message: str
    noun: str
    output: tuple[str, ...]
    artifacts: Callable[[Any], dict[str, str]]
    machines: Callable[[Any], int]
    unanswered: Callable[[Any], int] = field(default=lambda _job: 0)

    def create(self, client: Any, parent: str, request: Mapping[str, Any]) -> Any:
        """Create a job and return it; the API accepts the same request twice."""
        return getattr(client, f"create_{self.noun}")(parent=parent, **{self.noun: request})

    def get(self, client: Any, name: str) -> Any | None:
        """Return a job by its resource name; None when there is none."""
        from google.api_core.exceptions import NotFound  # noqa: PLC0415 - kinds are part of a DAG file

        try:
            return getattr(client, f"get_{self.noun}")(name=name)
        except NotFound:
            return None

    def labelled(self, client: Any, parent: str, label: str, value: str) -> list[Any]:
        """Return the jobs with a label, the oldest first."""
        request = {"parent": parent, "filter": f'labels.{label}="{value}"'}
        found = getattr(client, f"list_{self.noun}s")(request=request)
        return sorted(found, key=lambda job: (job.create_time, job.name))

    def cancel(self, client: Any, name: str) -> None:
        """Ask for a job's end; one that has ended, or is gone, is none to cancel."""
        from google.api_core.exceptions import FailedPrecondition, NotFound  # noqa: PLC0415 - as in get

        with suppress(FailedPrecondition, NotFound):
            getattr(client, f"cancel_{self.noun}")(name=name)

    def named(self, request: Mapping[str, Any], name: str, found_by: Mapping[str, str]) -> Document:
        """Return a copy of a request for a job of this display name and with these labels.

        Its output is a folder of its own; two jobs of one name, of which one is cancelled, do not write to the same.
        """
        named = {**copy.deepcopy(dict(request)), "display_name": name}
        named["labels"] = {**named.get("labels", {}), **found_by}
        place = named
        for part in self.output[:-1]:
            place = place[part]
        place[self.output[-1]] = f"{place[self.output[-1]].rstrip('/')}/{name}-{secrets.token_hex(4)}"
        return named

    def folder(self, job: Any) -> str:
        """Return the address below which a job writes."""
        for part in self.output:
            job = getattr(job, part)
        return str(job)

    def body(self, job: Any) -> Document:
        """Return what a request asks for, in one spelling for requests and jobs, without names and places."""
        from google.cloud import aiplatform_v1

        message = getattr(aiplatform_v1, self.message)
        document: Document = message.to_dict(message(job), use_integers_for_enums=False)
        asked = copy.deepcopy({each: document.get(each) for each in _ASKED[self.noun]})
        place: Any = asked
        for part in self.output[:-1]:
            place = (place or {}).get(part)
        if place:
            place.pop(self.output[-1], None)
        return asked

    def status(self, job: Any) -> str:
        """Return a job's state in the cloud's word, without its prefix."""
        return str(job.state.name).removeprefix("JOB_STATE_")

    def ending(self, job: Any) -> Ending | None:
        """Return how a job ended; None while it runs or is being cancelled."""
        return ENDINGS.get(self.status(job))

    def billable_seconds(self, job: Any) -> int | None:
        """Return the seconds between a job's start and end, over all machines; None when it never began."""
        if not job.start_time or not job.end_time:
            return None
        seconds: float = (job.end_time - job.start_time).total_seconds()
        return round(seconds) * self.machines(job)


_ASKED = {
    "custom_job": ("job_spec",),
    "batch_prediction_job": ("model", "input_config", "output_config", "dedicated_resources", "model_parameters"),
}

CUSTOM = VertexKind(
    "custom job",
    "CustomJob",
    "custom_job",
    output=("job_spec", "base_output_directory", "output_uri_prefix"),
    # AIP_MODEL_DIR of the program
    artifacts=lambda job: {"model": f"{job.job_spec.base_output_directory.output_uri_prefix.rstrip('/')}/model/"},
    machines=lambda job: sum(pool.replica_count for pool in job.job_spec.worker_pool_specs),
)
BATCH_PREDICTION = VertexKind(
    "batch prediction job",
    "BatchPredictionJob",
    "batch_prediction_job",
    output=("output_config", "gcs_destination", "output_uri_prefix"),
    artifacts=lambda job: {"predictions": f"{job.output_info.gcs_output_directory.rstrip('/')}/"},
    machines=lambda job: max(1, job.dedicated_resources.starting_replica_count),
    # the incomplete count is -1 where it is not known
    unanswered=lambda job: job.completion_stats.failed_count + max(0, job.completion_stats.incomplete_count),
)
VERTEX_KINDS = {kind.noun: kind for kind in (CUSTOM, BATCH_PREDICTION)}
