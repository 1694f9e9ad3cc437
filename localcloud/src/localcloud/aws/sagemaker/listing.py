"""What is done with training and processing jobs that are there: list, tag, delete.

moto pages before it filters, sorts by nothing, and leaves fields of the summaries out.
"""

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ResourceInUseException, ResourceNotFound

from localcloud.aws.sagemaker.front import JobKind
from localcloud.aws.sagemaker.jobs.records import IN_PROGRESS, STOPPING
from localcloud.aws.sagemaker.pages import listed
from localcloud.aws.sagemaker.processing.api import PROCESSING
from localcloud.aws.sagemaker.tags import Tagged, Tags, no_resource
from localcloud.aws.sagemaker.training.api import TRAINING

# moto's tables of what has tags, by the kind in an ARN
_TAGGED = {
    "training-job": "training_jobs",
    "processing-job": "processing_jobs",
    "transform-job": "transform_jobs",
    "hyper-parameter-tuning-job": "hyper_parameter_tuning_jobs",
    "model": "_models",
    "endpoint": "endpoints",
    "endpoint-config": "endpoint_configs",
    "pipeline": "pipelines",
}


class JobListings(Tags):
    """List, delete and tag."""

    def list_training_jobs(self) -> ActionResult:
        """List training jobs: a page of them is taken before those of a status are, as AWS documents it."""
        request = self.request_body()
        wanted = request.pop("StatusEquals", None)
        # no job here keeps its instances or was promised some
        some = request.keys().isdisjoint({"WarmPoolStatusEquals", "TrainingPlanArnEquals"})
        found, token = listed(
            self.table(TRAINING).values() if some else (),
            request,
            lambda job: str(job.training_job_name),
            status=lambda job: str(job.training_job_status),
        )
        summaries = [
            _given(
                TrainingJobName=job.training_job_name,
                TrainingJobArn=job.arn,
                CreationTime=job.creation_time,
                TrainingEndTime=job.training_end_time,
                LastModifiedTime=job.last_modified_time,
                TrainingJobStatus=job.training_job_status,
                SecondaryStatus=job.secondary_status,
            )
            for job in found
            if wanted in {None, job.training_job_status}
        ]
        return ActionResult({"TrainingJobSummaries": summaries, "NextToken": token})

    def list_processing_jobs(self) -> ActionResult:
        """List processing jobs."""
        found, token = listed(
            self.table(PROCESSING).values(),
            self.request_body(),
            lambda job: str(job.processing_job_name),
            status=lambda job: str(job.processing_job_status),
        )
        summaries = [
            _given(
                ProcessingJobName=job.processing_job_name,
                ProcessingJobArn=job.arn,
                CreationTime=job.creation_time,
                ProcessingEndTime=job.processing_end_time,
                LastModifiedTime=job.last_modified_time,
                ProcessingJobStatus=job.processing_job_status,
                FailureReason=job.failure_reason,
                ExitMessage=job.exit_message,
            )
            for job in found
        ]
        return ActionResult({"ProcessingJobSummaries": summaries, "NextToken": token})

    def delete_training_job(self) -> EmptyResult:
        """Delete a training job that has ended; its name is free again (absent from moto)."""
        return self._delete_job(TRAINING)

    def delete_processing_job(self) -> EmptyResult:
        """Delete a processing job that has ended; its name is free again (absent from moto)."""
        return self._delete_job(PROCESSING)

    def tagged(self, arn: str, *, change: bool) -> Tagged | None:
        """Return a job, model, endpoint, configuration or pipeline."""
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if kind not in _TAGGED:
            return super().tagged(arn, change=change)
        table = getattr(self.sagemaker_backend, _TAGGED[kind])
        resource: Any = table.get(name)
        if resource is None or resource.arn != arn:
            resource = next((item for item in table.values() if item.arn == arn), None)
        if resource is None:
            raise no_resource(arn)
        resource.tags = resource.tags or []  # moto keeps None for a transform job without tags
        return resource  # type: ignore[no-any-return] # moto's records

    def _delete_job(self, kind: JobKind) -> EmptyResult:
        name, table = self._get_param(kind.name_field), self.table(kind)
        with self.running.creating:
            if name not in table:
                raise ResourceNotFound(kind.unknown.format(name=name))
            status = getattr(table[name], kind.status_field)
            if status in {IN_PROGRESS, STOPPING}:
                message = f"The {kind.word} job {table[name].arn} cannot be deleted because it is in status {status}."
                raise ResourceInUseException(message)
            del table[name]
        return EmptyResult()


def _given(**fields: Any) -> dict[str, Any]:
    return {field: value for field, value in fields.items() if value is not None}
