"""The training jobs of a tuning job: how they are asked for, and what the tuning job's answers say of them.

A tuning job's record holds their names and hyperparameters only; everything else is read from the training jobs
themselves, so that both tell the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.aws.sagemaker.jobs.execution import Request
from localcloud.aws.sagemaker.jobs.records import IN_PROGRESS, STOPPING
from localcloud.aws.sagemaker.training.script_mode import TUNING_METRIC
from localcloud.search.space import Values

# AWS gives each training job of a tuning job this metric besides the user's own
OBJECTIVE_METRIC = "ObjectiveMetric"
_PASSED_ON = (
    "InputDataConfig",
    "VpcConfig",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "RetryStrategy",
    "Environment",
)


@dataclass(frozen=True)
class Objective:
    """The metric that a tuning job optimises; `kind` is Maximize or Minimize."""

    kind: str
    metric: str

    def loss(self, value: float) -> float:
        """Return a value of the metric as something that is better when it is lower."""
        return -value if self.kind == "Maximize" else value


@dataclass(frozen=True)
class Child:
    """One training job of a tuning job, as it is at the moment of asking."""

    name: str
    values: Values
    objective: Objective
    stored: Any

    @property
    def status(self) -> str:
        """SageMaker's status of the training job."""
        return str(self.stored.training_job_status)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.status in {IN_PROGRESS, STOPPING}

    @property
    def creation_time(self) -> datetime:
        """When it was created."""
        time: datetime = self.stored.creation_time
        return time

    @property
    def metric(self) -> float | None:
        """The last value of the objective metric; None when there is none or the job failed."""
        if self.status == "Failed":
            return None
        found = [item["Value"] for item in self.stored.final_metric_data_list if item["MetricName"] == OBJECTIVE_METRIC]
        return found[0] if found else None

    @property
    def loss(self) -> float | None:
        """The objective's final value, lower is better; None while the job runs and when there is none."""
        value = None if self.runs else self.metric
        return None if value is None else self.objective.loss(value)

    @property
    def epochs(self) -> Sequence[float]:
        """The losses by the objective's values so far, oldest first."""
        return [self.objective.loss(value) for value in self.stored.objective_values]

    @property
    def objective_status(self) -> str:
        """Whether the objective counts: Pending, Succeeded or Failed."""
        if self.runs:
            return "Pending"
        return "Failed" if self.loss is None else "Succeeded"

    def summary(self, tuning_job: str) -> dict[str, Any]:
        """Return AWS's HyperParameterTrainingJobSummary."""
        final = None
        if self.loss is not None:
            final = {"Type": self.objective.kind, "MetricName": self.objective.metric, "Value": self.metric}
        described = {
            "TrainingJobName": self.name,
            "TrainingJobArn": self.stored.arn,
            "TuningJobName": tuning_job,
            "CreationTime": self.creation_time,
            "TrainingStartTime": self.stored.training_start_time,
            "TrainingEndTime": self.stored.training_end_time,
            "TrainingJobStatus": self.status,
            "TunedHyperParameters": self.values,
            "FailureReason": self.stored.failure_reason,
            "FinalHyperParameterTuningJobObjectiveMetric": final,
            "ObjectiveStatus": self.objective_status,
        }
        return {field: value for field, value in described.items() if value is not None}


def read_children(tuning_job: Any, training_jobs: Mapping[str, Any]) -> list[Child]:
    """Return the training jobs of moto's record of a tuning job, in the order of their creation."""
    given = tuning_job.hyper_parameter_tuning_job_config["HyperParameterTuningJobObjective"]
    objective = Objective(given["Type"], given["MetricName"])
    return [
        Child(name, values, objective, training_jobs[name])
        for name, values in tuning_job.launched.items()
        if name in training_jobs
    ]


def best_of(children: Sequence[Child]) -> Child | None:
    """Return the one with the best objective."""
    evaluated = [(child.loss, number) for number, child in enumerate(children) if child.loss is not None]
    return children[min(evaluated)[1]] if evaluated else None


def not_improving(children: Sequence[Child]) -> int:
    """Return how many training jobs have been evaluated since the best one."""
    evaluated = [child for child in children if child.loss is not None]
    best = best_of(evaluated)
    return len(evaluated) - 1 - evaluated.index(best) if best else 0


def status_counters(children: Sequence[Child]) -> dict[str, int]:
    """Return AWS's TrainingJobStatusCounters."""
    failures = [child.stored.failure_reason or "" for child in children if child.status == "Failed"]
    internal = sum(reason.startswith("InternalServerError") for reason in failures)
    return {
        "Completed": sum(child.status == "Completed" for child in children),
        "InProgress": sum(child.runs for child in children),
        "RetryableError": internal,
        "NonRetryableError": len(failures) - internal,
        "Stopped": sum(child.status == "Stopped" for child in children),
    }


def objective_counters(children: Sequence[Child]) -> dict[str, int]:
    """Return AWS's ObjectiveStatusCounters."""
    return {
        status: sum(child.objective_status == status for child in children)
        for status in ("Succeeded", "Pending", "Failed")
    }


def complete_definition(definition: Request, metric: str) -> dict[str, Any]:
    """Return a TrainingJobDefinition with what AWS adds: the objective as a hyperparameter and as a metric."""
    algorithm = definition["AlgorithmSpecification"]
    metrics = algorithm.get("MetricDefinitions") or []
    regex = next(item["Regex"] for item in metrics if item["Name"] == metric)
    return {
        **definition,
        "StaticHyperParameters": {**(definition.get("StaticHyperParameters") or {}), TUNING_METRIC: metric},
        "AlgorithmSpecification": {
            **algorithm,
            "MetricDefinitions": [*metrics, {"Name": OBJECTIVE_METRIC, "Regex": regex}],
        },
    }


def training_request(
    name: str, definition: Request, values: Mapping[str, str], tags: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """Return the CreateTrainingJob request of a child; `definition` is complete."""
    request = {
        "TrainingJobName": name,
        "HyperParameters": {**definition["StaticHyperParameters"], **values},
        "AlgorithmSpecification": definition["AlgorithmSpecification"],
        "RoleArn": definition["RoleArn"],
        "OutputDataConfig": definition["OutputDataConfig"],
        "ResourceConfig": definition["ResourceConfig"],
        "StoppingCondition": definition["StoppingCondition"],
        **{field: definition[field] for field in _PASSED_ON if field in definition},
    }
    checkpoints = definition.get("CheckpointConfig")
    if checkpoints:  # each training job has its own: otherwise one would begin where another has ended
        uri = f"{checkpoints['S3Uri'].rstrip('/')}/{name}"
        request["CheckpointConfig"] = {**checkpoints, "S3Uri": uri}
    if tags:
        request["Tags"] = list(tags)
    return request
