"""The resources of the cases as boto3 sees them: create, describe, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.contract.operators.cases import Case, request, short

if TYPE_CHECKING:
    from tests.contract.local_cloud import LocalCloud

RUNNING = {"InProgress", "Creating", "Executing"}
NOT_FINAL = {*RUNNING, "Stopping", "Deleting"}


def create(cloud: LocalCloud, case: Case) -> str:
    """Create the resource of a case; return its name, or the ARN of a pipeline's execution."""
    sagemaker = cloud.client("sagemaker")
    if case.kind == "pipeline":
        arn: str = sagemaker.start_pipeline_execution(PipelineName=case.name)["PipelineExecutionArn"]
        return arn
    operations = {"tuning": "create_hyper_parameter_tuning_job", "endpoint": "create_endpoint"}
    getattr(sagemaker, operations.get(case.kind, f"create_{case.kind}_job"))(**request(case))
    return case.name


def describe(cloud: LocalCloud, case: Case) -> tuple[str | None, dict[str, Any]]:
    """Return the status of a case's resource (None while there is none) and its description."""
    sagemaker = cloud.client("sagemaker")
    if case.kind == "pipeline":
        found = sagemaker.list_pipeline_executions(PipelineName=case.name)["PipelineExecutionSummaries"]
        if not found:
            return None, {}
        description = sagemaker.describe_pipeline_execution(PipelineExecutionArn=found[0]["PipelineExecutionArn"])
        return description["PipelineExecutionStatus"], description
    try:
        if case.kind == "tuning":
            description = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=short(case))
            return description["HyperParameterTuningJobStatus"], description
        if case.kind == "endpoint":
            description = sagemaker.describe_endpoint(EndpointName=case.name)
            return description["EndpointStatus"], description
        description = cloud.describe(case.kind.capitalize(), case.name)
    except sagemaker.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in {"ValidationException", "ResourceNotFound"}:
            return None, {}
        raise
    return description[f"{case.kind.capitalize()}JobStatus"], description


def is_running(cloud: LocalCloud, case: Case) -> bool:
    """Whether a case's resource is on its way; a job's program has begun then."""
    status, description = describe(cloud, case)
    is_job = case.kind in {"training", "processing", "transform"}
    return status in RUNNING and (not is_job or f"{case.kind.capitalize()}StartTime" in description)


def stop(cloud: LocalCloud, case: Case) -> None:
    """Stop the resource of a case."""
    sagemaker = cloud.client("sagemaker")
    if case.kind == "pipeline":
        _, description = describe(cloud, case)
        sagemaker.stop_pipeline_execution(PipelineExecutionArn=description["PipelineExecutionArn"])
    elif case.kind == "tuning":
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=short(case))
    else:
        getattr(sagemaker, f"stop_{case.kind}_job")(**{f"{case.kind.capitalize()}JobName": case.name})
