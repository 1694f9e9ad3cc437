"""The operations of batch transform jobs that differ from moto's."""

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.front import JobKind, RunningJobs, close_interrupted
from localcloud.aws.sagemaker.hosting.models import Models
from localcloud.aws.sagemaker.jobs.checks import check_image
from localcloud.aws.sagemaker.jobs.records import Record, utc_now
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
    """Create, describe, stop."""

    def create_transform_job(self) -> ActionResult:
        """Store and start a batch transform job."""
        request = self.request_body()
        containers, role = self.model_containers(request["ModelName"])
        for container in containers:
            check_image(container.get("Image", ""))
        check_transform(request, self.running.connections.objects(), role, self.region)

        def run(record: Record) -> Work:
            return TransformRun(self.surroundings(), record, request, containers)

        return self.create_job(TRANSFORM, super().create_transform_job, run)

    def describe_transform_job(self) -> ActionResult:
        """Word an unknown name as AWS does."""
        self.known_job(TRANSFORM)
        return super().describe_transform_job()

    def stop_transform_job(self) -> EmptyResult:
        """Stop a batch transform job (absent from moto)."""
        return self.stop_job(TRANSFORM)


def resume(backend: SageMakerModelBackend, running: RunningJobs) -> None:  # noqa: ARG001 - every part's signature
    """After a restart: close the jobs that were running."""
    close_interrupted(backend, TRANSFORM, transform_end_time=utc_now())
