"""Processing on several instances, and outputs that are uploaded as they appear."""

import json
from typing import Any

import pytest

from tests.contract.local_cloud import LocalCloud, until

TWO = {"ClusterConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}}


def source(uri: str, distribution: str = "FullyReplicated") -> dict[str, Any]:
    """Return an input that is fetched to /opt/ml/processing/in."""
    given = {"S3Uri": uri, "LocalPath": "/opt/ml/processing/in", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": "in", "S3Input": {**given, "S3DataDistributionType": distribution}}


def result(uri: str, mode: str = "EndOfJob") -> dict[str, Any]:
    """Return the outputs of a job that writes to /opt/ml/processing/out."""
    output = {"S3Uri": uri, "LocalPath": "/opt/ml/processing/out", "S3UploadMode": mode}
    return {"Outputs": [{"OutputName": "out", "S3Output": output}]}


@pytest.mark.executes("CreateProcessingJob", "DescribeProcessingJob")
def test_two_hosts_share_the_input(cloud: LocalCloud) -> None:
    """Each host gets its share of the objects and knows its name; the outputs of both are uploaded."""
    for part in "abc":
        cloud.put(f"input/shared-out/{part}.csv", part)
    script = """
import json, os
config = json.load(open("/opt/ml/config/resourceconfig.json"))
seen = {"hosts": config["hosts"], "files": sorted(os.listdir("/opt/ml/processing/in"))}
with open(f"/opt/ml/processing/out/{config['current_host']}.json", "w") as file:
    json.dump(seen, file)
"""
    cloud.process_data(
        "two-hosts",
        script,
        ProcessingResources=TWO,
        ProcessingInputs=[source(f"s3://{cloud.bucket}/input/shared-out/", "ShardedByS3Key")],
        ProcessingOutputConfig=result(f"s3://{cloud.bucket}/output/two-hosts"),
    )
    job = cloud.finished("Processing", "two-hosts")
    assert (job["ProcessingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    seen = {key.rsplit("/", 1)[1]: json.loads(cloud.get(key)) for key in cloud.keys("output/two-hosts/")}
    assert seen == {
        "algo-1.json": {"hosts": ["algo-1", "algo-2"], "files": ["a.csv", "c.csv"]},
        "algo-2.json": {"hosts": ["algo-1", "algo-2"], "files": ["b.csv"]},
    }


@pytest.mark.executes("CreateProcessingJob")
def test_continuous_upload(cloud: LocalCloud) -> None:
    """With S3UploadMode Continuous an output is in S3 while the job runs, and stays there when the job fails."""
    script = """
import pathlib, time
out = pathlib.Path("/opt/ml/processing/out")
(out / "early.txt").write_text("early")
while not pathlib.Path("/opt/ml/processing/never").exists():
    (out / "late.txt").write_text(str(time.time()))
    time.sleep(0.2)
"""
    cloud.process_data(
        "continuous", script, ProcessingOutputConfig=result(f"s3://{cloud.bucket}/output/continuous", "Continuous")
    )
    until(lambda: "output/continuous/early.txt" in cloud.keys("output/continuous/"), "an output of a running job")
    assert cloud.describe("Processing", "continuous")["ProcessingJobStatus"] == "InProgress"
    cloud.client("sagemaker").stop_processing_job(ProcessingJobName="continuous")
    assert cloud.finished("Processing", "continuous")["ProcessingJobStatus"] == "Stopped"
    assert cloud.get("output/continuous/early.txt") == b"early"

    failing = 'open("/opt/ml/processing/out/last.txt", "w").write("kept")\nraise SystemExit("gives up")\n'
    for mode in ("Continuous", "EndOfJob"):
        name = f"fails-{mode.lower()}"
        cloud.process_data(name, failing, ProcessingOutputConfig=result(f"s3://{cloud.bucket}/output/{name}", mode))
        assert cloud.finished("Processing", name)["ProcessingJobStatus"] == "Failed"
    assert cloud.keys("output/fails-continuous/") == ["output/fails-continuous/last.txt"]
    assert cloud.keys("output/fails-endofjob/") == []
