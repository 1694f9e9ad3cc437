"""What an endpoint does on the local cloud: its life, and the answers to invocations."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.inference import make_model
from tests.contract.local_cloud import LocalCloud, is_alive, until

ACCOUNT = "123456789012"
ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}"
# answers with what it got and who it is
ECHO = """
import json, os, time
def model_fn(folder):
    with open(folder + "/factor.json") as file:
        return json.load(file)["factor"]
class Response:
    status_code = 200
    def __init__(self, body, headers):
        self.body, self.headers = body, headers
    def get_data(self):
        return self.body
def transform_fn(factor, body, content_type, accept):
    if content_type == "application/x-fail":
        raise ValueError("cannot digest " + body.decode())
    if content_type == "application/x-refuse":
        failed = Response(b"not mine", {"Content-Type": "text/plain"})
        failed.status_code = 422
        return failed
    if content_type == "application/x-slow":
        time.sleep(1.5)
    if content_type == "application/x-wait":
        while not os.path.exists(body.decode()):
            time.sleep(0.05)
    if content_type == "application/x-die":
        os._exit(3)
    said = json.dumps({"factor": factor, "pid": os.getpid(), "got": str(body), "as": content_type, "for": accept})
    return Response(said.encode(), {"Content-Type": accept, "X-Amzn-SageMaker-Custom-Attributes": "from-the-model"})
