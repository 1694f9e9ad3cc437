"""What a batch transform job does on the local cloud."""

import json
import os
import signal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.inference import make_model
from tests.contract.local_cloud import LocalCloud


def transform(cloud: LocalCloud, name: str, model: str, **request: Any) -> None:
    """Create a transform job over `<name>/in/`; `request` overrides parts of the request."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/{name}/in/"}}
    output = {"S3OutputPath": f"s3://data/{name}/out", "Accept": "text/csv"}
    data: dict[str, Any] = {"DataSource": source, "ContentType": "text/csv"}
    cloud.client("sagemaker").create_transform_job(
        TransformJobName=name,
        ModelName=model,
        TransformInput=data | request.pop("TransformInput", {}),
        TransformOutput=output | request.pop("TransformOutput", {}),
        **{"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1}, **request},
    )


@pytest.fixture(scope="module")
def model(cloud: LocalCloud) -> str:
    """Return the name of a model that doubles numbers."""
    return make_model(cloud, "doubles")


@pytest.mark.executes("CreateTransformJob")
def test_whole_objects(cloud: LocalCloud, model: str) -> None:
    """Without a split every object is one request and one .out object at the same relative path."""
    cloud.put("whole/in/a.csv", "1\n2\n")
    cloud.put("whole/in/deeper/b.csv", "3\n")
    transform(cloud, "whole", model)
    job = cloud.finished("Transform", "whole")
    assert (job["TransformJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert cloud.keys("whole/out") == ["whole/out/a.csv.out", "whole/out/deeper/b.csv.out"]
    assert cloud.get("whole/out/a.csv.out") == b"2.0,4.0"
    assert cloud.get("whole/out/deeper/b.csv.out") == b"6.0"
    assert job["TransformStartTime"] <= job["TransformEndTime"]


@pytest.mark.executes("CreateTransformJob")
def test_single_records_assembled_by_line(cloud: LocalCloud, model: str) -> None:
    """Split by line with SingleRecord every line is a request; AssembleWith Line gives a line per answer."""
    cloud.put("lines/in/a.csv", "1\n2\n3\n")
    transform(
        cloud,
        "lines",
        model,
        BatchStrategy="SingleRecord",
        TransformInput={"SplitType": "Line"},
        TransformOutput={"AssembleWith": "Line"},
    )
    assert cloud.finished("Transform", "lines")["TransformJobStatus"] == "Completed"
    assert cloud.get("lines/out/a.csv.out") == b"2.0\n4.0\n6.0\n"


@pytest.mark.executes("CreateTransformJob")
def test_batches_fill_the_payload(cloud: LocalCloud, model: str) -> None:
    """Split by line with MultiRecord, requests hold as many whole lines as MaxPayloadInMB allows."""
    record = "1" + "0" * 99 + "\n"
    count = 2 * (1 << 20) // len(record)
    cloud.put("batches/in/a.csv", record * count)
    transform(
        cloud,
        "batches",
        model,
        MaxPayloadInMB=1,
        TransformInput={"SplitType": "Line"},
        TransformOutput={"AssembleWith": "Line"},
    )
    assert cloud.finished("Transform", "batches")["TransformJobStatus"] == "Completed"
    answers = cloud.get("batches/out/a.csv.out").decode().splitlines()
    assert sum(len(answer.split(",")) for answer in answers) == count
    assert [len(answer.split(",")) for answer in answers] == [(1 << 20) // len(record), (1 << 20) // len(record)] + (
        [count - 2 * ((1 << 20) // len(record))] if count % ((1 << 20) // len(record)) else []
    )


@pytest.mark.executes("CreateTransformJob")
def test_payload_over_the_limit(cloud: LocalCloud, model: str) -> None:
    """An object over MaxPayloadInMB fails the job, and the reason names object, size and limit."""
    cloud.put("heavy/in/a.csv", "1\n" * (1 << 20))
    transform(cloud, "heavy", model, MaxPayloadInMB=1)
    job = cloud.finished("Transform", "heavy")
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "ClientError: s3://data/heavy/in/a.csv: the object has 2097152 bytes, more than MaxPayloadInMB allows (1 MB). "
        "Split the input by Line or raise MaxPayloadInMB."
    )
    assert cloud.keys("heavy/out") == []


@pytest.mark.executes("CreateTransformJob")
def test_failing_record(cloud: LocalCloud, model: str) -> None:
    """A record the model cannot digest fails the job; reason and log hold the traceback's end."""
    cloud.put("bad/in/a.csv", "1\n-2\n")
    transform(cloud, "bad", model)
    job = cloud.finished("Transform", "bad")
    assert job["TransformJobStatus"] == "Failed"
    assert "s3://data/bad/in/a.csv: the model answered 500" in job["FailureReason"]
    assert job["FailureReason"].endswith("ValueError: negative number: [1.0, -2.0]")
    assert "ValueError: negative number: [1.0, -2.0]" in "\n".join(cloud.log("Transform", "bad"))


