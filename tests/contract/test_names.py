"""Names that do not exist and names that cannot exist, for each resource: in AWS's words."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.local_cloud import LocalCloud

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
NO_JOB = "Could not find requested job with name: nowhere"
NO_TUNING_JOB = "Amazon SageMaker can't find a tuning job called nowhere. Type another name."
NO_PIPELINE = f"Pipeline '{ARN}:pipeline/nowhere' does not exist."
# operation, field, and the error for the name `nowhere`
UNKNOWN = [
    ("describe_training_job", "TrainingJobName", "ValidationException", "Requested resource not found."),
    ("stop_training_job", "TrainingJobName", "ValidationException", "Requested resource not found."),
    ("delete_training_job", "TrainingJobName", "ResourceNotFound", "Requested resource not found."),
    ("describe_processing_job", "ProcessingJobName", "ValidationException", NO_JOB),
    ("stop_processing_job", "ProcessingJobName", "ValidationException", NO_JOB),
    ("delete_processing_job", "ProcessingJobName", "ResourceNotFound", NO_JOB),
    ("describe_transform_job", "TransformJobName", "ValidationException", NO_JOB),
    ("stop_transform_job", "TransformJobName", "ValidationException", NO_JOB),
    ("describe_hyper_parameter_tuning_job", "HyperParameterTuningJobName", "ResourceNotFound", NO_TUNING_JOB),
    ("stop_hyper_parameter_tuning_job", "HyperParameterTuningJobName", "ResourceNotFound", NO_TUNING_JOB),
    ("describe_model", "ModelName", "ValidationException", f'Could not find model "{ARN}:model/nowhere".'),
    ("delete_model", "ModelName", "ValidationException", f'Could not find model "{ARN}:model/nowhere".'),
    ("describe_endpoint", "EndpointName", "ValidationException", f'Could not find endpoint "{ARN}:endpoint/nowhere".'),
    ("delete_endpoint", "EndpointName", "ValidationException", f'Could not find endpoint "{ARN}:endpoint/nowhere".'),
    (
        "describe_endpoint_config",
        "EndpointConfigName",
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/nowhere".',
    ),
    (
        "delete_endpoint_config",
        "EndpointConfigName",
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/nowhere".',
    ),
    ("describe_pipeline", "PipelineName", "ResourceNotFound", NO_PIPELINE),
    ("list_pipeline_executions", "PipelineName", "ResourceNotFound", NO_PIPELINE),
    (
        "describe_model_package_group",
        "ModelPackageGroupName",
        "ValidationException",
        f"ModelPackageGroup {ARN}:model-package-group/nowhere does not exist.",
    ),
    (
        "describe_model_package",
        "ModelPackageName",
        "ValidationException",
        f"ModelPackage {ARN}:model-package/nowhere does not exist.",
    ),
    (
        "describe_experiment",
        "ExperimentName",
        "ResourceNotFound",
        f"Experiment '{ARN}:experiment/nowhere' does not exist.",
    ),
    (
        "describe_feature_group",
        "FeatureGroupName",
        "ResourceNotFound",
        "Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name nowhere.",
    ),
]


def error_of(cloud: LocalCloud, method: str, **request: Any) -> tuple[str, str]:
    """Return code and message of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        getattr(cloud.client("sagemaker"), method)(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(("method", "field", "code", "message"), UNKNOWN, ids=[case[0] for case in UNKNOWN])
def test_unknown_name(cloud: LocalCloud, method: str, field: str, code: str, message: str) -> None:
    """A resource that does not exist is refused with AWS's code and words."""
    assert error_of(cloud, method, **{field: "nowhere"}) == (code, message)


@pytest.mark.parametrize(("method", "field"), [case[:2] for case in UNKNOWN])
def test_impossible_name(cloud: LocalCloud, method: str, field: str) -> None:
    """A name that no resource can have is told apart from one that none has."""
    code, message = error_of(cloud, method, **{field: "under_score!"})
    assert code == "ValidationException"
    member = field[0].lower() + field[1:]
    assert message.startswith(
        f"1 validation error detected: Value 'under_score!' at '{member}' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: "
    )


@pytest.mark.refuses("ListTrainingJobs", "CreateTrainingJob")
def test_impossible_values(cloud: LocalCloud) -> None:
    """Values outside the API's enumerations and lengths are refused, all that are wrong at once."""
    code, message = error_of(cloud, "list_training_jobs", StatusEquals="Done", SortOrder="Upwards")
    assert code == "ValidationException"
    assert message.startswith("2 validation errors detected: Value 'Done' at 'statusEquals' failed to satisfy ")
    assert "Member must satisfy enum value set: [Ascending, Descending]" in message
