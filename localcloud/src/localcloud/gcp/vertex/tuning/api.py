"""JobService: hyperparameter tuning jobs.

What it does not do: several metrics, conditional parameters, early stopping of trials, conditions that end a study.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#google.cloud.aiplatform.v1.HyperparameterTuningJob
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import empty_pb2

from localcloud.gcp.vertex.collection import Collection, Kind
from localcloud.gcp.vertex.custom_jobs.api import CustomJobs, check_display_name, check_ended
from localcloud.gcp.vertex.errors import refuse, unsupported
from localcloud.gcp.vertex.jobs import records
from localcloud.gcp.vertex.jobs.pools import check_pools
from localcloud.gcp.vertex.jobs.running import RunningJobs
from localcloud.gcp.vertex.names import check_parent, new_id
from localcloud.gcp.vertex.server import Method
from localcloud.gcp.vertex.surroundings import Surroundings
from localcloud.gcp.vertex.tuning.run import TuningRun, is_grid
from localcloud.gcp.vertex.tuning.space import check_parameters

TUNING_JOB = Kind("JobService", "HyperparameterTuningJob", "hyperparameterTuningJobs", "hyperparameter_tuning_jobs")
_FIELD = "hyperparameter_tuning_job"
_EARLY_STOPPING = ("decay_curve_stopping_spec", "median_automated_stopping_spec", "convex_automated_stopping_spec")


class TuningJobs:
    """Create, get, list, cancel, delete."""

    def __init__(self, surroundings: Surroundings, running: RunningJobs, custom_jobs: CustomJobs) -> None:
        """Serve the jobs of `surroundings`."""
        self._surroundings = surroundings
        self._running = running
        self._custom_jobs = custom_jobs
        self._collection = Collection(
            TUNING_JOB, surroundings.resources, surroundings.operations, check_ended(TUNING_JOB.word)
        )

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        return {
            **self._collection.methods(),
            "JobService/CreateHyperparameterTuningJob": self._create,
            "JobService/CancelHyperparameterTuningJob": self._cancel,
        }

    def _create(self, request: Any) -> Any:
        job = request.hyperparameter_tuning_job
        check_parent(request.parent)
        check_display_name(f"{_FIELD}.display_name", job.display_name)
        _check_study(job)
        check_pools(job.trial_job_spec, f"{_FIELD}.trial_job_spec", self._surroundings.images)
        job.name = f"{request.parent}/hyperparameterTuningJobs/{new_id()}"
        del job.trials[:]
        records.begin(job)
        self._surroundings.resources.add(request.parent, TUNING_JOB.collection, job)
        run = TuningRun(self._surroundings, self._running, self._custom_jobs, job)
        self._running.start("tuning", job.name, run, needs_slot=False)
        return job

    def _cancel(self, request: Any) -> Any:
        self._collection.find(request.name)
        self._running.cancel(request.name)
        return empty_pb2.Empty()


def _check_covered(study: Any) -> None:
    for name in (*_EARLY_STOPPING, "study_stopping_config"):
        if study.HasField(name):
            unsupported(f"a study with {name}")
    if any(parameter.conditional_parameter_specs for parameter in study.parameters):
        unsupported("a study with conditional parameters")
    if len(study.metrics) > 1:
        unsupported("a study with more than one metric")


def _check_study(job: Any) -> None:
    study = job.study_spec
    _check_covered(study)
    problems = check_parameters(study.parameters, f"{_FIELD}.study_spec.parameters", grid=is_grid(study))
    if not study.metrics or not study.metrics[0].metric_id or not study.metrics[0].goal:
        problems.append((f"{_FIELD}.study_spec.metrics", "One metric with its metric_id and its goal is needed."))
    if not study.parameters:
        problems.append((f"{_FIELD}.study_spec.parameters", "At least one parameter is needed."))
    for name in ("max_trial_count", "parallel_trial_count"):
        if getattr(job, name) < 1:
            problems.append((f"{_FIELD}.{name}", f"must be at least 1, got {getattr(job, name)}."))
    if job.max_failed_trial_count < 0:
        problems.append((f"{_FIELD}.max_failed_trial_count", f"must not be negative: {job.max_failed_trial_count}."))
    if problems:
        refuse(*problems)
