"""One processing job: inputs fetched, the container's own command run, outputs uploaded at the end.

Purpose: what a processing container meets on AWS (files, variables, limits) and what the API reports.

What it does not do: continuous upload, Athena, Redshift and feature store inputs or outputs, more than one host.
Outputs of a job that failed are not uploaded; those of a stopped one are. A job that
exceeds MaxRuntimeInSeconds is Stopped, as the API's reference says.
"""

import json

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
    keep_end,
    message_of,
)
from localcloud.aws.sagemaker.jobs.images import Image
from localcloud.aws.sagemaker.jobs.joblog import JobLog
from localcloud.aws.sagemaker.jobs.records import Record, utc_now
from localcloud.engine.engine import Job, Outcome, Program
from localcloud.engine.processes import Cause
from localcloud.engine.store import JobStatus

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
DEFAULT_RUNTIME_SECONDS = 86_400
_MESSAGE_LIMIT = 1024


class ProcessingRun:
    """The work of one processing job."""

    def __init__(self, surroundings: Surroundings, record: Record, request: Request, image: Image) -> None:
        """Take moto's fresh record and make it one of a job that has just begun."""
        self._surroundings = surroundings
        self._record = record
        self._request = request
        self._image = image
        self._name: str = request["ProcessingJobName"]
        self._inputs = [item["S3Input"] for item in request.get("ProcessingInputs") or []]
        self._outputs = [
            item["S3Output"] for item in (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
        ]
        self._objects = surroundings.connections.objects()
        record.set(
            environment=request.get("Environment"),
            processing_resources=request.get("ProcessingResources"),
            processing_start_time=None,
            processing_end_time=None,
            exit_message=None,
        )

    def __call__(self, job: Job) -> Outcome:
        """Run it and report its end."""
        stream = f"{self._name}/{HOST}-{stream_suffix()}"
        log = JobLog(self._surroundings.connections, self._surroundings.region, LOG_GROUP, stream)
        try:
            outcome = conclude(job, lambda: self._flow(job, log))
        finally:
            log.close()
        self._record.finish(outcome.status, failure_reason=outcome.reason, processing_end_time=utc_now())
        return outcome

    def _flow(self, job: Job, log: JobLog) -> JobStatus:
        self._download(job)
        environment = self._surroundings.environment(self._image, "", log)
        if job.stop.requested:
            raise JobStoppedError
        self._record.set(processing_start_time=utc_now())
        application = self._request["AppSpecification"]
        program = Program(
            argv=[*application["ContainerEntrypoint"], *(application.get("ContainerArguments") or [])],
            environment={
                **self._surroundings.variables(),
                "PROCESSING_JOB_NAME": self._name,
                "PROCESSING_JOB_ARN": self._record.get("arn"),
                **(self._request.get("Environment") or {}),
            },
            path=environment.programs,
        )
        limit = (self._request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS)
        ending = job.run(program, log, limit=limit)
        failed = ending.cause is Cause.EXITED and ending.exit_code != 0
        said = job.tree.ml / "output" / "message"
        message = said.read_text(errors="replace") if said.is_file() else ""
        if failed:
            message = message or message_of(log.tail)
        self._record.set(exit_message=keep_end(message, _MESSAGE_LIMIT) or None)
        if failed:
            raise JobFailedError(container_failure(ending, message_of(log.tail)))
        for output in self._outputs:
            self._objects.store_folder(job.tree.host_path(output["LocalPath"]), output["S3Uri"])
        return JobStatus.COMPLETED if ending.cause is Cause.EXITED else JobStatus.STOPPED

    def _download(self, job: Job) -> None:
        ml = job.tree.ml
        for name in ("config", "output", "processing"):
            (ml / name).mkdir()
        for source in self._inputs:
            folder = job.tree.host_path(source["LocalPath"])
            folder.mkdir(parents=True, exist_ok=True)
            self._objects.fetch(source["S3DataType"], source["S3Uri"], folder)
        for output in self._outputs:
            job.tree.host_path(output["LocalPath"]).mkdir(parents=True, exist_ok=True)
        described = {**self._request, "ProcessingJobArn": self._record.get("arn")}
        (ml / "config" / "processingjobconfig.json").write_text(json.dumps(described))
        (ml / "config" / "resourceconfig.json").write_text(json.dumps(resource_config(self._request)))