"""
NOT_LOADING = "def model_fn(folder):\n    raise RuntimeError('no such model')\n"


def make_config(cloud: LocalCloud, name: str, *variants: tuple[str, str, float], **request: Any) -> str:
    """Create a configuration of variants (name, model, weight) with one instance each; return its name."""
    cloud.client("sagemaker").create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": variant,
                "ModelName": model,
                "InitialVariantWeight": weight,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m6i.large",
            }
            for variant, model, weight in variants
        ],
        **request,
    )
    return name


def settled(cloud: LocalCloud, name: str) -> dict[str, Any]:
    """Wait until an endpoint is in service or has failed; return its description."""

    def final() -> dict[str, Any] | None:
        found: dict[str, Any] = cloud.client("sagemaker").describe_endpoint(EndpointName=name)
        return found if found["EndpointStatus"] in {"InService", "Failed"} else None

    return until(final, f"the endpoint {name}")


def deploy(cloud: LocalCloud, name: str, config: str) -> dict[str, Any]:
    """Create an endpoint, wait for it, return its description."""
    cloud.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    return settled(cloud, name)


def ask(cloud: LocalCloud, name: str, body: str | bytes = b"1", **request: Any) -> dict[str, Any]:
    """Invoke an endpoint of the model ECHO; return what the model says."""
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, **request)
    said: dict[str, Any] = json.loads(answer["Body"].read())
    return said


def stream_lines(cloud: LocalCloud, group: str) -> dict[str, list[str]]:
    """Return the lines of a log group by stream."""
    logs = cloud.client("logs")
    return {
        stream["logStreamName"]: [
            event["message"]
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
    }


@pytest.fixture(scope="module")
def echo(cloud: LocalCloud) -> str:
    """Return a model of factor 2."""
    return make_model(cloud, "echo", ECHO)


@pytest.fixture(scope="module")
def other(cloud: LocalCloud) -> str:
    """Return a model of factor 3."""
    return make_model(cloud, "other", ECHO, factor=3)


@pytest.fixture(scope="module")
def config(cloud: LocalCloud, echo: str) -> str:
    """Return a configuration of one variant of factor 2."""
    return make_config(cloud, "one", ("AllTraffic", echo, 1.0))


@pytest.fixture(scope="module")
def endpoint(cloud: LocalCloud, config: str) -> str:
    """Return an endpoint in service."""
    assert deploy(cloud, "shared", config)["EndpointStatus"] == "InService"
    return "shared"


@pytest.mark.executes("CreateEndpoint", "CreateEndpointConfig", "DescribeEndpoint", "InvokeEndpoint")
def test_invocation(cloud: LocalCloud, endpoint: str) -> None:
    """Body, content type and accept reach the model; its bytes, type and attributes come back with the variant."""
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint,
        Body=b"\x00\xff",
        ContentType="application/x-bytes",
        Accept="application/x-said",
        CustomAttributes="from-the-client",
    )
    said = json.loads(answer["Body"].read())
    assert {**said, "pid": 0} == {
        "factor": 2,
        "pid": 0,
        "got": str(b"\x00\xff"),
        "as": "application/x-bytes",
        "for": "application/x-said",
    }
    assert (answer["ContentType"], answer["CustomAttributes"], answer["InvokedProductionVariant"]) == (
        "application/x-said",
        "from-the-model",
        "AllTraffic",
    )
    description = cloud.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    (variant,) = description["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredWeight"]) == (1, 1.0)
    assert description["EndpointConfigName"] == "one"


@pytest.mark.executes("InvokeEndpoint")
def test_model_error(cloud: LocalCloud, endpoint: str) -> None:
    """What the model raises arrives as a ModelError with the container's status and message, and is in the log."""
    runtime = cloud.client("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ModelError) as failure:
        ask(cloud, endpoint, b"stone", ContentType="application/x-fail")
    answer = failure.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == 500
    assert answer["OriginalMessage"].endswith("ValueError: cannot digest stone\n")
    message = answer["Error"]["Message"]
    assert message.startswith('Received server error (500) from primary with message "Traceback')
    assert message.endswith(
        "See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:"
        f"group=/aws/sagemaker/Endpoints/{endpoint} in account {ACCOUNT} for more information."
    )
    with pytest.raises(runtime.exceptions.ModelError) as refusal:
        ask(cloud, endpoint, ContentType="application/x-refuse")
    assert refusal.value.response["OriginalStatusCode"] == 422
    assert 'Received client error (422) from primary with message "not mine".' in str(refusal.value)

    def logged() -> bool:
        streams = stream_lines(cloud, f"/aws/sagemaker/Endpoints/{endpoint}")
        return any("ValueError: cannot digest stone" in "\n".join(lines) for lines in streams.values())

    until(logged, "the traceback in the endpoint's log")
    assert all(name.startswith("AllTraffic/i-") for name in stream_lines(cloud, f"/aws/sagemaker/Endpoints/{endpoint}"))


@pytest.mark.executes("InvokeEndpointWithResponseStream")
def test_stream_of_answers(cloud: LocalCloud, endpoint: str) -> None:
    """A streamed answer comes in parts that make up the whole."""
    answer = cloud.client("sagemaker-runtime").invoke_endpoint_with_response_stream(
        EndpointName=endpoint, Body="ä" * 100_000, ContentType="text/csv", Accept="text/x-said"
    )
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/x-said", "AllTraffic")
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert json.loads(b"".join(parts))["got"] == "ä" * 100_000
    assert len(parts) > 1


@pytest.mark.executes("InvokeEndpoint")
def test_container_that_dies(cloud: LocalCloud, config: str) -> None:
    """A container that dies fails the request that killed it and is started again for those that follow."""
    runtime = cloud.client("sagemaker-runtime")
    deploy(cloud, "dying", config)
    first = ask(cloud, "dying")["pid"]
    with pytest.raises(ClientError, match=r"Received server error \(0\) from primary .*ended with exit code 3"):
        ask(cloud, "dying", ContentType="application/x-die")

    def answers() -> int:
        try:
            return int(ask(cloud, "dying")["pid"])
        except (runtime.exceptions.ServiceUnavailable, runtime.exceptions.ModelError):  # not up yet; just killed
            return 0

    second = until(answers, "the container's next life")
    assert second != first
    os.kill(second, signal.SIGKILL)
    assert until(answers, "the container's third life") not in {first, second}


@pytest.mark.refuses("InvokeEndpoint", "InvokeEndpointAsync", "InvokeEndpointWithResponseStream")
def test_refused_invocations(cloud: LocalCloud, endpoint: str) -> None:
    """What no model can answer is refused in AWS's words, with AWS's status."""
    runtime = cloud.client("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ValidationError, match=f"Endpoint nobody of account {ACCOUNT} not found"):
        ask(cloud, "nobody")
    with pytest.raises(runtime.exceptions.ValidationError, match="Variant other not found for endpoint shared"):
        ask(cloud, endpoint, TargetVariant="other")
    with pytest.raises(runtime.exceptions.ValidationError, match="is not a multi-model endpoint"):
        ask(cloud, endpoint, TargetModel="a.tar.gz")
    with pytest.raises(runtime.exceptions.ValidationError, match="does not run SessionId"):
        ask(cloud, endpoint, SessionId="NEW_SESSION")
    with pytest.raises(runtime.exceptions.ValidationError, match="is not an asynchronous endpoint"):
        runtime.invoke_endpoint_async(EndpointName=endpoint, InputLocation="s3://data/x")
    with pytest.raises(runtime.exceptions.ValidationError, match="Endpoint nobody of account"):
        runtime.invoke_endpoint_with_response_stream(EndpointName="nobody", Body=b"")
    with pytest.raises(ClientError, match="HTTP content length exceeded 6291456 bytes") as refusal:
        ask(cloud, endpoint, b"x" * (6 * 1024 * 1024 + 1))
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.executes("CreateEndpoint", "InvokeEndpoint", "UpdateEndpointWeightsAndCapacities")
def test_variants(cloud: LocalCloud, echo: str, other: str) -> None:
    """Requests go to variants by weight, or to the one they name; weights and numbers of instances can be changed."""
    sagemaker = cloud.client("sagemaker")
    deploy(cloud, "two", make_config(cloud, "two", ("a", echo, 1.0), ("b", other, 0.0)))
    assert {ask(cloud, "two")["factor"] for _ in range(10)} == {2}
    assert ask(cloud, "two", TargetVariant="b")["factor"] == 3
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="two",
        DesiredWeightsAndCapacities=[
            {"VariantName": "a", "DesiredWeight": 0.0},
            {"VariantName": "b", "DesiredWeight": 2.5, "DesiredInstanceCount": 2},
        ],
    )
    described = settled(cloud, "two")
    assert [
        (item["VariantName"], item["CurrentWeight"], item["CurrentInstanceCount"])
        for item in described["ProductionVariants"]
    ] == [("a", 0.0, 1), ("b", 2.5, 2)]
    said = [ask(cloud, "two") for _ in range(20)]
    assert ({answer["factor"] for answer in said}, len({answer["pid"] for answer in said})) == ({3}, 2)
    with pytest.raises(ClientError, match=r'"c" is/are not present within endpoint configuration "two"'):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="two", DesiredWeightsAndCapacities=[{"VariantName": "c", "DesiredWeight": 1.0}]
        )


