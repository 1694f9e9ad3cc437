"""What a processing job does on the local cloud."""

import json
import os
import signal

import pytest
from botocore.exceptions import ClientError

from tests.contract.local_cloud import LocalCloud

COUNTS = """
import json, os, pathlib, sys
base = pathlib.Path("/opt/ml/processing")
lines = sum(len(path.read_text().split()) for path in (base / "input").rglob("*.csv"))
out = base / "output" / "sub"
out.mkdir(parents=True)
config = json.load(open("/opt/ml/config/processingjobconfig.json"))
host = json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"]
result = {"lines": lines, "argv": sys.argv[1:], "job": config["ProcessingJobName"], "host": host}
result["MODE"] = os.environ["MODE"]
(out / "result.json").write_text(json.dumps(result))
pathlib.Path("/opt/ml/output/message").write_text("counted")
print("counted", lines)
"""


def s3_input(uri: str, kind: str = "S3Prefix") -> dict[str, object]:
    """Return a processing input."""
    path = "/opt/ml/processing/input"
    return {
        "InputName": "data",
        "S3Input": {"S3Uri": uri, "LocalPath": path, "S3DataType": kind, "S3InputMode": "File"},
    }


def s3_output(uri: str) -> dict[str, object]:
    """Return a processing output configuration."""
    output = {"S3Uri": uri, "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"}
    return {"Outputs": [{"OutputName": "result", "S3Output": output}]}


@pytest.mark.executes("CreateProcessingJob", "DescribeProcessingJob")
def test_life_of_a_processing_job(cloud: LocalCloud) -> None:
    """Inputs are at their paths, the command gets arguments and variables, outputs are in S3 when it is Completed."""
    cloud.put("counts/in/a.csv", "1\n2\n")
    cloud.put("counts/in/deeper/b.csv", "3\n")
    cloud.process_data(
        "counts",
        COUNTS,
        ProcessingInputs=[s3_input("s3://data/counts/in")],
        ProcessingOutputConfig=s3_output("s3://data/counts/out"),
        AppSpecification={"ContainerArguments": ["--month", "2013-01"]},
        Environment={"MODE": "test"},
    )
    job = cloud.finished("Processing", "counts")
    assert (job["ProcessingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert json.loads(cloud.get("counts/out/sub/result.json")) == {
        "lines": 3,
        "argv": ["--month", "2013-01"],
        "job": "counts",
        "host": "algo-1",
        "MODE": "test",
    }
    assert cloud.log("Processing", "counts") == ["counted 3"]
    assert job["ExitMessage"] == "counted"
    assert job["Environment"] == {"MODE": "test"}
    assert job["ProcessingStartTime"] <= job["ProcessingEndTime"]


def test_manifest_input(cloud: LocalCloud) -> None:
    """A manifest's objects, and only they, are fetched."""
    for name, rows in (("a", "1\n"), ("b", "2\n3\n"), ("c", "4\n5\n6\n")):
        cloud.put(f"listed/in/{name}.csv", rows)
    uri = cloud.put("listed/manifest.json", json.dumps([{"prefix": "s3://data/listed/in/"}, "a.csv", "b.csv"]))
    cloud.process_data(
        "listed-input",
        COUNTS,
        ProcessingInputs=[s3_input(uri, "ManifestFile")],
        ProcessingOutputConfig=s3_output("s3://data/listed/out"),
        Environment={"MODE": "test"},
    )
    assert cloud.finished("Processing", "listed-input")["ProcessingJobStatus"] == "Completed"
    assert json.loads(cloud.get("listed/out/sub/result.json"))["lines"] == 3


@pytest.mark.executes("CreateProcessingJob", "DescribeProcessingJob")
def test_failing_program(cloud: LocalCloud) -> None:
    """The reason holds the end of the traceback; nothing is uploaded."""
    script = "open('/opt/ml/processing/output/half.txt', 'w').write('half')\nraise RuntimeError('no such month')\n"
    cloud.process_data("broken", script, ProcessingOutputConfig=s3_output("s3://data/broken/out"))
    job = cloud.finished("Processing", "broken")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: Traceback (most recent call last)")
    assert job["FailureReason"].endswith("RuntimeError: no such month, exit code: 1")
    assert job["ExitMessage"].endswith("RuntimeError: no such month")
    assert cloud.keys("broken/out") == []


@pytest.mark.executes("CreateProcessingJob")
def test_missing_input(cloud: LocalCloud) -> None:
    """Input that does not exist fails the job, with the address that was asked for."""
    cloud.process_data("noinput", "pass", ProcessingInputs=[s3_input("s3://data/nowhere/")])
    job = cloud.finished("Processing", "noinput")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: Data download failed: no S3 objects found under s3://data/nowhere/"


@pytest.mark.executes("StopProcessingJob")
def test_stop(cloud: LocalCloud) -> None:
    """A stopped job is Stopped, and stopping it again is refused."""
    cloud.process_data("halt", "import time\nprint('waiting')\ntime.sleep(600)\n")
    cloud.said("Processing", "halt", "waiting")
    cloud.client("sagemaker").stop_processing_job(ProcessingJobName="halt")
    assert cloud.finished("Processing", "halt")["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="rejected because the processing job is in status Stopped"):
        cloud.client("sagemaker").stop_processing_job(ProcessingJobName="halt")


def test_killed_program(cloud: LocalCloud) -> None:
    """A killed program fails its job, and the reason names the signal."""
    cloud.process_data("shot", "import time\nprint('waiting')\ntime.sleep(600)\n")
    cloud.said("Processing", "shot", "waiting")
    os.kill(cloud.pid("shot"), signal.SIGKILL)
    job = cloud.finished("Processing", "shot")
    assert job["ProcessingJobStatus"] == "Failed"
    assert "killed by SIGKILL (exit code 137)" in job["FailureReason"]


@pytest.mark.refuses("DescribeProcessingJob", "StopProcessingJob")
def test_unknown_job(cloud: LocalCloud) -> None:
    """Describing and stopping a job that does not exist is refused in AWS's words."""
    for operation in ("describe_processing_job", "stop_processing_job"):
        with pytest.raises(ClientError) as refusal:
            getattr(cloud.client("sagemaker"), operation)(ProcessingJobName="nobody")
        assert refusal.value.response["Error"] == {
            "Code": "ValidationException",
            "Message": "Could not find requested job with name: nobody",
        }


@pytest.mark.refuses("CreateProcessingJob")
def test_local_path_outside(cloud: LocalCloud) -> None:
    """A LocalPath outside /opt/ml/processing is refused, as AWS does."""
    item = s3_input("s3://data/x")
    item["S3Input"]["LocalPath"] = "/etc"  # type: ignore[index]
    with pytest.raises(ClientError, match="must start with /opt/ml/processing"):
        cloud.process_data("outside", "pass", ProcessingInputs=[item])
