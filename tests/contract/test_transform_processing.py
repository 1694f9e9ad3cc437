"""How a batch transform filters, joins, parallelises and survives single failures."""

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.inference import DOUBLES, container, make_model
from tests.contract.local_cloud import ROLE, LocalCloud
from tests.contract.test_transform import transform

LINES: dict[str, Any] = {
    "TransformInput": {"SplitType": "Line"},
    "TransformOutput": {"AssembleWith": "Line"},
}
# doubles the only number of each line, of CSV or of JSON Lines; a JSON document is answered with its length
EACH_LINE = """
import json
def model_fn(model_dir):
    return None
def transform_fn(model, body, content_type, accept):
    if content_type == "text/csv":
        return "".join(f"{float(line) * 2}\\n" for line in body.split())
    if content_type == "application/json":
        return json.dumps(len(json.loads(body)))
    return "".join(json.dumps({"twice": json.loads(line) * 2}) + "\\n" for line in body.splitlines())
"""


@pytest.fixture(scope="module")
def by_line(cloud: LocalCloud) -> str:
    """Return a model that answers every record with a record."""
    return make_model(cloud, "by-line", EACH_LINE)


def completed(cloud: LocalCloud, name: str) -> None:
    """Wait for the job and expect it to have completed."""
    job = cloud.finished("Transform", name)
    assert (job["TransformJobStatus"], job.get("FailureReason")) == ("Completed", None)


@pytest.mark.executes("CreateTransformJob")
def test_joined_csv(cloud: LocalCloud, by_line: str) -> None:
    """The input filter hides a column from the model, the join puts it before the answer, the output filter picks."""
    cloud.put("joined/in/a.csv", 'x,1\n"y, z",2\n')
    selection = {"InputFilter": "$[1]", "JoinSource": "Input"}
    transform(cloud, "joined", by_line, DataProcessing=selection, **_copy(LINES))
    completed(cloud, "joined")
    assert cloud.get("joined/out/a.csv.out") == b'x,1,2.0\n"y, z",2,4.0\n'
    cloud.put("picked/in/a.csv", "x,1\ny,2\n")
    transform(cloud, "picked", by_line, DataProcessing={**selection, "OutputFilter": "$[0,-1]"}, **_copy(LINES))
    completed(cloud, "picked")
    assert cloud.get("picked/out/a.csv.out") == b"x,2.0\ny,4.0\n"


@pytest.mark.executes("CreateTransformJob")
def test_joined_json_lines(cloud: LocalCloud, by_line: str) -> None:
    """A JSON record gets its prediction as the attribute SageMakerOutput."""
    cloud.put("json-lines/in/a.jsonl", '{"id": 7, "features": 1, "rest": 0}\n{"id": 8, "features": 2, "rest": 0}\n')
    kinds = _copy(LINES)
    kinds["TransformInput"]["ContentType"] = kinds["TransformOutput"]["Accept"] = "application/jsonlines"
    selection = {"InputFilter": "$.features", "JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"}
    transform(cloud, "json-lines", by_line, DataProcessing=selection, **kinds)
    completed(cloud, "json-lines")
    assert [json.loads(line) for line in cloud.get("json-lines/out/a.jsonl.out").splitlines()] == [
        {"id": 7, "SageMakerOutput": {"twice": 2}},
        {"id": 8, "SageMakerOutput": {"twice": 4}},
    ]


@pytest.mark.verify
@pytest.mark.executes("CreateTransformJob")
def test_joined_json_array(cloud: LocalCloud, by_line: str) -> None:
    """A JSON document that is no object becomes one: SageMakerInput and SageMakerOutput."""
    cloud.put("array/in/a.json", "[1, 2, 3]")
    kinds = {
        "TransformInput": {"ContentType": "application/json"},
        "TransformOutput": {"Accept": "application/json"},
    }
    transform(cloud, "array", by_line, DataProcessing={"JoinSource": "Input", "InputFilter": "$[1:]"}, **kinds)
    completed(cloud, "array")
    assert json.loads(cloud.get("array/out/a.json.out")) == {"SageMakerInput": [1, 2, 3], "SageMakerOutput": 2}


@pytest.mark.verify
@pytest.mark.executes("CreateTransformJob")
def test_records_that_cannot_be_joined(cloud: LocalCloud) -> None:
    """An answer with another number of records than the request fails the object, and the reason counts both."""
    model = make_model(cloud, "one-line")
    cloud.put("unjoined/in/a.csv", "1\n2\n")
    transform(cloud, "unjoined", model, DataProcessing={"JoinSource": "Input"}, **_copy(LINES))
    assert cloud.finished("Transform", "unjoined")["FailureReason"] == (
        "ClientError: s3://data/unjoined/in/a.csv: the model's answer has 1 records for 2 records of input, "
        "so they cannot be joined"
    )