@pytest.mark.executes("UpdateEndpoint")
def test_update(cloud: LocalCloud, config: str, other: str, tmp_path: Path) -> None:
    """An update lets the old model answer until the new one can, and finish what it has; then its process ends."""
    sagemaker = cloud.client("sagemaker")
    deploy(cloud, "updated", config)
    old = ask(cloud, "updated")
    pool, gate = ThreadPoolExecutor(1), tmp_path / "gate"
    slow = pool.submit(ask, cloud, "updated", str(gate), ContentType="application/x-wait")
    sagemaker.update_endpoint(
        EndpointName="updated", EndpointConfigName=make_config(cloud, "next", ("AllTraffic", other, 1.0))
    )
    meanwhile = sagemaker.describe_endpoint(EndpointName="updated")
    assert (meanwhile["EndpointStatus"], meanwhile["EndpointConfigName"]) == ("Updating", "one")
    assert meanwhile["PendingDeploymentSummary"]["EndpointConfigName"] == "next"
    assert ask(cloud, "updated")["factor"] in {2, 3}
    with pytest.raises(ClientError, match=f'Cannot update in-progress endpoint "{ARN}:endpoint/updated"'):
        sagemaker.update_endpoint(EndpointName="updated", EndpointConfigName=config)
    described = settled(cloud, "updated")
    assert (described["EndpointConfigName"], described.get("FailureReason")) == ("next", None)
    assert ask(cloud, "updated")["factor"] == 3
    assert not slow.done()
    gate.touch()
    assert slow.result()["pid"] == old["pid"]
    pool.shutdown()
    until(lambda: not is_alive(old["pid"]), "the end of the old process")


