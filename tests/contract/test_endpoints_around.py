"""What surrounds an endpoint: configurations, asynchronous invocations, captured data, metrics, resets and restarts."""

import base64
import json
import signal
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.inference import make_model
from tests.contract.local_cloud import LocalCloud, is_alive, until
from tests.contract.test_endpoints import ARN, ECHO, ask, deploy, make_config
from tests.contract.test_transform import transform

EVERYTHING = [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]


@pytest.fixture(scope="module")
def echo(cloud: LocalCloud) -> str:
    """Return a model of factor 2."""
    return make_model(cloud, "echo-around", ECHO)


@pytest.mark.executes("InvokeEndpointAsync")
def test_asynchronous_invocations(cloud: LocalCloud, echo: str) -> None:
    """The answer to an object is written where the call said, a failure beside it, and the topics are told."""
    sns, sqs, runtime = cloud.client("sns"), cloud.client("sqs"), cloud.client("sagemaker-runtime")
    topic = sns.create_topic(Name="async")["TopicArn"]
    queue = sqs.create_queue(QueueName="async")["QueueUrl"]
    address = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=address)
    output = {
        "S3OutputPath": "s3://data/async/out",
        "S3FailurePath": "s3://data/async/failed",
        "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": topic},
    }
    config = make_config(cloud, "async", ("AllTraffic", echo, 1.0), AsyncInferenceConfig={"OutputConfig": output})
    described = deploy(cloud, "async", config)
    assert described["AsyncInferenceConfig"]["OutputConfig"] == output

    accepted = runtime.invoke_endpoint_async(
        EndpointName="async",
        InputLocation=cloud.put("async/in/a", "hello"),
        ContentType="text/csv",
        Accept="application/x-said",
        InferenceId="mine",
    )
    assert (accepted["InferenceId"], accepted["ResponseMetadata"]["HTTPStatusCode"]) == ("mine", 202)
    key = accepted["OutputLocation"].removeprefix("s3://data/")
    until(lambda: key in cloud.keys("async/out/"), "the output")
    said = json.loads(cloud.get(key))
    assert (said["got"], said["as"], said["for"]) == ("hello", "text/csv", "application/x-said")

    refused = runtime.invoke_endpoint_async(
        EndpointName="async", InputLocation=cloud.put("async/in/b", "stone"), ContentType="application/x-fail"
    )
    key = refused["FailureLocation"].removeprefix("s3://data/")
    until(lambda: key in cloud.keys("async/failed/"), "the failure")
    assert b"ValueError: cannot digest stone" in cloud.get(key)

    slow = runtime.invoke_endpoint_async(
        EndpointName="async",
        InputLocation="s3://data/async/in/a",
        ContentType="application/x-slow",
        InvocationTimeoutSeconds=1,
    )
    missing = runtime.invoke_endpoint_async(EndpointName="async", InputLocation="s3://data/async/in/none")
    for call, reason in (
        (slow, b"Your invocation timed out while waiting for a response from container primary."),
        (missing, b"Unable to download s3://data/async/in/none"),
    ):
        key = call["FailureLocation"].removeprefix("s3://data/")
        until(lambda key=key: key in cloud.keys("async/failed/"), "the failure")  # type: ignore[misc]
        assert reason in cloud.get(key)

    told: list[dict[str, Any]] = []

    def all_four() -> bool:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        told.extend(json.loads(json.loads(message["Body"])["Message"]) for message in received)
        return len(told) == 4

    until(all_four, "the notifications")
    by_id = {message["inferenceId"]: message for message in told}
    assert by_id["mine"]["invocationStatus"] == "Completed"
    assert by_id["mine"]["responseParameters"]["outputLocation"] == accepted["OutputLocation"]
    failed = by_id[refused["InferenceId"]]
    assert failed["invocationStatus"] == "Failed"
    assert failed["failureReason"].startswith("ModelError: Received server error (500) from primary")
    with pytest.raises(runtime.exceptions.ValidationError, match="is an asynchronous endpoint"):
        ask(cloud, "async")


@pytest.mark.executes("CreateEndpointConfig", "InvokeEndpoint")
def test_captured_data(cloud: LocalCloud, echo: str) -> None:
    """With data capture every invocation leaves a line in S3, in Model Monitor's format, under endpoint and variant."""
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://data/captured",
        "CaptureOptions": EVERYTHING,
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    config = make_config(cloud, "captured", ("AllTraffic", echo, 1.0), DataCaptureConfig=capture)
    described = deploy(cloud, "captured", config)
    assert described["DataCaptureConfig"]["CaptureStatus"] == "Started"
    cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="captured", Body=b"1,2", ContentType="text/csv", Accept="text/x-said", InferenceId="seven"
    )
    (key,) = until(lambda: cloud.keys("captured/"), "a capture file")
    now = datetime.now(UTC)
    hours = {f"captured/captured/AllTraffic/{hour:%Y/%m/%d/%H}" for hour in (now, now - timedelta(hours=1))}
    assert (key.rpartition("/")[0] in hours, key.endswith(".jsonl")) == (True, True)
    record = json.loads(cloud.get(key))
    data, metadata = record["captureData"], record["eventMetadata"]
    assert data["endpointInput"] == {
        "observedContentType": "text/csv",
        "mode": "INPUT",
        "data": "1,2",
        "encoding": "CSV",
    }
    assert (data["endpointOutput"]["observedContentType"], data["endpointOutput"]["encoding"]) == (
        "text/x-said",
        "BASE64",
    )
    assert json.loads(base64.b64decode(data["endpointOutput"]["data"]))["got"] == "1,2"
    assert (metadata["inferenceId"], record["eventVersion"]) == ("seven", "0")