@pytest.mark.executes("CreateTransformJob")
def test_concurrent_requests(cloud: LocalCloud) -> None:
    """MaxConcurrentTransforms requests are at the model at one time; the output keeps the order of the input."""
    script = (
        "import threading\nmeeting = threading.Barrier(3)\ndef model_fn(folder):\n    return None\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    meeting.wait(30)\n    return body.strip()\n"
    )
    model = make_model(cloud, "meeting", script)
    cloud.put("parallel/in/a.csv", "1\n2\n3\n4\n5\n6\n")
    transform(cloud, "parallel", model, MaxConcurrentTransforms=3, BatchStrategy="SingleRecord", **_copy(LINES))
    completed(cloud, "parallel")
    assert cloud.get("parallel/out/a.csv.out") == b"1\n2\n3\n4\n5\n6\n"


@pytest.mark.executes("CreateTransformJob", "DescribeTransformJob")
def test_one_bad_object(cloud: LocalCloud, by_line: str) -> None:
    """The object with a bad record leaves no output and fails the job; the others are transformed, before and after."""
    for name, content in (("a", "1\n"), ("b", "1\nnot a number\n"), ("c", "3\n")):
        cloud.put(f"one-bad/in/{name}.csv", content)
    transform(cloud, "one-bad", by_line)
    job = cloud.finished("Transform", "one-bad")
    assert job["TransformJobStatus"] == "Failed"
    assert "s3://data/one-bad/in/b.csv: the model answered 500" in job["FailureReason"]
    assert cloud.keys("one-bad/out") == ["one-bad/out/a.csv.out", "one-bad/out/c.csv.out"]
    logs = cloud.client("logs")
    group = "/aws/sagemaker/TransformJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="one-bad/")["logStreams"]
    (data_log,) = [item["logStreamName"] for item in streams if item["logStreamName"].endswith("/data-log")]
    said = logs.get_log_events(logGroupName=group, logStreamName=data_log, startFromHead=True)["events"]
    assert [event["message"].partition(": ")[2] for event in said][:2] == [
        "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD",
        "data/one-bad/in/b.csv: Bad HTTP status received from algorithm: 500",
    ]


@pytest.mark.executes("CreateTransformJob", "CreateModel")
def test_inference_pipeline(cloud: LocalCloud) -> None:
    """The containers of a model run one after the other, each with its own files, Accept meant for the last alone."""
    first = (
        "def model_fn(folder):\n    return open(folder + '/factor.json').read()\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    return f'{body.strip()}|{model}|{accept}', 'application/x-between'\n"
    )
    second = (
        "def model_fn(folder):\n    return open(folder + '/factor.json').read()\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    return f'{body.decode()}|{model}|{content_type}|{accept}'\n"
    )
    containers = [
        container(cloud, "chain-1", first, factor=5),
        container(cloud, "chain-2", second, factor=6) | {"ContainerHostname": "last"},
    ]
    cloud.client("sagemaker").create_model(ModelName="chain", ExecutionRoleArn=ROLE, Containers=containers)
    cloud.put("chain/in/a.csv", "1\n")
    transform(cloud, "chain", "chain")
    completed(cloud, "chain")
    assert cloud.get("chain/out/a.csv.out") == (
        b'1|{"factor": 5}|application/json|{"factor": 6}|application/x-between|text/csv'
    )


@pytest.mark.executes("CreateTransformJob")
def test_instances_variables_and_compression(cloud: LocalCloud) -> None:
    """Every instance is a process of its own; the model sees AWS's batch variables and gzip's contents."""
    script = (
        "import os\ndef model_fn(folder):\n    return None\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    names = ['BATCH', 'MAX_PAYLOAD_IN_MB', 'BATCH_STRATEGY', 'MAX_CONCURRENT_TRANSFORMS']\n"
        "    return ' '.join([str(os.getpid()), body, *(os.environ['SAGEMAKER_' + name] for name in names)])\n"
    )
    model = make_model(cloud, "telling", script)
    for name in "ab":
        cloud.put(f"telling/in/{name}.gz", gzip.compress(name.encode()))
    transform(
        cloud,
        "telling",
        model,
        MaxPayloadInMB=1,
        TransformInput={"CompressionType": "Gzip"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2},
    )
    completed(cloud, "telling")
    answers = [cloud.get(f"telling/out/{name}.gz.out").decode().split() for name in "ab"]
    assert [answer[1:] for answer in answers] == [[name, "true", "1", "MULTI_RECORD", "1"] for name in "ab"]
    assert answers[0][0] != answers[1][0]