@pytest.mark.executes("UpdateEndpoint")
def test_rollback(cloud: LocalCloud, endpoint: str) -> None:
    """An update to a model that does not load leaves everything as it was and says why."""
    before = ask(cloud, endpoint)["pid"]
    broken = make_model(cloud, "broken-update", NOT_LOADING)
    cloud.client("sagemaker").update_endpoint(
        EndpointName=endpoint, EndpointConfigName=make_config(cloud, "broken-update", ("AllTraffic", broken, 1.0))
    )
    described = settled(cloud, endpoint)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "one")
    assert described["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert ask(cloud, endpoint)["pid"] == before


@pytest.mark.executes("CreateEndpoint", "DeleteEndpoint")
def test_failed_endpoint(cloud: LocalCloud) -> None:
    """A model that does not load fails the endpoint; the log says why; it can only be deleted."""
    sagemaker = cloud.client("sagemaker")
    broken = make_model(cloud, "broken", NOT_LOADING)
    described = deploy(cloud, "broken", make_config(cloud, "broken", ("AllTraffic", broken, 1.0)))
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    (lines,) = stream_lines(cloud, "/aws/sagemaker/Endpoints/broken").values()
    assert lines[-1] == "RuntimeError: no such model"
    with pytest.raises(ClientError, match="Endpoint broken of account"):
        ask(cloud, "broken")
    with pytest.raises(ClientError, match="in status Failed"):
        sagemaker.update_endpoint(EndpointName="broken", EndpointConfigName="broken")
    sagemaker.delete_endpoint(EndpointName="broken")
    until(lambda: _gone(cloud, "broken"), "the end of the failed endpoint")


@pytest.mark.verify
@pytest.mark.executes("CreateEndpoint")
def test_lost_artifact(cloud: LocalCloud) -> None:
    """A model whose artifact is gone fails the endpoint, and the reason names container and address."""
    model = make_model(cloud, "lost", ECHO)
    cloud.client("s3").delete_object(Bucket="data", Key="artifacts/lost/model.tar.gz")
    described = deploy(cloud, "lost", make_config(cloud, "lost", ("AllTraffic", model, 1.0)))
    assert described["FailureReason"].startswith(
        'Failed to download model data for container "primary" from URL: "s3://data/artifacts/lost/model.tar.gz".'
    )


@pytest.mark.executes("DeleteEndpoint", "ListEndpoints")
def test_delete(cloud: LocalCloud, config: str) -> None:
    """A deleted endpoint's process is gone, its name is free and nothing answers; the configuration stays."""
    sagemaker = cloud.client("sagemaker")
    deploy(cloud, "passing", config)
    pid = ask(cloud, "passing")["pid"]
    assert [item["EndpointName"] for item in sagemaker.list_endpoints(NameContains="passi")["Endpoints"]] == ["passing"]
    sagemaker.delete_endpoint(EndpointName="passing")
    until(lambda: _gone(cloud, "passing"), "the end of the endpoint")
    assert not is_alive(pid)
    with pytest.raises(ClientError, match="Endpoint passing of account"):
        ask(cloud, "passing")
    configs = sagemaker.list_endpoint_configs(NameContains=config)["EndpointConfigs"]
    assert [item["EndpointConfigName"] for item in configs] == [config]
    assert deploy(cloud, "passing", config)["EndpointStatus"] == "InService"
    assert ask(cloud, "passing")["pid"] != pid


@pytest.mark.refuses("CreateEndpoint", "DescribeEndpoint", "UpdateEndpoint", "DeleteEndpoint")
def test_refused_endpoints(cloud: LocalCloud, endpoint: str, config: str) -> None:
    """Taken and unknown names are refused in AWS's words."""
    sagemaker = cloud.client("sagemaker")
    with pytest.raises(ClientError, match=f'Cannot create already existing endpoint "{ARN}:endpoint/{endpoint}"'):
        sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    with pytest.raises(ClientError, match=f'Could not find endpoint configuration "{ARN}:endpoint-config/nothing"'):
        sagemaker.create_endpoint(EndpointName="x", EndpointConfigName="nothing")
    with pytest.raises(ClientError, match="does not run DeploymentConfig TrafficRoutingConfiguration CANARY"):
        sagemaker.update_endpoint(
            EndpointName=endpoint,
            EndpointConfigName=config,
            DeploymentConfig={
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {"Type": "CANARY", "WaitIntervalInSeconds": 60}
                }
            },
        )
    for operation in (sagemaker.describe_endpoint, sagemaker.delete_endpoint):
        with pytest.raises(ClientError, match=f'Could not find endpoint "{ARN}:endpoint/nobody"') as refusal:
            operation(EndpointName="nobody")
        assert refusal.value.response["Error"]["Code"] == "ValidationException"


def _gone(cloud: LocalCloud, name: str) -> bool:
    try:
        cloud.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        return "Could not find endpoint" in str(error)
    return False