@pytest.mark.executes("CreateTransformJob")
def test_killed_container(cloud: LocalCloud, model: str) -> None:
    """A model server that is killed fails the job, and the reason names the signal."""
    cloud.put("shot-server/in/a.csv", "99\n")
    transform(cloud, "shot-server", model)
    cloud.said("Transform", "shot-server", "waiting")
    os.kill(cloud.pid("shot-server"), signal.SIGKILL)
    job = cloud.finished("Transform", "shot-server")
    assert job["TransformJobStatus"] == "Failed"
    assert "killed by SIGKILL (exit code 137)" in job["FailureReason"]


@pytest.mark.executes("DescribeTransformJob", "ListTransformJobs")
def test_description_and_list(cloud: LocalCloud, model: str) -> None:
    """A job is described with AWS's defaults for what was not asked for; jobs are listed newest first."""
    for name in ("listed-1", "listed-2"):
        cloud.put(f"{name}/in/a.csv", "1\n")
        transform(cloud, name, model, Environment={"A": "b"})
        cloud.finished("Transform", name)
    job = cloud.describe("Transform", "listed-1")
    assert job["Environment"] == {"A": "b"}
    assert job["DataProcessing"] == {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    assert (job["TransformInput"]["SplitType"], job["TransformOutput"]["AssembleWith"]) == ("None", "None")
    found = cloud.client("sagemaker").list_transform_jobs(NameContains="listed", StatusEquals="Completed")
    names = [summary["TransformJobName"] for summary in found["TransformJobSummaries"]]
    assert names == ["listed-2", "listed-1"]
    assert cloud.get("listed-1/out/a.csv.out") == b"2.0"


@pytest.mark.executes("CreateTransformJob", "StopTransformJob")
def test_stop(cloud: LocalCloud, model: str) -> None:
    """A stopped job is Stopped at once and keeps the outputs it had finished."""
    cloud.put("halted/in/a.csv", "1\n")
    cloud.put("halted/in/b.csv", "99\n")
    transform(cloud, "halted", model)
    cloud.said("Transform", "halted", "waiting")
    cloud.client("sagemaker").stop_transform_job(TransformJobName="halted")
    assert cloud.finished("Transform", "halted")["TransformJobStatus"] == "Stopped"
    assert cloud.keys("halted/out") == ["halted/out/a.csv.out"]


@pytest.mark.executes("CreateTransformJob")
def test_transform_fn_and_bytes(cloud: LocalCloud) -> None:
    """A transform_fn replaces the three handlers; it sees the job's Environment over the model's; bytes pass as is."""
    script = (
        "import os\ndef model_fn(folder):\n    return os.environ['FLAVOUR']\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    return (model + ' ' + content_type + ' ' + accept + ' ').encode() + body\n"
    )
    make_model(cloud, "raw", script)
    cloud.put("raw/in/a.bin", b"\x00\xff")
    transform(
        cloud,
        "raw",
        "raw",
        Environment={"FLAVOUR": "job"},
        TransformInput={"ContentType": "application/x-raw"},
        TransformOutput={"Accept": "application/x-out"},
    )
    assert cloud.finished("Transform", "raw")["TransformJobStatus"] == "Completed"
    assert cloud.get("raw/out/a.bin.out") == b"job application/x-raw application/x-out \x00\xff"


@pytest.mark.executes("CreateTransformJob")
def test_script_that_does_not_load(cloud: LocalCloud) -> None:
    """A script that breaks while loading fails the job, and the log says why."""
    make_model(cloud, "unloadable", "import nosuchmodule\n")
    cloud.put("unloadable/in/a.csv", "1\n")
    transform(cloud, "unloadable", "unloadable")
    job = cloud.finished("Transform", "unloadable")
    assert job["TransformJobStatus"] == "Failed"
    assert "did not start" in job["FailureReason"]
    assert "ModuleNotFoundError: No module named 'nosuchmodule'" in cloud.log("Transform", "unloadable")


@pytest.mark.refuses("CreateTransformJob")
def test_refusals(cloud: LocalCloud, model: str) -> None:
    """An unknown model, missing input and an unsupported split are refused at creation."""
    cloud.put("refused/in/a.csv", "1\n")
    with pytest.raises(
        ClientError, match='Could not find model "arn:aws:sagemaker:us-east-1:123456789012:model/nobody"'
    ):
        transform(cloud, "refused", "nobody")
    with pytest.raises(ClientError, match="does not run SplitType RecordIO"):
        transform(cloud, "refused", model, TransformInput={"SplitType": "RecordIO"})
    with pytest.raises(ClientError, match='No S3 objects found under S3 URL "s3://data/absent/in/"'):
        transform(cloud, "absent", model)


@pytest.mark.executes("CreateTransformJob")
def test_manifest_of_inputs(cloud: LocalCloud, model: str) -> None:
    """Only the objects of a manifest are transformed."""
    cloud.put("some/in/a.csv", "1\n")
    cloud.put("some/in/b.csv", "2\n")
    uri = cloud.put("some/manifest.json", json.dumps([{"prefix": "s3://data/some/in/"}, "b.csv"]))
    source = {"DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": uri}}}
    transform(cloud, "some", model, TransformInput=source)
    assert cloud.finished("Transform", "some")["TransformJobStatus"] == "Completed"
    assert cloud.keys("some/out") == ["some/out/b.csv.out"]
