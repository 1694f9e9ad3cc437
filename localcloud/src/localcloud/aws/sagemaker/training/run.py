"""One training job: Starting → Downloading → Training → Uploading → Completed, Failed or Stopped.

Purpose: what a training container meets on AWS (files, variables, command line, limits) and what the API reports.

How it works: `TrainingRun` is the engine's work function. Script mode (`sagemaker_program`) and images with their
own `ContainerEntrypoint` run, once on each host of the cluster; the source archive's requirements.txt is part of the
environment's identity. A managed spot job that is interrupted begins again on fresh hosts with its checkpoints.

What it does not do: GPUs, Pipe mode. Spot capacity costs no less here: BillableTimeInSeconds is TrainingTimeInSeconds.
A failed job uploads output.tar.gz but no model. Debugger, profiler, TensorBoard and experiments are noted, not carried
out.
"""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from localcloud.aws.sagemaker.jobs.cluster import Cluster
from localcloud.aws.sagemaker.jobs.continuous import ContinuousUpload
from localcloud.aws.sagemaker.jobs.execution import Request, Surroundings, conclude, stream_suffix
from localcloud.aws.sagemaker.jobs.failures import (
    REASON_LIMIT,
    JobFailedError,
    JobStoppedError,
    container_failure,
    killed_note,
    message_of,
    reported_failure,
    script_failure,
)
from localcloud.aws.sagemaker.jobs.joblog import JobLog
from localcloud.aws.sagemaker.jobs.records import IN_PROGRESS, STOPPING, Record, unchanging, utc_now
from localcloud.aws.sagemaker.training import script_mode
from localcloud.aws.sagemaker.training.files import TrainingFiles
from localcloud.engine.cluster import ClusterEnding
from localcloud.engine.engine import Job, Outcome, Program
from localcloud.engine.processes import Cause
from localcloud.engine.store import JobStatus
from localcloud.engine.tree import JOB_BASE
from localcloud.images import Image

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
DEFAULT_RUNTIME_SECONDS = 86_400


