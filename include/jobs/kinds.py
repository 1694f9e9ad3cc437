"""The kinds of SageMaker job and all that differs between them: fields, terminal states, outputs, billing.

What it does not do: decide anything about a job (``include.jobs.attempts``, ``include.jobs.completion``).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.exceptions import ClientError

from include.jobs.ending import Ending
from include.jobs.identity import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Document = dict[str, Any]

_UNKNOWN = {"ResourceNotFound", "ValidationException"}
_ENDINGS = {"Completed": Ending.COMPLETED, "Failed": Ending.FAILED, "Stopped": Ending.STOPPED}


@dataclass(frozen=True)
class JobKind:
    """One kind of job.

    Args:
        word: How the API's operations and fields begin: CreateTrainingJob, TrainingJobName, TrainingJobStatus.
        artifacts: What a job of this description wrote, by name: the address of an object, or of a folder with ``/``
            at its end.
        into_folder: Gives the outputs of a request a folder of the job's name; changes the request.
        instances: How many machines a description's job has.
        endings: The terminal states; every other state is one of a job that still runs.
        metrics: A description's final metrics.
        max_name: How long a name may be.
        logs: The kind of job that writes the logs, and how the names of its streams begin after the job's name.
    """

    word: str
    artifacts: Callable[[Mapping[str, Any]], dict[str, str]]
    into_folder: Callable[[Document, str], None]
    instances: Callable[[Mapping[str, Any]], int]
    endings: Mapping[str, Ending] = field(default_factory=lambda: _ENDINGS)
    metrics: Callable[[Mapping[str, Any]], dict[str, float]] = field(default=lambda _description: {})
    max_name: int = MAX_NAME
    logs: tuple[str, str] = ("", "/")

    @property
    def name_field(self) -> str:
        """The field of a request or description that holds the job's name."""
        return f"{self.word}JobName"

    @property
    def log_group(self) -> str:
        """Where CloudWatch Logs keeps the logs of these jobs."""
        return f"/aws/sagemaker/{self.logs[0] or self.word}Jobs"

    def log_streams(self, name: str) -> str:
        """Return how the names of a job's log streams begin."""
        return f"{name}{self.logs[1]}"

    def create(self, client: Any, request: Mapping[str, Any]) -> None:
        """Create a job."""
        self._operation(client, "Create{}Job")(**request)

    def stop(self, client: Any, name: str) -> None:
        """Ask for a job's end; one that has ended, or is gone, is none to stop."""
        try:
            self._operation(client, "Stop{}Job")(**{self.name_field: name})
        except ClientError as error:
            if error.response["Error"]["Code"] not in _UNKNOWN:
                raise

    def running(self, client: Any) -> Iterator[Document]:
        """Yield the listed summary of each job of this kind that neither has ended nor is being stopped."""
        for page in client.get_paginator(xform_name(f"List{self.word}Jobs")).paginate(StatusEquals="InProgress"):
            yield from page[f"{self.word}JobSummaries"]

    def describe(self, client: Any, name: str) -> Document | None:
        """Describe a job; None when there is none of that name."""
        try:
            description: Document = self._operation(client, "Describe{}Job")(**{self.name_field: name})
        except ClientError as error:
            # the name is a valid one: all that validation can miss is the job
            if error.response["Error"]["Code"] in _UNKNOWN:
                return None
            raise
        return description

    def named(self, request: Mapping[str, Any], name: str) -> Document:
        """Return a copy of a request for a job of this name."""
        named = {**copy.deepcopy(dict(request)), self.name_field: name}
        self.into_folder(named, name)
        return named

    def arn(self, description: Mapping[str, Any]) -> str:
        """Return a described job's ARN."""
        return str(description[f"{self.word}JobArn"])

    def status(self, description: Mapping[str, Any]) -> str:
        """Return a described job's state in the cloud's word."""
        return str(description[f"{self.word}JobStatus"])

    def ending(self, description: Mapping[str, Any]) -> Ending | None:
        """Return how a described job ended; None while it runs or is being stopped."""
        return self.endings.get(self.status(description))

    def billable_seconds(self, description: Mapping[str, Any]) -> int | None:
        """Return the seconds that are paid for, over all instances; None when the job never began."""
        if "BillableTimeInSeconds" in description:
            return int(description["BillableTimeInSeconds"])
        begin, end = description.get(f"{self.word}StartTime"), description.get(f"{self.word}EndTime")
        if begin is None or end is None:
            return None
        seconds: float = (end - begin).total_seconds()
        return round(seconds) * self.instances(description)

    def _operation(self, client: Any, pattern: str) -> Callable[..., Any]:
        operation: Callable[..., Any] = getattr(client, xform_name(pattern.format(self.word)))
        return operation