@pytest.mark.verify
@pytest.mark.executes("CreateTransformJob")
def test_retries(cloud: LocalCloud) -> None:
    """A request that the server fails is sent again InvocationsMaxRetries times, then the job fails."""
    script = (
        "calls = []\ndef model_fn(folder):\n    return None\n"
        "def transform_fn(model, body, content_type, accept):\n    calls.append(body)\n"
        "    if len(calls) < 3:\n        raise RuntimeError('not yet')\n    return str(len(calls))\n"
    )
    model = make_model(cloud, "flaky", script)
    cloud.put("flaky-2/in/a.csv", "1\n")
    transform(cloud, "flaky-2", model, ModelClientConfig={"InvocationsMaxRetries": 2})
    completed(cloud, "flaky-2")
    assert cloud.get("flaky-2/out/a.csv.out") == b"3"
    cloud.put("flaky-1/in/a.csv", "1\n")
    transform(cloud, "flaky-1", model, ModelClientConfig={"InvocationsMaxRetries": 1})
    assert cloud.finished("Transform", "flaky-1")["FailureReason"].endswith("RuntimeError: not yet")


@pytest.mark.verify
@pytest.mark.executes("CreateTransformJob")
def test_slow_answer(cloud: LocalCloud) -> None:
    """An answer that does not come within InvocationsTimeoutInSeconds fails the job."""
    model = make_model(cloud, "sleeper", DOUBLES)
    cloud.put("slow/in/a.csv", "99\n")
    limits = {"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0}
    transform(cloud, "slow", model, ModelClientConfig=limits)
    job = cloud.finished("Transform", "slow")
    assert job["FailureReason"] == "ClientError: the model did not answer within 1 s"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "filter-without-type": (
        {"DataProcessing": {"InputFilter": "$[1:]"}, "TransformInput": {"ContentType": "image/png"}},
        "requires TransformInput.ContentType to be one of",
    ),
    "name-in-csv": ({"DataProcessing": {"InputFilter": "$.id"}}, "names attributes, but text/csv has positions only"),
    "operator": ({"DataProcessing": {"OutputFilter": "$..id"}}, "uses an operator that is not supported"),
    "join-across-types": (
        {"DataProcessing": {"JoinSource": "Input"}, "TransformOutput": {"Accept": "application/json"}},
        "requires ContentType and Accept to match",
    ),
    "join-without-lines": (
        {"DataProcessing": {"JoinSource": "Input"}, "TransformInput": {"SplitType": "Line"}},
        "requires AssembleWith to match SplitType, not None and Line",
    ),
    "single-without-split": ({"BatchStrategy": "SingleRecord"}, "SingleRecord requires SplitType"),
    "payload": ({"MaxPayloadInMB": 30, "MaxConcurrentTransforms": 4}, r"\(120\) must not exceed 100 MB"),
    "retries": (
        {"ModelClientConfig": {"InvocationsMaxRetries": 4}},
        "Value '4' at 'modelClientConfig.invocationsMaxRetries' failed to satisfy constraint",
    ),
    "instance-type": (
        {"TransformResources": {"InstanceType": "ml.tiny", "InstanceCount": 1}},
        "Value 'ml.tiny' at 'transformResources.instanceType' failed to satisfy constraint",
    ),
    "record-io": ({"TransformInput": {"SplitType": "RecordIO"}}, "does not run SplitType RecordIO"),
    "tf-record": ({"TransformInput": {"SplitType": "TFRecord"}}, "does not run SplitType TFRecord"),
    "capture": ({"DataCaptureConfig": {"DestinationS3Uri": "s3://data/c"}}, "does not run DataCaptureConfig"),
}


@pytest.mark.refuses("CreateTransformJob")
@pytest.mark.parametrize("case", REFUSED)
def test_refused_at_creation(cloud: LocalCloud, by_line: str, case: str) -> None:
    """What AWS or the local cloud does not run is refused when the job is created, naming it."""
    request, message = REFUSED[case]
    with pytest.raises(ClientError, match=message) as refusal:
        transform(cloud, f"refused-{case}", by_line, **_copy(request))
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


def _copy(request: dict[str, Any]) -> dict[str, Any]:
    return {field: dict(value) if isinstance(value, dict) else value for field, value in request.items()}
