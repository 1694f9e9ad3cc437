"""The operations of pipelines themselves; those of their executions are a module of their own."""

from typing import Any

from botocore.exceptions import ClientError
from moto.core.responses import ActionResult
from moto.sagemaker.exceptions import ConflictException, ResourceNotFound, ValidationError
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.front import Front, RunningJobs
from localcloud.aws.sagemaker.jobs.records import utc_now
from localcloud.aws.sagemaker.pages import listed
from localcloud.aws.sagemaker.pipelines.definition import read_definition
from localcloud.aws.sagemaker.pipelines.records import ExecutionRecord, close_execution


class Pipelines(Front):
    """Create, update, describe, delete, list."""

    def create_pipeline(self) -> ActionResult:
        """Store a pipeline whose definition has been checked."""
        request = self.request_body()
        name, token = request["PipelineName"], request.get("ClientRequestToken")
        definition = self._definition(request)
        if definition is None:
            message = "Either Pipeline Definition or Pipeline Definition S3 location should be provided"
            raise ValidationError(message)
        with self.running.creating:
            known = self.sagemaker_backend.pipelines.get(name)
            if known is not None and token is not None and getattr(known, "client_request_token", None) == token:
                return ActionResult({"PipelineArn": known.arn})
            if known is not None:
                message = (
                    f"Pipeline names must be unique within an AWS account and region. Pipeline with name ({name}) "
                    "already exists."
                )
                raise ValidationError(message)
            backend: Any = self.sagemaker_backend  # whose types do not say what may be left out
            stored = backend.create_pipeline(
                pipeline_name=name,
                pipeline_display_name=request.get("PipelineDisplayName"),
                pipeline_definition=definition,
                pipeline_definition_s3_location=None,
                pipeline_description=request.get("PipelineDescription"),
                role_arn=request["RoleArn"],
                tags=request.get("Tags") or [],
                parallelism_configuration=request.get("ParallelismConfiguration"),
            )
            stored.client_request_token = token
        return ActionResult({"PipelineArn": stored.arn})

    def update_pipeline(self) -> ActionResult:
        """Change what the request gives; executions that run keep the definition they were started with."""
        request = self.request_body()
        stored = self.known_pipeline()
        changes = {
            "pipeline_definition": self._definition(request),
            "pipeline_display_name": request.get("PipelineDisplayName"),
            "pipeline_description": request.get("PipelineDescription"),
            "role_arn": request.get("RoleArn"),
            "parallelism_configuration": request.get("ParallelismConfiguration"),
        }
        for field, value in changes.items():
            if value is not None:
                setattr(stored, field, value)
        stored.last_modified_time = utc_now()
        return ActionResult({"PipelineArn": stored.arn})

    def describe_pipeline(self) -> ActionResult:
        """Describe a pipeline."""
        if self._get_param("PipelineVersionId") is not None:
            message = "localcloud keeps no versions of pipelines: PipelineVersionId cannot be given"
            raise ValidationError(message)
        stored = self.known_pipeline()
        return ActionResult(
            present(
                **_summary(stored),
                PipelineDefinition=stored.pipeline_definition,
                PipelineStatus=stored.pipeline_status,
                LastRunTime=stored.last_execution_time,
                ParallelismConfiguration=stored.parallelism_configuration,
            )
        )

    def delete_pipeline(self) -> ActionResult:
        """Delete a pipeline and its executions, if none of them runs."""
        stored = self.known_pipeline()
        if any(ExecutionRecord(execution).runs for execution in stored.pipeline_executions.values()):
            message = f"Pipeline '{stored.arn}' cannot be deleted because it has running executions."
            raise ConflictException(message)
        del self.sagemaker_backend.pipelines[stored.pipeline_name]
        return ActionResult({"PipelineArn": stored.arn})

    def list_pipelines(self) -> ActionResult:
        """List pipelines (moto makes pages before it filters)."""
        request = listing_request(self.request_body())
        prefix = request.get("PipelineNamePrefix", "")
        found, token = listed(
            [stored for stored in self.sagemaker_backend.pipelines.values() if stored.pipeline_name.startswith(prefix)],
            request,
            lambda stored: str(stored.pipeline_name),
        )
        summaries = [present(**_summary(stored), LastExecutionTime=stored.last_execution_time) for stored in found]
        return ActionResult({"PipelineSummaries": summaries, "NextToken": token})

    def known_pipeline(self) -> Any:
        """Return the pipeline that the request names, by name or ARN; refuse an unknown one in AWS's words."""
        name = self._get_param("PipelineName").rpartition("/")[2]
        if name not in self.sagemaker_backend.pipelines:
            arn = f"arn:{self.partition}:sagemaker:{self.region}:{self.current_account}:pipeline/{name}"
            message = f"Pipeline '{arn}' does not exist."
            raise ResourceNotFound(message)
        return self.sagemaker_backend.pipelines[name]

    def _definition(self, request: dict[str, Any]) -> str | None:
        """Return the checked definition of a request; None when it gives none."""
        text, place = request.get("PipelineDefinition"), request.get("PipelineDefinitionS3Location")
        if text and place:
            message = "Both Pipeline Definition and Pipeline Definition S3 Location shouldn't be present"
            raise ValidationError(message)
        if place:
            where = {"Bucket": place["Bucket"], "Key": place["ObjectKey"]}
            if "VersionId" in place:
                where["VersionId"] = place["VersionId"]
            try:
                body = self.running.connections.client("s3", self.region).get_object(**where)["Body"].read()
            except ClientError as error:
                message = f"Unable to read the pipeline definition from S3: {error.response['Error']['Message']}"
                raise ValidationError(message) from error
            text = body.decode()
        if text:
            read_definition(text)
        return text


def present(**fields: Any) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def listing_request(request: dict[str, Any]) -> dict[str, Any]:
    """Return a List request of pipelines with the names of filters that other List operations have."""
    others = {"CreatedAfter": "CreationTimeAfter", "CreatedBefore": "CreationTimeBefore"}
    return {others.get(name, name): value for name, value in request.items()}


def _summary(stored: Any) -> dict[str, Any]:
    return {
        "PipelineArn": stored.arn,
        "PipelineName": stored.pipeline_name,
        "PipelineDisplayName": stored.pipeline_display_name,
        "PipelineDescription": stored.pipeline_description,
        "RoleArn": stored.role_arn,
        "CreationTime": stored.creation_time,
        "LastModifiedTime": stored.last_modified_time,
    }


def resume(backend: SageMakerModelBackend, running: RunningJobs) -> None:  # noqa: ARG001 - every part's signature
    """After a restart: close the executions that were running."""
    for pipeline in backend.pipelines.values():
        for execution in pipeline.pipeline_executions.values():
            close_execution(execution)
