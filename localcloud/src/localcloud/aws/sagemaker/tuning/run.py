"""One tuning job: it launches training jobs, watches them, and ends when there is nothing more to try.

How it works: `TuningRun` is a work function of the engine that needs no slot. Its training jobs are created through
the cloud's own API, so that all that is checked there is checked, and wait for slots like any other.

Known limitation: it is not resumed when the local cloud is stopped; neither are its training jobs.
"""

import secrets
import threading
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.front import RunningJobs
from localcloud.aws.sagemaker.jobs.execution import Surroundings
from localcloud.aws.sagemaker.jobs.failures import REASON_LIMIT, keep_end
from localcloud.aws.sagemaker.jobs.records import STOPPING, Record, utc_now
from localcloud.aws.sagemaker.training.api import TRAINING
from localcloud.aws.sagemaker.tuning.children import Child, read_children, training_request
from localcloud.aws.sagemaker.tuning.decisions import Verdict, hopeless, verdict
from localcloud.aws.sagemaker.tuning.space import read_space
from localcloud.engine.engine import Job, Outcome
from localcloud.engine.store import JobStatus
from localcloud.search.space import Values
from localcloud.search.strategies import Observation, make_strategy

# how soon the end of a training job is seen; reading records in this process costs microseconds
_LOOK_SECONDS = 0.03


class TuningRun:
    """The work of one tuning job. `stored` is moto's record, prepared by the API."""

    def __init__(
        self, surroundings: Surroundings, running: RunningJobs, backend: SageMakerModelBackend, stored: Any
    ) -> None:
        """Choose nothing yet."""
        self._surroundings, self._running, self._backend = surroundings, running, backend
        self._stored = stored
        self._record = Record(stored, "hyper_parameter_tuning_job_status")
        self._config: dict[str, Any] = stored.hyper_parameter_tuning_job_config
        self._limits = self._config["ResourceLimits"]
        space = read_space(self._config.get("ParameterRanges") or {})
        self._strategy = make_strategy(self._config["Strategy"], space, self._config.get("RandomSeed"))
        self._exhausted = False
        self._started = time.monotonic()
        self._stopping = threading.Event()
        # held while a training job is created: once a stop request has been heard, none comes any more
        self._launching = threading.Lock()

    def __call__(self, job: Job) -> Outcome:
        """Run it and report its end."""
        job.stop.on_request(self._on_stop)
        try:
            end = self._search()
        except (ClientError, BotoCoreError) as error:
            end = Verdict(JobStatus.FAILED, f"ClientError: {_said(error)}")
        except Exception as error:  # noqa: BLE001 - a defect here must end the job, not leave it in progress for ever
            end = Verdict(JobStatus.FAILED, f"InternalServerError: localcloud: {type(error).__name__}: {error}")
        self._stop_children(job)
        if job.stop.requested:
            end = Verdict(JobStatus.STOPPED)
        if self._record.status == STOPPING or not job.stop.requested:  # else the cloud itself ends
            reason = keep_end(end.reason, REASON_LIMIT) if end.reason else None
            self._record.finish(end.status, failure_reason=reason, hyper_parameter_tuning_end_time=utc_now())
        return Outcome(end.status, end.reason)

    def _search(self) -> Verdict:
        """Launch training jobs until the tuning job has to end."""
        while not self._stopping.is_set():
            children = self._children()
            end = verdict(self._config, children, time.monotonic() - self._started, all_launched=self._all_launched())
            if end is not None:
                return end
            if self._has_room(children) and self._launch(children):
                continue
            if self._config.get("TrainingJobEarlyStoppingType") == "Auto":
                for child in children:
                    if child.status == "InProgress" and hopeless(child, children):
                        self._stop(child)
            self._stopping.wait(_LOOK_SECONDS)
        return Verdict(JobStatus.STOPPED)

    def _children(self) -> list[Child]:
        return read_children(self._stored, self._backend.training_jobs)

    def _all_launched(self) -> bool:
        most = self._limits.get("MaxNumberOfTrainingJobs")
        # a training job that somebody has deleted was launched none the less
        return self._exhausted or (most is not None and len(self._stored.launched) >= most)

    def _has_room(self, children: list[Child]) -> bool:
        running = sum(child.runs for child in children)
        return not self._all_launched() and running < self._limits["MaxParallelTrainingJobs"]

    def _launch(self, children: list[Child]) -> bool:
        """Create the next training job; False when there is none."""
        observed = [Observation(child.values, child.loss) for child in children if child.loss is not None]
        values = self._strategy.propose(observed, [child.values for child in children if child.runs])
        if values is None:
            self._exhausted = True
            return False
        with self._launching:
            if self._stopping.is_set():
                return False
            self._create(values)
        return True

    def _create(self, values: Values) -> None:
        number = len(self._stored.launched) + 1
        name = f"{self._stored.hyper_parameter_tuning_job_name}-{number:03d}-{secrets.token_hex(4)}"
        request = training_request(name, self._stored.training_job_definition, values, self._stored.tags or ())
        client = self._surroundings.connections.client("sagemaker", self._surroundings.region)
        client.create_training_job(**request)
        self._backend.training_jobs[name].tuning_job_arn = self._stored.arn  # type: ignore[attr-defined]
        self._record.set(launched={**self._stored.launched, name: values})

    def _stop(self, child: Child) -> None:
        try:
            self._running.stop(Record(child.stored, TRAINING.status_field), TRAINING.word)
        except ValidationError:  # it has just ended
            return

    def _stop_children(self, job: Job) -> None:
        """Stop what still runs and wait for its end, unless the cloud itself ends."""
        while running := [child for child in self._children() if child.runs]:
            if job.stop.requested and self._record.status != STOPPING:
                return
            for child in running:
                if child.status != STOPPING:
                    self._stop(child)
            time.sleep(_LOOK_SECONDS)

    def _on_stop(self) -> None:
        with self._launching:
            self._stopping.set()


def _said(error: ClientError | BotoCoreError) -> str:
    return error.response["Error"]["Message"] if isinstance(error, ClientError) else str(error)
