"""One processing job: inputs fetched, the container's own command run on each host, outputs uploaded.

Purpose: what a processing container meets on AWS (files, variables, limits) and what the API reports.

What it does not do: Athena, Redshift and feature store inputs or outputs. Outputs with S3UploadMode EndOfJob are not
uploaded when the job fails, and are when it is stopped; with Continuous they are uploaded as they appear. What is
AppManaged is left to the program. Hosts that write outputs of one path overwrite each other, as on AWS. A job that
exceeds MaxRuntimeInSeconds is Stopped, as the API's reference says.
"""

import contextlib
import json
from collections.abc import Iterator

from localcloud.aws.sagemaker.jobs.cluster import Cluster
from localcloud.aws.sagemaker.jobs.continuous import ContinuousUpload
from localcloud.aws.sagemaker.jobs.execution import Request, Surroundings, conclude, stream_suffix
from localcloud.aws.sagemaker.jobs.failures import (
    JobFailedError,
    JobStoppedError,
    container_failure,
    keep_end,
    message_of,
)
from localcloud.aws.sagemaker.jobs.joblog import JobLog
from localcloud.aws.sagemaker.jobs.records import Record, utc_now
from localcloud.engine.engine import Job, Outcome, Program
from localcloud.engine.processes import Cause
from localcloud.engine.store import JobStatus
from localcloud.engine.tree import JOB_BASE, JobTree
from localcloud.images import Image

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
DEFAULT_RUNTIME_SECONDS = 86_400
_MESSAGE_LIMIT = 1024


class ProcessingRun:
    """The work of one processing job."""

    def __init__(
        self, surroundings: Surroundings, record: Record, request: Request, image: Image, cluster: Cluster
    ) -> None:
        """Take moto's fresh record and make it one of a job that has just begun."""
        self._surroundings = surroundings
        self._record = record
        self._request = request
        self._image = image
        self._cluster = cluster
        self._name: str = request["ProcessingJobName"]
        outputs = (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
        inputs = request.get("ProcessingInputs") or []
        self._inputs = [item["S3Input"] for item in inputs if not item.get("AppManaged")]
        self._outputs = [item["S3Output"] for item in outputs if not item.get("AppManaged")]
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
        if job.stop.requested:  # it has never had an instance, so it has no log
            self._record.finish(JobStatus.STOPPED, processing_end_time=utc_now())
            return Outcome(JobStatus.STOPPED)
        with contextlib.ExitStack() as stack:
            logs = []
            for host in self._cluster.host_names:
                stream = f"{self._name}/{host}-{stream_suffix()}"
                log = JobLog(self._surroundings.connections, self._surroundings.region, LOG_GROUP, stream)
                stack.callback(log.close)
                logs.append(log)
            outcome = conclude(job, lambda: self._flow(job, logs))
        self._record.finish(outcome.status, failure_reason=outcome.reason, processing_end_time=utc_now())
        return outcome

    def _flow(self, job: Job, logs: list[JobLog]) -> JobStatus:
        for number, tree in enumerate(job.trees):
            self._fill(tree, number)
        environment = self._surroundings.environment(self._image, "", logs[0])
        if job.stop.requested:
            raise JobStoppedError
        self._record.set(processing_start_time=utc_now())
        application = self._request["AppSpecification"]
        offline = bool((self._request.get("NetworkConfig") or {}).get("EnableNetworkIsolation"))
        program = Program(
            argv=[
                *(application.get("ContainerEntrypoint") or self._image.entrypoint),
                *(application.get("ContainerArguments") or []),
            ],
            environment={
                **(self._surroundings.offline_variables() if offline else self._surroundings.variables()),
                "PROCESSING_JOB_NAME": self._name,
                "PROCESSING_JOB_ARN": self._record.get("arn"),
                **(self._request.get("Environment") or {}),
            },
            path=environment.programs,
            offline=offline,
        )
        limit = (self._request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS)
        with self._continuous_outputs(job):
            ending = job.run_cluster([program] * len(job.trees), logs, limit=limit)
        if job.stop.abandoned:
            raise JobStoppedError
        number = ending.failed[0] if ending.failed else 0
        message = job.trees[number].read_text(f"{JOB_BASE}/output/message", _MESSAGE_LIMIT)
        if ending.failed:
            message = message or message_of(logs[number].tail)
        self._record.set(exit_message=keep_end(message, _MESSAGE_LIMIT) or None)
        if ending.failed:
            raise JobFailedError(container_failure(ending.failed[1], message_of(logs[number].tail)))
        for output in self._outputs:
            if not _is_continuous(output):
                for tree in job.trees:
                    self._objects.store_files(tree.files(output["LocalPath"]), output["S3Uri"])
        return JobStatus.COMPLETED if ending.cause is Cause.EXITED else JobStatus.STOPPED

    @contextlib.contextmanager
    def _continuous_outputs(self, job: Job) -> Iterator[None]:
        """Upload what appears while the block runs, and what is left when it has ended."""
        uploads: list[ContinuousUpload] = []
        with contextlib.ExitStack() as stack:
            for output in self._outputs:
                if _is_continuous(output):
                    upload = ContinuousUpload(self._objects, job.trees, output["LocalPath"], output["S3Uri"])
                    uploads.append(upload)
            try:
                yield
            finally:
                for upload in uploads:
                    stack.callback(upload.close, with_rest=not job.stop.abandoned)

    def _fill(self, tree: JobTree, number: int) -> None:
        ml = tree.ml
        for name in ("config", "output", "processing"):
            (ml / name).mkdir()
        for source in self._inputs:
            folder = tree.host_path(source["LocalPath"])
            folder.mkdir(parents=True, exist_ok=True)
            sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
            part = (number, len(self._cluster.instances)) if sharded else (0, 1)
            self._objects.fetch(source["S3DataType"], source["S3Uri"], folder, part)
        for output in self._outputs:
            tree.host_path(output["LocalPath"]).mkdir(parents=True, exist_ok=True)
        described = {**self._request, "ProcessingJobArn": self._record.get("arn")}
        (ml / "config" / "processingjobconfig.json").write_text(json.dumps(described))
        (ml / "config" / "resourceconfig.json").write_text(json.dumps(self._cluster.resource_config(number)))


def _is_continuous(output: Request) -> bool:
    return output.get("S3UploadMode") == "Continuous"