def _training_into_folder(request: Document, name: str) -> None:
    """SageMaker itself writes a training job's artifacts below its name."""


def _processing_outputs(request: Mapping[str, Any]) -> list[Document]:
    outputs: list[Document] = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return outputs


def _processing_into_folder(request: Document, name: str) -> None:
    for output in _processing_outputs(request):
        output["S3Output"]["S3Uri"] = f"{output['S3Output']['S3Uri'].rstrip('/')}/{name}"


def _transform_into_folder(request: Document, name: str) -> None:
    output = request["TransformOutput"]
    output["S3OutputPath"] = f"{output['S3OutputPath'].rstrip('/')}/{name}"


def _best_model(job: Mapping[str, Any]) -> dict[str, str]:
    """Return where SageMaker writes the artifact of a tuning job's best training job."""
    best = job.get("BestTrainingJob", {})
    definitions = job.get("TrainingJobDefinitions") or [job["TrainingJobDefinition"]]
    output = next(
        definition["OutputDataConfig"]["S3OutputPath"]
        for definition in definitions
        if definition.get("DefinitionName") == best.get("TrainingJobDefinitionName")
    )
    return {"model": f"{output.rstrip('/')}/{best.get('TrainingJobName', '')}/output/model.tar.gz"}


def _best_metric(job: Mapping[str, Any]) -> dict[str, float]:
    metric = job.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric")
    return {metric["MetricName"]: metric["Value"]} if metric else {}


TRAINING = JobKind(
    "Training",
    artifacts=lambda job: {"model": job["ModelArtifacts"]["S3ModelArtifacts"]},
    into_folder=_training_into_folder,
    instances=lambda job: int(job["ResourceConfig"]["InstanceCount"]),
    # Deleting: what is left of a job that had ended and that its owner takes away
    endings=_ENDINGS | {"Deleting": Ending.STOPPED},
    metrics=lambda job: {each["MetricName"]: each["Value"] for each in job.get("FinalMetricDataList", [])},
)
PROCESSING = JobKind(
    "Processing",
    artifacts=lambda job: {
        each["OutputName"]: f"{each['S3Output']['S3Uri'].rstrip('/')}/" for each in _processing_outputs(job)
    },
    into_folder=_processing_into_folder,
    instances=lambda job: int(job["ProcessingResources"]["ClusterConfig"]["InstanceCount"]),
)
TRANSFORM = JobKind(
    "Transform",
    artifacts=lambda job: {"predictions": f"{job['TransformOutput']['S3OutputPath'].rstrip('/')}/"},
    into_folder=_transform_into_folder,
    instances=lambda job: int(job["TransformResources"]["InstanceCount"]),
)
TUNING = JobKind(
    "HyperParameterTuning",
    artifacts=_best_model,
    into_folder=_training_into_folder,
    # its training jobs are paid for, not the tuning job
    instances=lambda _job: 0,
    metrics=_best_metric,
    # the API's limit: its training jobs' names begin with it
    max_name=32,
    logs=("Training", "-"),
)
KINDS = (TRAINING, PROCESSING, TRANSFORM, TUNING)
