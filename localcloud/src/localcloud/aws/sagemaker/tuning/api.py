"""The operations of hyperparameter tuning jobs."""

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ResourceInUseException, ResourceNotFound, ValidationError
from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends

from localcloud.aws.sagemaker.changes import describe_with
from localcloud.aws.sagemaker.front import Front, JobKind, RunningJobs, close_interrupted
from localcloud.aws.sagemaker.jobs.records import IN_PROGRESS, STOPPING, Record, utc_now
from localcloud.aws.sagemaker.pages import listed
from localcloud.aws.sagemaker.tuning.checks import check_tuning
from localcloud.aws.sagemaker.tuning.children import (
    Child,
    best_of,
    complete_definition,
    not_improving,
    objective_counters,
    read_children,
    status_counters,
)
from localcloud.aws.sagemaker.tuning.run import TuningRun
from localcloud.engine.engine import Work

TUNING = JobKind(
    word="hyperparameter tuning",
    name_field="HyperParameterTuningJobName",
    table="hyper_parameter_tuning_jobs",
    status_field="hyper_parameter_tuning_job_status",
    taken="Hyperparameter tuning job names must be unique within an AWS account and Region, and a tuning job",
    unknown="Amazon SageMaker can't find a tuning job called {name}. Type another name.",
)


class TuningJobs(Front):
    """Create, describe, stop, delete, list."""

    def create_hyper_parameter_tuning_job(self) -> ActionResult:
        """Store and start a tuning job."""
        request = self.request_body()
        name = request["HyperParameterTuningJobName"]
        if name in self.table(TUNING):
            message = f"A hyperparameter tuning job with the name, {name}, already exists. Choose a different name."
            raise ResourceInUseException(message)
        definition = check_tuning(request, self.running.connections.objects(), self.region)
        objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]

        def run(record: Record) -> Work:
            record.set(
                hyper_parameter_tuning_job_config=request["HyperParameterTuningJobConfig"],
                training_job_definition=complete_definition(definition, objective["MetricName"]),
                hyper_parameter_tuning_end_time=None,
                tags=request.get("Tags") or [],
                launched={},
            )
            stored = self.table(TUNING)[name]
            return TuningRun(self.surroundings(), self.running, self.sagemaker_backend, stored)

        return self.create_job(TUNING, super().create_hyper_parameter_tuning_job, run, needs_slot=False)

    def describe_hyper_parameter_tuning_job(self) -> ActionResult:
        """Describe a tuning job and what its training jobs have come to."""
        stored = self._known_tuning_job()
        return ActionResult(_description(stored, self._children(stored)))

    def stop_hyper_parameter_tuning_job(self) -> EmptyResult:
        """Stop a tuning job and its training jobs (absent from moto)."""
        self.running.stop(Record(self._known_tuning_job(), TUNING.status_field), TUNING.word)
        return EmptyResult()

    def delete_hyper_parameter_tuning_job(self) -> EmptyResult:
        """Delete the entry of a tuning job that has ended; its training jobs stay."""
        stored = self._known_tuning_job()
        status = stored.hyper_parameter_tuning_job_status
        if status in {IN_PROGRESS, STOPPING}:
            message = f"The request was rejected because the hyperparameter tuning job is in status {status}."
            raise ValidationError(message)
        super().delete_hyper_parameter_tuning_job()
        return EmptyResult()

    def list_hyper_parameter_tuning_jobs(self) -> ActionResult:
        """List tuning jobs by name, as AWS does by default."""
        found, token = listed(
            list(self.table(TUNING).values()),
            {"SortBy": "Name", "SortOrder": "Ascending", **self.request_body()},
            lambda stored: str(stored.hyper_parameter_tuning_job_name),
            status=lambda stored: str(stored.hyper_parameter_tuning_job_status),
        )
        summaries = [_summary(stored, self._children(stored)) for stored in found]
        return ActionResult({"HyperParameterTuningJobSummaries": summaries, "NextToken": token})

    def list_training_jobs_for_hyper_parameter_tuning_job(self) -> ActionResult:
        """List a tuning job's training jobs (absent from moto)."""
        stored = self._known_tuning_job()
        request = {"SortBy": "Name", "SortOrder": "Ascending", **self.request_body()}
        children = self._children(stored)
        if request["SortBy"] == "FinalObjectiveMetricValue":  # then AWS leaves out those that have none
            children = [child for child in children if child.loss is not None]
        found, token = listed(
            children,
            request,
            lambda child: child.name,
            status=lambda child: child.status,
            orders={"FinalObjectiveMetricValue": lambda child: child.metric},
        )
        summaries = [child.summary(stored.hyper_parameter_tuning_job_name) for child in found]
        return ActionResult({"TrainingJobSummaries": summaries, "NextToken": token})

    def _known_tuning_job(self) -> Any:
        name = self._get_param(TUNING.name_field)
        table = self.table(TUNING)
        if name not in table:
            raise ResourceNotFound(TUNING.unknown.format(name=name))
        return table[name]

    def _children(self, stored: Any) -> list[Child]:
        return read_children(stored, self.sagemaker_backend.training_jobs)


def _summary(stored: Any, children: list[Child]) -> dict[str, Any]:
    """Return AWS's HyperParameterTuningJobSummary."""
    config = stored.hyper_parameter_tuning_job_config
    described = {
        "HyperParameterTuningJobName": stored.hyper_parameter_tuning_job_name,
        "HyperParameterTuningJobArn": stored.arn,
        "HyperParameterTuningJobStatus": stored.hyper_parameter_tuning_job_status,
        "Strategy": config["Strategy"],
        "CreationTime": stored.creation_time,
        "HyperParameterTuningEndTime": stored.hyper_parameter_tuning_end_time,
        "LastModifiedTime": stored.last_modified_time,
        "TrainingJobStatusCounters": status_counters(children),
        "ObjectiveStatusCounters": objective_counters(children),
        "ResourceLimits": config["ResourceLimits"],
    }
    return {field: value for field, value in described.items() if value is not None}


def _description(stored: Any, children: list[Child]) -> dict[str, Any]:
    """Return DescribeHyperParameterTuningJob's answer."""
    best = best_of(children)
    # a training job that an earlier server's end has closed does not know how long it ran
    seconds = sum(getattr(child.stored, "training_time_in_seconds", None) or 0 for child in children if not child.runs)
    described = {
        **_summary(stored, children),
        "HyperParameterTuningJobConfig": stored.hyper_parameter_tuning_job_config,
        "TrainingJobDefinition": stored.training_job_definition,
        "BestTrainingJob": best.summary(stored.hyper_parameter_tuning_job_name) if best else None,
        "FailureReason": stored.failure_reason,
        "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": not_improving(children)},
        "ConsumedResources": {"RuntimeInSeconds": seconds},
    }
    for field in ("Strategy", "ResourceLimits"):  # of the summary; here they are in the configuration
        described.pop(field)
    return {field: value for field, value in described.items() if value is not None}


def _description_in_place(stored: Any) -> dict[str, Any]:
    """Describe a tuning job outside a request."""
    _, _, _, region, account, _ = stored.arn.split(":", 5)
    return _description(stored, read_children(stored, sagemaker_backends[account][region].training_jobs))


describe_with(TUNING.status_field, _description_in_place)


def resume(backend: SageMakerModelBackend, running: RunningJobs) -> None:  # noqa: ARG001 - every part's signature
    """After a restart: close the tuning jobs that were running."""
    close_interrupted(backend, TUNING, hyper_parameter_tuning_end_time=utc_now())
