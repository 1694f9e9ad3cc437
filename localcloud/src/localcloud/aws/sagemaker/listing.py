"""What is done with training and processing jobs that are there: list, tag, delete.

moto pages before it filters, sorts by nothing, leaves fields of the summaries out, adds a tag a second time, and fails
on tags of what does not exist.
"""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ResourceInUseException, ResourceNotFound, ValidationError

from localcloud.aws.sagemaker.constraints import check_constraints
from localcloud.aws.sagemaker.front import Front, JobKind
from localcloud.aws.sagemaker.hosting.listing import listed
from localcloud.aws.sagemaker.jobs.records import IN_PROGRESS, STOPPING
from localcloud.aws.sagemaker.processing.api import PROCESSING
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
_MOST_TAGS = 50


class JobListings(Front):
    """List, delete and tag."""

    def list_training_jobs(self) -> ActionResult:
        """List training jobs: a page of them is taken before those of a status are, as AWS documents it."""
        request = self._checked("ListTrainingJobs")
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
            self._checked("ListProcessingJobs"),
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

    def list_tags(self) -> ActionResult:
        """List a resource's tags."""
        resource = self._tagged_item()
        return self._by_moto(super().list_tags) if resource is None else ActionResult({"Tags": resource.tags or []})

    def add_tags(self) -> ActionResult:
        """Set tags of a resource; one of the same key is replaced."""
        resource = self._tagged_item()
        if resource is None:
            return self._by_moto(super().add_tags)
        added = self._checked("AddTags")["Tags"]
        keys = {tag["Key"] for tag in added}
        tags = [tag for tag in resource.tags or [] if tag["Key"] not in keys] + added
        if len(tags) > _MOST_TAGS:
            message = f"The number of tags on a resource cannot exceed {_MOST_TAGS}."
            raise ValidationError(message)
        resource.tags = tags
        return ActionResult({"Tags": tags})

    def delete_tags(self) -> ActionResult:
        """Remove tags of a resource; keys that it does not have are no mistake."""
        resource = self._tagged_item()
        if resource is None:
            return self._by_moto(super().delete_tags)
        removed = self._checked("DeleteTags")["TagKeys"]
        resource.tags = [tag for tag in resource.tags or [] if tag["Key"] not in removed]
        return EmptyResult()

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

    def _checked(self, operation: str) -> dict[str, Any]:
        request = self.request_body()
        check_constraints(operation, request)
        return request

    def _tagged_item(self) -> Any:
        """Return the resource whose tags a request is about; None when other parts know it."""
        arn = str(self._get_param("ResourceArn"))
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if kind not in _TAGGED:
            return None
        table = getattr(self.sagemaker_backend, _TAGGED[kind])
        resource = table.get(name)
        if resource is None or resource.arn != arn:
            resource = next((item for item in table.values() if item.arn == arn), None)
        if resource is None:
            raise _no_resource(arn)
        return resource

    def _by_moto(self, operation: Callable[[], ActionResult]) -> ActionResult:
        """Let moto do it for its own records; it breaks where it knows none."""
        try:
            return operation()
        except (AttributeError, KeyError, ValueError) as error:
            raise _no_resource(self._get_param("ResourceArn")) from error


def _no_resource(arn: str) -> ValidationError:
    return ValidationError(f"Could not find resource {arn}.")


def _given(**fields: Any) -> dict[str, Any]:
    return {field: value for field, value in fields.items() if value is not None}
