"""Every operation of SageMaker and of the services beside it is carried out or refused at once, never broken."""

import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

from localcloud.clients import client_environment
from tests.contract.local_cloud import ROLE, LocalCloud

SERVICES = [name for name in get_session().get_available_services() if name.startswith("sagemaker")]
NOWHERE = "arn:aws:sagemaker:us-east-1:123456789012:thing/swept-nothing-here-0"
# a refusal is quick: botocore would otherwise retry for many seconds
QUICK_SECONDS = 2.0


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, _environments: None) -> Iterator[LocalCloud]:
    """Return a cloud that other tests do not look into: the sweep creates what it can."""
    running = LocalCloud(tmp_path_factory.mktemp("swept") / "root")
    yield running
    running.end()


def minimal(shape: Any, name: str = "") -> Any:
    """Return a value that botocore lets pass for a shape: only what is required."""
    least = shape.metadata.get("min", 1)
    if shape.type_name == "structure":
        # of a union one member has to be given
        fields = list(shape.members)[:1] if shape.is_tagged_union else shape.required_members
        return {field: minimal(shape.members[field], field) for field in fields}
    if shape.type_name == "string":
        if getattr(shape, "enum", None):
            return shape.enum[0]
        return NOWHERE if "Arn" in name else "swept-nothing".ljust(least, "x")
    if shape.type_name == "list":
        return [minimal(shape.member, name)] * max(1, least)
    simple = {"integer": max(1, least), "long": max(1, least), "float": 1.0, "double": 1.0, "boolean": True}
    return {**simple, "timestamp": 1_700_000_000, "blob": b"x", "map": {}}[shape.type_name]


def client_of(cloud: LocalCloud, service: str) -> Any:
    """Return a client that, like everyone's, retries what it takes for a passing failure."""
    values = client_environment(cloud.endpoint)
    return boto3.Session().client(
        service,  # type: ignore[call-overload]
        endpoint_url=values["AWS_ENDPOINT_URL"],
        region_name=values["AWS_REGION"],
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
        config=Config(inject_host_prefix=False),
    )


def sweep(cloud: LocalCloud, service: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Call all operations of a service; yield each one's name and its error."""
    client = client_of(cloud, service)
    methods = {api: method for method, api in client.meta.method_to_api_mapping.items()}
    for operation in client.meta.service_model.operation_names:
        shape = client.meta.service_model.operation_model(operation).input_shape
        try:
            getattr(client, methods[operation])(**(minimal(shape) if shape else {}))
        except ClientError as error:
            yield operation, dict(error.response)
        else:
            yield operation, None


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_answers(swept: LocalCloud, service: str) -> None:
    """An operation with nothing but its required fields succeeds, or is refused with a 4xx in JSON and no retry."""
    for operation, response in sweep(swept, service):
        if response is None:
            continue
        error, metadata = response["Error"], response["ResponseMetadata"]
        assert metadata["HTTPStatusCode"] < HTTPStatus.INTERNAL_SERVER_ERROR, (operation, error)
        assert metadata["RetryAttempts"] == 0, operation
        assert metadata["HTTPHeaders"]["content-type"].startswith("application/"), (operation, error)
        if error["Code"] == "UnsupportedOperation":
            assert operation in error["Message"]


@pytest.mark.refuses("CreateAutoMLJob", "CreateAutoMLJobV2", "CreateCompilationJob")
def test_what_would_only_be_pretended(cloud: LocalCloud) -> None:
    """Jobs that nothing here runs are not created: their absence is told when they are asked for."""
    sagemaker = cloud.client("sagemaker")
    output = {"S3OutputPath": f"s3://{cloud.bucket}/automl/"}
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{cloud.bucket}/rows/"}}
    requests: dict[str, dict[str, Any]] = {
        "create_auto_ml_job": {
            "AutoMLJobName": "pretended",
            "InputDataConfig": [{"DataSource": source, "TargetAttributeName": "y"}],
            "OutputDataConfig": output,
            "RoleArn": ROLE,
        },
        "create_auto_ml_job_v2": {
            "AutoMLJobName": "pretended",
            "AutoMLJobInputDataConfig": [{"ChannelType": "training", "DataSource": source}],
            "AutoMLProblemTypeConfig": {"TabularJobConfig": {"TargetAttributeName": "y"}},
            "OutputDataConfig": output,
            "RoleArn": ROLE,
        },
        "create_compilation_job": {
            "CompilationJobName": "pretended",
            "RoleArn": ROLE,
            "InputConfig": {"S3Uri": f"s3://{cloud.bucket}/m.tar.gz", "Framework": "XGBOOST"},
            "OutputConfig": {"S3OutputLocation": f"s3://{cloud.bucket}/compiled/", "TargetDevice": "ml_m5"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 900},
        },
    }
    for method, request in requests.items():
        with pytest.raises(ClientError, match="localcloud does not run") as caught:
            getattr(sagemaker, method)(**request)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert sagemaker.list_auto_ml_jobs()["AutoMLJobSummaries"] == []
    assert sagemaker.list_compilation_jobs()["CompilationJobSummaries"] == []


@pytest.mark.parametrize(
    ("service", "method", "named"),
    [
        ("sagemaker", "create_labeling_job", "CreateLabelingJob"),
        ("sagemaker", "stop_job", "StopJob"),
        ("sagemaker-featurestore-runtime", "get_record", "GetRecord of sagemaker-featurestore-runtime"),
        ("sagemaker-a2i-runtime", "start_human_loop", "StartHumanLoop of sagemaker-a2i-runtime"),
    ],
)
def test_refusal_names_the_operation(cloud: LocalCloud, service: str, method: str, named: str) -> None:
    """What is not implemented is said by name, at once."""
    client = client_of(cloud, service)
    operation = client.meta.method_to_api_mapping[method]
    request = minimal(client.meta.service_model.operation_model(operation).input_shape)
    began = time.monotonic()
    with pytest.raises(ClientError, match=named) as caught:
        getattr(client, method)(**request)
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"
    assert time.monotonic() - began < QUICK_SECONDS


@pytest.mark.parametrize(
    ("service", "method"),
    [
        ("iam", "generate_service_last_accessed_details"),
        ("sns", "list_origination_numbers"),
        ("ec2", "describe_address_transfers"),
        ("sqs", "list_message_move_tasks"),
    ],
)
def test_refusals_of_other_services(cloud: LocalCloud, service: str, method: str) -> None:
    """What moto's other services lack is refused in the protocol that the service's client reads."""
    client = client_of(cloud, service)
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    with pytest.raises(ClientError, match="localcloud: not implemented") as caught:
        getattr(client, method)(**minimal(shape))
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"
