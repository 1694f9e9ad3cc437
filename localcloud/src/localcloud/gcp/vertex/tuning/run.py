"""One hyperparameter tuning job: it proposes parameters, runs a custom job for each trial, and learns from its metric.

How it works: a work function of the engine that needs no slot. As many threads as trials may run at once take turns in
proposing; each starts a custom job, waits for its end and reads its measurements. A trial that fails or reports no
metric is INFEASIBLE. The job fails when more trials fail than `max_failed_trial_count` allows, or all of them.

Known limitation: it is not resumed when the local cloud is stopped; neither are its trials.

Source: https://cloud.google.com/vertex-ai/docs/training/hyperparameter-tuning-overview
"""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localcloud.engine.engine import Job
from localcloud.gcp.vertex.custom_jobs.api import CustomJobs
from localcloud.gcp.vertex.custom_jobs.run import Extra
from localcloud.gcp.vertex.jobs import records
from localcloud.gcp.vertex.jobs.failures import SUCCEEDED, JobCancelledError, JobEnd, JobFailedError
from localcloud.gcp.vertex.jobs.running import RunningJobs
from localcloud.gcp.vertex.messages import pb, types
from localcloud.gcp.vertex.names import parent_of
from localcloud.gcp.vertex.surroundings import Surroundings
from localcloud.gcp.vertex.tuning.measurements import METRIC_FILE, final_measurement, read_measurements
from localcloud.gcp.vertex.tuning.space import arguments_of, read_space, trial_parameters
from localcloud.search.strategies import Observation, make_strategy

_State = types.Trial.State
_Algorithm = types.StudySpec.Algorithm
_STRATEGIES = {_Algorithm.GRID_SEARCH: "Grid", _Algorithm.RANDOM_SEARCH: "Random"}
_MAXIMIZE = types.StudySpec.MetricSpec.GoalType.MAXIMIZE
_BEST = types.StudySpec.MeasurementSelectionType.BEST_MEASUREMENT
Values = Mapping[str, str]


def is_grid(study: Any) -> bool:
    """Whether a study tries every combination once."""
    return bool(study.algorithm == _Algorithm.GRID_SEARCH)


class TuningRun:
    """The work of one tuning job."""

    def __init__(self, surroundings: Surroundings, running: RunningJobs, custom_jobs: CustomJobs, job: Any) -> None:
        """Take a stored job; propose nothing yet."""
        self._surroundings = surroundings
        self._running = running
        self._custom_jobs = custom_jobs
        self._job = job
        self._study = job.study_spec
        self._metric: str = job.study_spec.metrics[0].metric_id
        self._maximize = bool(job.study_spec.metrics[0].goal == _MAXIMIZE)
        space = read_space(self._study.parameters, grid=is_grid(self._study))
        self._strategy = make_strategy(_STRATEGIES.get(self._study.algorithm, "Bayesian"), space, None)
        self._lock = threading.Lock()
        self._observed: list[Observation] = []
        self._pending: dict[int, dict[str, str]] = {}
        self._launched = 0
        self._failed = 0
        self._last_error = ""

    def __call__(self, job: Job) -> JobEnd:
        """Run it to its end."""
        records.enter_running(self._surroundings.resources, self._job.name)
        count = min(self._job.parallel_trial_count, self._job.max_trial_count)
        with ThreadPoolExecutor(count, thread_name_prefix="trial") as pool:
            for done in [pool.submit(self._trials, job) for _ in range(count)]:
                done.result()
        if job.stop.requested:
            raise JobCancelledError
        if self._too_many_failed() or self._failed == self._launched:
            raise JobFailedError(f"{self._failed} of {self._launched} trials failed. The last one: {self._last_error}")
        return SUCCEEDED

    def _trials(self, job: Job) -> None:
        """Run one trial after the other until there is nothing more to try."""
        while (proposed := self._propose(job)) is not None:
            number, values = proposed
            error = self._try(job, number, values)
            with self._lock:
                del self._pending[number]
                if error:
                    self._failed += 1
                    self._last_error = error

    def _propose(self, job: Job) -> tuple[int, dict[str, str]] | None:
        with self._lock:
            if job.stop.requested or self._launched >= self._job.max_trial_count or self._too_many_failed():
                return None
            values = self._strategy.propose(self._observed, list(self._pending.values()))
            if values is None:
                return None
            self._launched += 1
            self._pending[self._launched] = values
            return self._launched, values

    def _try(self, job: Job, number: int, values: dict[str, str]) -> str:
        """Run one trial; return why it failed, or nothing."""
        child = pb.CustomJob(display_name=f"{self._job.display_name}-trial-{number}", job_spec=self._job.trial_job_spec)
        extra = Extra(
            variables={"CLOUD_ML_TRIAL_ID": str(number), "CLOUD_ML_HP_METRIC_FILE": METRIC_FILE},
            arguments=arguments_of(values),
            trial=str(number),
            collect=(METRIC_FILE,),
        )
        run = self._custom_jobs.start(parent_of(self._job.name), child, extra)
        self._begin_trial(number, values, child.name)
        job.stop.on_request(lambda: None if job.stop.abandoned else self._running.cancel(child.name))
        self._running.wait(child.name)
        if job.stop.abandoned:
            return ""
        done = self._surroundings.resources.get(child.name)
        measurements = read_measurements(run.collected.get(METRIC_FILE, ""), [self._metric])
        final = final_measurement(
            measurements, best=self._study.measurement_selection_type == _BEST, maximize=self._maximize
        )
        state, error = records.state_of(done), str(done.error.message)
        if state == "SUCCEEDED" and final is None:
            error = f"The trial reported no value of the metric {self._metric!r} (by cloudml-hypertune)."
        self._end_trial(number, measurements, final if state == "SUCCEEDED" else None, error)
        if state == "SUCCEEDED" and final is not None:
            loss = -final.metrics[0].value if self._maximize else final.metrics[0].value
            with self._lock:
                self._observed.append(Observation(values, loss))
        return error if state != "CANCELLED" else ""

    def _begin_trial(self, number: int, values: Values, custom_job: str) -> None:
        with self._surroundings.resources.change(self._job.name) as record:
            trial = record.trials.add(
                name=f"{self._job.name}/trials/{number}", id=str(number), state=_State.ACTIVE, custom_job=custom_job
            )
            trial.parameters.extend(trial_parameters(self._study.parameters, values))
            trial.start_time.GetCurrentTime()

    def _end_trial(self, number: int, measurements: list[Any], final: Any, error: str) -> None:
        with self._surroundings.resources.change(self._job.name) as record:
            trial = next(item for item in record.trials if item.id == str(number))
            trial.measurements.extend(measurements)
            trial.end_time.GetCurrentTime()
            if final is not None:
                trial.final_measurement.CopyFrom(final)
                trial.state = _State.SUCCEEDED
            else:
                trial.state, trial.infeasible_reason = _State.INFEASIBLE, error

    def _too_many_failed(self) -> bool:
        most = self._job.max_failed_trial_count
        return bool(most) and self._failed > most