@pytest.mark.executes("InvokeEndpoint")
def test_metrics(cloud: LocalCloud, echo: str) -> None:
    """Invocations, errors and latencies are CloudWatch metrics of the endpoint and its variant."""
    deploy(cloud, "measured", make_config(cloud, "measured", ("AllTraffic", echo, 1.0)))
    for _ in range(3):
        ask(cloud, "measured")
    with pytest.raises(ClientError):
        ask(cloud, "measured", ContentType="application/x-fail")

    def total(metric: str) -> float:
        now = datetime.now(UTC)
        found = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[
                {"Name": "EndpointName", "Value": "measured"},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=86400,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in found["Datapoints"]))

    until(lambda: total("Invocations") == 4, "the metrics of four invocations")
    assert (total("Invocation5XXErrors"), total("Invocation4XXErrors")) == (1, 0)
    assert total("ModelLatency") > 0


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"ModelName": "nobody"}, f'Could not find model "{ARN}:model/nobody"'),
    "type": ({"InstanceType": "ml.tiny"}, "Value 'ml.tiny' at 'productionVariants.1.member.instanceType' failed"),
    "both": (
        {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1}},
        "cannot have both ServerlessConfig and InstanceType",
    ),
    "memory": (
        {
            "InstanceType": None,
            "InitialInstanceCount": None,
            "ServerlessConfig": {"MemorySizeInMB": 2000, "MaxConcurrency": 1},
        },
        "Value '2000' at 'productionVariants.1.member.serverlessConfig.memorySizeInMB' failed",
    ),
    "nothing": (
        {"InstanceType": None, "InitialInstanceCount": None},
        "requires InstanceType and InitialInstanceCount, or ServerlessConfig",
    ),
    "startup": (
        {"ContainerStartupHealthCheckTimeoutInSeconds": 4000},
        "Value '4000' at 'productionVariants.1.member.containerStartupHealthCheckTimeoutInSeconds' failed",
    ),
    "scaling": (
        {"ManagedInstanceScaling": {"Status": "ENABLED"}},
        "does not run ManagedInstanceScaling of a production variant",
    ),
}


