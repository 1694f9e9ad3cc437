"""One training job: Starting → Downloading → Training → Uploading → Completed, Failed or Stopped.

Purpose: what a training container meets on AWS (files, variables, command line, limits) and what the API reports.

How it works: `TrainingRun` is the engine's work function. Script mode (`sagemaker_program`) and images with their
own `ContainerEntrypoint` run; the source archive's requirements.txt is part of the environment's identity.

What it does not do: more than one host, GPUs, Pipe mode, checkpoints, EventBridge events. A failed job uploads
output.tar.gz but no model.
"""

import json
from datetime import datetime

from localcloud.aws.sagemaker.jobs.execution import (
    HOST,
    Request,
    Surroundings,
    conclude,
    resource_config,
    stream_suffix,
)
from localcloud.aws.sagemaker.jobs.failures import (
    JobFailedError,
    JobStoppedError,
    container_failure,
    killed_note,
    message_of,
    script_failure,
)
from localcloud.aws.sagemaker.jobs.images import Image
from localcloud.aws.sagemaker.jobs.joblog import JobLog
from localcloud.aws.sagemaker.jobs.records import Record, utc_now
from localcloud.aws.sagemaker.training import script_mode
from localcloud.engine.engine import Job, Outcome, Program
from localcloud.engine.processes import Cause, Ending
from localcloud.engine.store import JobStatus
from localcloud.engine.tree import JOB_BASE

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
DEFAULT_RUNTIME_SECONDS = 86_400


