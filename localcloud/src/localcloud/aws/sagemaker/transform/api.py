"""The operations of batch transform jobs that differ from moto's."""

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.constraints import check_constraints
from localcloud.aws.sagemaker.front import JobKind, RunningJobs, close_interrupted
from localcloud.aws.sagemaker.hosting.models import Models
from localcloud.aws.sagemaker.jobs.checks import check_image
from localcloud.aws.sagemaker.jobs.cluster import read_cluster
from localcloud.aws.sagemaker.jobs.records import Record, utc_now
from localcloud.aws.sagemaker.pages import listed
from localcloud.aws.sagemaker.transform.checks import check_transform
from localcloud.aws.sagemaker.transform.run import TransformRun
from localcloud.engine.engine import Work

TRANSFORM = JobKind(
    word="transform",
    name_field="TransformJobName",
    table="transform_jobs",
    status_field="transform_job_status",
    taken="Job name must be unique within an AWS account and region, and a job",
    unknown="Could not find requested job with name: {name}",
)


class TransformJobs(Models):
    """Create, describe, list, stop."""

    def create_transform_job(self) -> ActionResult:
        """Store and start a batch transform job."""
        request = self.request_body()
        containers, role = self.model_containers(request["ModelName"])
        for container in containers:
            check_image(container.get("Image", ""))
        check_transform(request, self.running.connections.objects(), role, self.region)

        def run(record: Record) -> Work:
            return TransformRun(self.surroundings(), record, request, containers)

        hosts = read_cluster(request["TransformResources"]).hosts()
        return self.create_job(TRANSFORM, super().create_transform_job, run, hosts)

    def describe_transform_job(self) -> ActionResult:
        """Word an unknown name as AWS does."""
        return self.describe_job(TRANSFORM, super().describe_transform_job)

    def list_transform_jobs(self) -> ActionResult:
        """List batch transform jobs (moto sorts by name only)."""
        request = self.request_body()
        check_constraints("ListTransformJobs", request)
        found, token = listed(
            self.table(TRANSFORM).values(),
            request,
            lambda job: str(job.transform_job_name),
            status=lambda job: str(job.transform_job_status),
        )
        return ActionResult({"TransformJobSummaries": [_summary(job) for job in found], "NextToken": token})

    def stop_transform_job(self) -> EmptyResult:
        """Stop a batch transform job (absent from moto)."""
        return self.stop_job(TRANSFORM)


def _summary(job: Any) -> dict[str, Any]:
    summary = {
        "TransformJobName": job.transform_job_name,
        "TransformJobArn": job.arn,
        "CreationTime": job.creation_time,
        "TransformEndTime": job.transform_end_time,
        "LastModifiedTime": job.last_modified_time,
        "TransformJobStatus": job.transform_job_status,
        "FailureReason": job.failure_reason,
    }
    return {field: value for field, value in summary.items() if value is not None}


def resume(backend: SageMakerModelBackend, running: RunningJobs) -> None:  # noqa: ARG001 - every part's signature
    """After a restart: close the jobs that were running."""
    close_interrupted(backend, TRANSFORM, transform_end_time=utc_now())