@pytest.mark.refuses("CreateEndpointConfig")
@pytest.mark.parametrize("case", REFUSED)
def test_refused_configurations(cloud: LocalCloud, echo: str, case: str) -> None:
    """A variant that AWS or the local cloud cannot serve is refused with the configuration."""
    change, message = REFUSED[case]
    variant = {"VariantName": "a", "ModelName": echo, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    with pytest.raises(ClientError, match=message) as refusal:
        cloud.client("sagemaker").create_endpoint_config(
            EndpointConfigName=f"refused-{case}",
            ProductionVariants=[{field: value for field, value in (variant | change).items() if value is not None}],
        )
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.refuses("CreateEndpointConfig", "DescribeEndpointConfig", "DeleteEndpointConfig")
def test_refused_names(cloud: LocalCloud, echo: str) -> None:
    """Taken, doubled and unknown names are refused in AWS's words."""
    sagemaker = cloud.client("sagemaker")
    make_config(cloud, "taken", ("a", echo, 1.0))
    with pytest.raises(ClientError, match=f'already existing endpoint configuration "{ARN}:endpoint-config/taken"'):
        make_config(cloud, "taken", ("a", echo, 1.0))
    with pytest.raises(ClientError, match='The variant name "a" was non-unique'):
        make_config(cloud, "doubled", ("a", echo, 1.0), ("a", echo, 1.0))
    sagemaker.delete_endpoint_config(EndpointConfigName="taken")
    for operation in (sagemaker.describe_endpoint_config, sagemaker.delete_endpoint_config):
        with pytest.raises(ClientError, match=f'Could not find endpoint configuration "{ARN}:endpoint-config/taken"'):
            operation(EndpointConfigName="taken")


@pytest.mark.verify
@pytest.mark.executes("CreateEndpointConfig", "CreateEndpoint", "InvokeEndpoint")
def test_serverless(cloud: LocalCloud, echo: str) -> None:
    """A serverless variant is one process; what it asks for is described."""
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    variant = {"VariantName": "AllTraffic", "ModelName": echo, "ServerlessConfig": serverless}
    cloud.client("sagemaker").create_endpoint_config(EndpointConfigName="serverless", ProductionVariants=[variant])
    described = deploy(cloud, "serverless", "serverless")
    assert described["ProductionVariants"][0]["CurrentServerlessConfig"] == serverless
    assert ask(cloud, "serverless")["factor"] == 2


@pytest.mark.refuses("CreateEndpoint", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities")
def test_quota(cloud: LocalCloud, echo: str) -> None:
    """Instances beyond the quota are refused in AWS's words; an update counts the new ones beside the old ones."""
    sagemaker = cloud.client("sagemaker")
    variant = {"VariantName": "a", "ModelName": echo, "InstanceType": "ml.c5.large", "InitialInstanceCount": 1}
    config = "limited"
    sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
    with cloud.conditions(quotas={"endpoint": {"ml.c5.large": 1}}):
        deploy(cloud, "first", config)
        refusals = [
            lambda: sagemaker.create_endpoint(EndpointName="second", EndpointConfigName=config),
            lambda: sagemaker.update_endpoint(EndpointName="first", EndpointConfigName=config),
            lambda: sagemaker.update_endpoint_weights_and_capacities(
                EndpointName="first", DesiredWeightsAndCapacities=[{"VariantName": "a", "DesiredInstanceCount": 2}]
            ),
        ]
        for refused in refusals:
            with pytest.raises(ClientError) as refusal:
                refused()
            assert refusal.value.response["Error"]["Code"] == "ResourceLimitExceeded"
            assert refusal.value.response["Error"]["Message"].startswith(
                "The account-level service limit 'ml.c5.large for endpoint usage' is 1 Instances, with current "
                "utilization of 1 Instances and a request delta of 1 Instances."
            )


def test_results_that_are_queued_at_moto(cloud: LocalCloud) -> None:
    """What a user of moto queued as an endpoint's answer is answered, whether the endpoint exists or not."""
    results = {"results": [{"Body": "queued", "ContentType": "text/x", "InvokedProductionVariant": "v"}]}
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{cloud.endpoint}/moto-api/static/sagemaker/endpoint-results",
        json.dumps(results).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        assert answer.status == 201
    runtime = cloud.client("sagemaker-runtime")
    assert runtime.invoke_endpoint(EndpointName="imagined", Body="x")["Body"].read() == b"queued"


@pytest.mark.verify
@pytest.mark.executes("CreateEndpoint", "InvokeEndpoint")
def test_reset(start_cloud: Any) -> None:
    """A reset ends the endpoints' processes and frees their names."""
    cloud: LocalCloud = start_cloud()
    model = make_model(cloud, "echo", ECHO)
    deploy(cloud, "reset", make_config(cloud, "reset", ("AllTraffic", model, 1.0)))
    pid = ask(cloud, "reset")["pid"]
    reset = urllib.request.Request(f"{cloud.endpoint}/moto-api/reset", method="POST")  # noqa: S310 - loopback
    urllib.request.urlopen(reset).close()  # noqa: S310 - loopback
    until(lambda: not is_alive(pid), "the end of the process")
    assert cloud.client("sagemaker").list_endpoints()["Endpoints"] == []
    with pytest.raises(ClientError, match="Endpoint reset of account"):
        ask(cloud, "reset")
    cloud.client("s3").create_bucket(Bucket="data")
    make_model(cloud, "echo", ECHO)
    deploy(cloud, "reset", make_config(cloud, "reset", ("AllTraffic", model, 1.0)))
    pid = ask(cloud, "reset")["pid"]
    assert cloud.end() == 0
    assert not is_alive(pid)


@pytest.mark.verify
@pytest.mark.executes("CreateEndpoint", "InvokeEndpoint", "CreateTransformJob")
def test_without_user_namespaces(start_cloud: Any) -> None:
    """Endpoints, and several instances of a transform, work where /opt/ml is rewritten to real paths."""
    cloud: LocalCloud = start_cloud("--isolation", "paths")
    model = make_model(cloud, "echo", ECHO)
    deploy(cloud, "paths", make_config(cloud, "paths", ("AllTraffic", model, 1.0)))
    assert ask(cloud, "paths")["factor"] == 2
    for name in "ab":
        cloud.put(f"paths/in/{name}", name)
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
    transform(cloud, "paths", model, TransformResources=resources)
    assert cloud.finished("Transform", "paths")["TransformJobStatus"] == "Completed"
    assert [json.loads(cloud.get(f"paths/out/{name}.out"))["got"] for name in "ab"] == ["a", "b"]


@pytest.mark.verify
@pytest.mark.executes("CreateEndpoint")
def test_killed_server(start_cloud: Any) -> None:
    """An endpoint's process does not outlive a server that is killed."""
    cloud: LocalCloud = start_cloud()
    model = make_model(cloud, "echo", ECHO)
    deploy(cloud, "orphan", make_config(cloud, "orphan", ("AllTraffic", model, 1.0)))
    pid = ask(cloud, "orphan")["pid"]
    cloud.end(signal.SIGKILL)
    until(lambda: not is_alive(pid), "the end of the process")