class TrainingRun:
    """The work of one training job."""

    def __init__(
        self, surroundings: Surroundings, record: Record, request: Request, image: Image, cluster: Cluster
    ) -> None:
        """Take moto's fresh record and make it one of a job that has just begun."""
        self._surroundings = surroundings
        self._record = record
        self._request = request
        self._image = image
        self._cluster = cluster
        self._name: str = request["TrainingJobName"]
        self._algorithm = request["AlgorithmSpecification"]
        self._hyperparameters: dict[str, str] = dict(request.get("HyperParameters") or {})
        self._objects = surroundings.connections.objects()
        self._files = TrainingFiles(self._objects, request, cluster)
        self._created = time.monotonic()
        self._trained = 0.0
        # the last secondary status of a job that was stopped by a limit
        self._exceeded = ""
        record.set(
            environment=request.get("Environment"),
            final_metric_data_list=[],
            objective_values=[],
            model_artifacts=None,
            training_start_time=None,
            training_end_time=None,
            training_time_in_seconds=None,
            billable_time_in_seconds=None,
            secondary_status_transitions=[],
            **_noted(request),
        )
        self._enter("Starting", "Launching requested ML instances")

    def __call__(self, job: Job) -> Outcome:
        """Run it and report its end."""
        job.stop.on_request(self._on_stop)
        if job.stop.requested:  # it has never had an instance, so it has no log
            outcome = Outcome(JobStatus.STOPPED)
        else:
            with self._logs() as logs:
                outcome = conclude(job, lambda: self._flow(job, logs))
        self._finish(outcome)
        return outcome

    def _flow(self, job: Job, logs: list[JobLog]) -> JobStatus:
        spot = self._surroundings.conditions.spot if self._request.get("EnableManagedSpotTraining") else None
        interruptions = spot.times if spot else 0
        while True:
            limit, exceeded = self._limit()
            if spot and interruptions and spot.after_seconds < limit:
                interruptions -= 1
                limit, exceeded = spot.after_seconds, "Interrupted"
            ending = self._attempt(job, logs, limit)
            if ending.cause is not Cause.TIMED_OUT or exceeded != "Interrupted":
                break
            self._enter("Interrupted", "The managed spot training instances were interrupted")
            job.renew()
            self._enter("Starting", "Launching requested ML instances")
        failed = ending.failed
        if job.stop.abandoned:
            raise JobStoppedError
        self._enter("Uploading", "Uploading generated training model")
        self._files.store(job.trees, with_model=failed is None)
        if failed is not None:
            raise JobFailedError(self._reason(job, ending, logs))
        if ending.cause is Cause.TIMED_OUT:
            self._exceeded = exceeded
        return JobStatus.COMPLETED if ending.cause is Cause.EXITED else JobStatus.STOPPED

    def _attempt(self, job: Job, logs: list[JobLog], limit: float) -> ClusterEnding:
        """Run the programs once, from the download on, for at most `limit` seconds."""
        self._enter("Downloading", "Downloading input data")
        for number, tree in enumerate(job.trees):
            if job.stop.requested:
                raise JobStoppedError
            self._files.fetch(tree, number)
        requirements = job.tree.ml / "code" / "requirements.txt"
        text = requirements.read_text(errors="replace") if self._is_script and requirements.is_file() else ""
        environment = self._surroundings.environment(self._image, text, logs[0])
        if job.stop.requested:
            raise JobStoppedError
        self._enter("Training", "Training image download completed. Training in progress.")
        if self._record.get("training_start_time") is None:
            self._record.set(training_start_time=utc_now())
        programs = [
            Program(
                argv=self._argv(),
                environment=self._variables(number),
                directory=script_mode.CODE if self._is_script else JOB_BASE,
                path=environment.programs,
                offline=bool(self._request.get("EnableNetworkIsolation")),
            )
            for number in range(len(job.trees))
        ]
        started = time.monotonic()
        try:
            with self._checkpoints(job):
                return job.run_cluster(programs, logs, limit=limit)
        finally:
            self._trained += time.monotonic() - started

    def _limit(self) -> tuple[float, str]:
        """Return how long the next attempt may run, in seconds, and the secondary status if that is exceeded."""
        condition = self._request.get("StoppingCondition") or {}
        runtime = condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS) - self._trained
        if "MaxWaitTimeInSeconds" in condition:
            wait = condition["MaxWaitTimeInSeconds"] - (time.monotonic() - self._created)
            if wait < runtime:
                return max(wait, 0.0), "MaxWaitTimeExceeded"
        return max(runtime, 0.0), "MaxRuntimeExceeded"

    @contextlib.contextmanager
    def _checkpoints(self, job: Job) -> Iterator[None]:
        """Upload checkpoints while the block runs, and what is left when it has ended."""
        place = self._files.checkpoints
        if place is None:
            yield
            return
        uri, folder = place
        upload = ContinuousUpload(self._objects, job.trees, folder, uri)
        try:
            yield
        finally:
            upload.close(with_rest=not job.stop.abandoned)

    @contextlib.contextmanager
    def _logs(self) -> Iterator[list[JobLog]]:
        """Return one log for each host; closed at the end."""
        with contextlib.ExitStack() as stack:
            logs = []
            for host in self._cluster.host_names:
                log = JobLog(
                    self._surroundings.connections,
                    self._surroundings.region,
                    LOG_GROUP,
                    f"{self._name}/{host}-{stream_suffix()}",
                    self._algorithm.get("MetricDefinitions") or (),
                    self._on_metric,
                )
                stack.callback(log.close)
                logs.append(log)
            yield logs

    @property
    def _is_script(self) -> bool:
        return not self._algorithm.get("ContainerEntrypoint") and script_mode.PROGRAM in self._hyperparameters

    def _argv(self) -> list[str]:
        if self._is_script:
            return script_mode.command(self._hyperparameters)
        arguments = self._algorithm.get("ContainerArguments") or []
        if self._algorithm.get("ContainerEntrypoint"):
            return [*self._algorithm["ContainerEntrypoint"], *arguments]
        # SageMaker runs an image's own entry point as `docker run image train`
        return [*self._image.entrypoint, *(arguments or ["train"])]

    def _variables(self, number: int) -> dict[str, str]:
        offline = self._request.get("EnableNetworkIsolation")
        variables = self._surroundings.offline_variables() if offline else self._surroundings.variables()
        variables |= {"TRAINING_JOB_NAME": self._name, "TRAINING_JOB_ARN": self._record.get("arn")}
        if self._is_script:
            channels = self._files.channels_of(number)
            variables |= script_mode.variables(self._request, channels, self._cluster.resource_config(number))
        return variables | (self._request.get("Environment") or {})

    def _reason(self, job: Job, ending: ClusterEnding, logs: list[JobLog]) -> str:
        assert ending.failed is not None  # noqa: S101 - for the type checker: only asked about a failure
        number, program = ending.failed
        said = job.trees[number].read_text(f"{JOB_BASE}/output/failure", REASON_LIMIT)
        if said:
            return reported_failure(program, said)
        message = message_of(logs[number].tail)
        if not self._is_script:
            return container_failure(program, message)
        return script_failure(
            "ExecuteUserScriptError", program.shell_exit_code, killed_note(program, message), self._argv()
        )

    def _on_metric(self, name: str, value: float, when: datetime) -> None:
        with unchanging():
            others = [item for item in self._record.get("final_metric_data_list") if item["MetricName"] != name]
            if name == self._hyperparameters.get(script_mode.TUNING_METRIC):
                self._record.get("objective_values").append(value)
            self._record.set(final_metric_data_list=[*others, {"MetricName": name, "Value": value, "Timestamp": when}])

    def _on_stop(self) -> None:
        with unchanging():
            if self._record.status == STOPPING:
                self._record.set(**self._entered("Stopping", "Stopping the training job", utc_now()))

    def _enter(self, status: str, message: str) -> None:
        """Enter a secondary status: end the one before and begin the next. A job that is stopped stays Stopping."""
        with unchanging():
            if self._record.status == IN_PROGRESS:
                self._record.set(**self._entered(status, message, utc_now()))

    def _entered(self, status: str, message: str, now: datetime) -> dict[str, Any]:
        past = [dict(item) for item in self._record.get("secondary_status_transitions")]
        if past:
            past[-1]["EndTime"] = now
        entered = {"Status": status, "StartTime": now, "StatusMessage": message}
        return {"secondary_status": status, "secondary_status_transitions": [*past, entered]}

    def _finish(self, outcome: Outcome) -> None:
        if self._exceeded == "MaxRuntimeExceeded":
            status, message = self._exceeded, "Training job runtime exceeded MaxRuntimeInSeconds provided"
        elif self._exceeded:
            status, message = self._exceeded, "Training job wait time exceeded MaxWaitTimeInSeconds provided"
        else:
            status, message = outcome.status.value.title(), f"Training job {outcome.status.value}"
        seconds = max(1, round(self._trained)) if self._record.get("training_start_time") else None
        with unchanging():
            now = utc_now()
            # with the final status, not before it: a job is never InProgress and Completed at once
            last = self._entered(status, message, now)
            last["secondary_status_transitions"][-1]["EndTime"] = now
            self._record.finish(
                outcome.status,
                **last,
                # AWS names the artifact's place whether or not the script left one there
                model_artifacts={"S3ModelArtifacts": self._files.artifact} if seconds else None,
                failure_reason=outcome.reason,
                training_end_time=now,
                training_time_in_seconds=seconds,
                billable_time_in_seconds=seconds,
            )


def _noted(request: Request) -> dict[str, Any]:
    """Return what the job's description tells of the request and moto does not keep."""
    profiler = request.get("ProfilerConfig")
    return {
        "profiler_config": profiler,
        "profiling_status": "Enabled" if profiler and not profiler.get("DisableProfiler") else "Disabled",
        "infra_check_config": request.get("InfraCheckConfig"),
        "remote_debug_config": request.get("RemoteDebugConfig"),
        "retry_strategy": request.get("RetryStrategy"),
    }
