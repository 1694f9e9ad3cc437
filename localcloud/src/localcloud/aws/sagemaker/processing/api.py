"""The operations of processing jobs that differ from moto's."""

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.front import Front, JobKind, RunningJobs, close_interrupted
from localcloud.aws.sagemaker.jobs.cluster import check_network, read_cluster
from localcloud.aws.sagemaker.jobs.records import Record, utc_now
from localcloud.aws.sagemaker.processing.checks import check_processing
from localcloud.aws.sagemaker.processing.run import ProcessingRun
from localcloud.engine.engine import Work

PROCESSING = JobKind(
    word="processing",
    name_field="ProcessingJobName",
    table="processing_jobs",
    status_field="processing_job_status",
    taken="Job name must be unique within an AWS account and region, and a job",
    unknown="Could not find requested job with name: {name}",
)


class ProcessingJobs(Front):
    """Create, describe, stop."""

    def create_processing_job(self) -> ActionResult:
        """Store and start a processing job."""
        request = self.request_body()
        image = check_processing(request)
        resources = request["ProcessingResources"]["ClusterConfig"]
        check_network(request.get("NetworkConfig") or {}, resources, self.running.engine.isolation)
        cluster = read_cluster(resources)

        def run(record: Record) -> Work:
            return ProcessingRun(self.surroundings(), record, request, image, cluster)

        return self.create_job(PROCESSING, super().create_processing_job, run, cluster.hosts())

    def describe_processing_job(self) -> ActionResult:
        """Word an unknown name as AWS does."""
        return self.describe_job(PROCESSING, super().describe_processing_job)

    def stop_processing_job(self) -> EmptyResult:
        """Stop a processing job."""
        return self.stop_job(PROCESSING)


def resume(backend: SageMakerModelBackend, running: RunningJobs) -> None:  # noqa: ARG001 - every part's signature
    """After a restart: close the jobs that were running."""
    close_interrupted(backend, PROCESSING, processing_end_time=utc_now())