class TrainingRun:
    """The work of one training job."""

    def __init__(self, surroundings: Surroundings, record: Record, request: Request, image: Image) -> None:
        """Take moto's fresh record and make it one of a job that has just begun."""
        self._surroundings = surroundings
        self._record = record
        self._request = request
        self._image = image
        self._name: str = request["TrainingJobName"]
        self._algorithm = request["AlgorithmSpecification"]
        self._hyperparameters: dict[str, str] = dict(request.get("HyperParameters") or {})
        self._channels = list(request.get("InputDataConfig") or [])
        self._output = f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self._name}/output"
        self._objects = surroundings.connections.objects()
        self._timed_out = False
        record.set(
            environment=request.get("Environment"),
            final_metric_data_list=[],
            model_artifacts=None,
            training_start_time=None,
            training_end_time=None,
            secondary_status_transitions=[],
        )
        self._enter("Starting", "Launching requested ML instances")

    def __call__(self, job: Job) -> Outcome:
        """Run it and report its end."""
        log = JobLog(
            self._surroundings.connections,
            self._surroundings.region,
            LOG_GROUP,
            f"{self._name}/{HOST}-{stream_suffix()}",
            self._algorithm.get("MetricDefinitions") or (),
            self._on_metric,
        )
        try:
            outcome = conclude(job, lambda: self._flow(job, log))
        finally:
            log.close()
        self._finish(outcome)
        return outcome

    def _flow(self, job: Job, log: JobLog) -> JobStatus:
        self._enter("Downloading", "Downloading input data")
        self._download(job)
        requirements = job.tree.ml / "code" / "requirements.txt"
        text = requirements.read_text() if self._is_script and requirements.is_file() else ""
        environment = self._surroundings.environment(self._image, text, log)
        if job.stop.requested:
            raise JobStoppedError
        self._enter("Training", "Training image download completed. Training in progress.")
        self._record.set(training_start_time=utc_now())
        limit = (self._request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS)
        program = Program(
            argv=self._argv(),
            environment=self._variables(),
            directory=script_mode.CODE if self._is_script else JOB_BASE,
            path=environment.programs,
        )
        ending = job.run(program, log, limit=limit)
        self._enter("Uploading", "Uploading generated training model")
        failed = ending.cause is Cause.EXITED and ending.exit_code != 0
        self._upload(job, with_model=not failed)
        if failed:
            raise JobFailedError(self._reason(job, ending, log))
        self._timed_out = ending.cause is Cause.TIMED_OUT
        return JobStatus.COMPLETED if ending.cause is Cause.EXITED else JobStatus.STOPPED

    @property
    def _is_script(self) -> bool:
        return not self._algorithm.get("ContainerEntrypoint")

    def _argv(self) -> list[str]:
        if self._is_script:
            return script_mode.command(self._hyperparameters)
        return [*self._algorithm["ContainerEntrypoint"], *(self._algorithm.get("ContainerArguments") or [])]

    def _variables(self) -> dict[str, str]:
        variables = self._surroundings.variables()
        variables |= {"TRAINING_JOB_NAME": self._name, "TRAINING_JOB_ARN": self._record.get("arn")}
        if self._is_script:
            variables |= script_mode.variables(self._request, [channel["ChannelName"] for channel in self._channels])
        return variables | (self._request.get("Environment") or {})

    def _download(self, job: Job) -> None:
        ml = job.tree.ml
        for folder in ("code", "model", "output/data", "output/intermediate", "input/config", "input/data"):
            (ml / folder).mkdir(parents=True)
        for channel in self._channels:
            folder = ml / "input" / "data" / channel["ChannelName"]
            folder.mkdir()
            source = channel["DataSource"]["S3DataSource"]
            self._objects.fetch(source["S3DataType"], source["S3Uri"], folder)
        submitted = script_mode.decode(self._hyperparameters.get(script_mode.SUBMIT_DIRECTORY, "null"))
        if self._is_script and submitted is not None and submitted.startswith("s3://"):
            self._objects.fetch_archive(submitted, ml / "code")
        configuration = {
            "hyperparameters": self._hyperparameters,
            "inputdataconfig": script_mode.input_data_config(self._request),
            "resourceconfig": resource_config(self._request),
        }
        for name, content in configuration.items():
            (ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))

    def _upload(self, job: Job, *, with_model: bool) -> None:
        artifact = f"{self._output}/model.tar.gz"
        if with_model and any((job.tree.ml / "model").iterdir()):
            self._objects.store_archive(job.tree.ml / "model", artifact)
        if any((job.tree.ml / "output" / "data").iterdir()):
            self._objects.store_archive(job.tree.ml / "output" / "data", f"{self._output}/output.tar.gz")
        # AWS names the artifact's place whether or not the script left one there
        self._record.set(model_artifacts={"S3ModelArtifacts": artifact})

    def _reason(self, job: Job, ending: Ending, log: JobLog) -> str:
        message = message_of(log.tail)
        said = job.tree.ml / "output" / "failure"
        if said.is_file():
            message = said.read_text(errors="replace")
        if not self._is_script or said.is_file():
            return container_failure(ending, message)
        return script_failure(
            "ExecuteUserScriptError", ending.shell_exit_code, killed_note(ending, message), self._argv()
        )

    def _on_metric(self, name: str, value: float, when: datetime) -> None:
        others = [item for item in self._record.get("final_metric_data_list") if item["MetricName"] != name]
        self._record.set(final_metric_data_list=[*others, {"MetricName": name, "Value": value, "Timestamp": when}])

    def _enter(self, status: str, message: str) -> None:
        """Enter a secondary status: end the one before and begin the next."""
        now = utc_now()
        past = [dict(item) for item in self._record.get("secondary_status_transitions")]
        if past:
            past[-1]["EndTime"] = now
        entered = {"Status": status, "StartTime": now, "StatusMessage": message}
        self._record.set(secondary_status=status, secondary_status_transitions=[*past, entered])

    def _finish(self, outcome: Outcome) -> None:
        if self._timed_out:
            self._enter("MaxRuntimeExceeded", "Training job runtime exceeded MaxRuntimeInSeconds provided")
        else:
            word = outcome.status.value
            self._enter(word.title(), f"Training job {word}")
        now = utc_now()
        transitions = self._record.get("secondary_status_transitions")
        transitions[-1]["EndTime"] = now
        started = self._record.get("training_start_time")
        seconds = max(1, round((now - started).total_seconds())) if started else None
        self._record.finish(
            outcome.status,
            failure_reason=outcome.reason,
            training_end_time=now,
            training_time_in_seconds=seconds,
            billable_time_in_seconds=seconds,
        )
