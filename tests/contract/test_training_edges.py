"""Training jobs whose program, data or surroundings are not as they should be."""

import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import LocalCloud, archive, unpacked, until

WAITS = "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n"
RELEASABLE = """
import pathlib, signal, sys, time, os
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text("model")
print("waiting", flush=True)
time.sleep(600)
"""


def channel(name: str, uri: str) -> dict[str, object]:
    """Return an input channel."""
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}


def refusal(cloud: LocalCloud, name: str, **request: Any) -> str:
    """Return the words with which a training job is refused."""
    with pytest.raises(ClientError) as refused:
        cloud.train(name, "pass", **request)
    error: dict[str, str] = {**refused.value.response["Error"]}  # type: ignore[dict-item] # the stubs know it better
    assert error["Code"] == "ValidationException"
    return error["Message"]


@pytest.mark.executes("CreateTrainingJob")
@pytest.mark.parametrize(
    ("name", "script", "kept"),
    [
        ("linked", "os.symlink('/opt/ml/output/data', '/opt/ml/model'); open('/opt/ml/model/a', 'w')", {"a": b""}),
        ("linked-out", "os.symlink('/etc', '/opt/ml/model')", None),
        ("removed", "pass", None),
        ("a-file", "open('/opt/ml/model', 'w')", None),
    ],
)
def test_a_model_folder_that_is_no_folder(
    cloud: LocalCloud, name: str, script: str, kept: dict[str, bytes] | None
) -> None:
    """A model folder that the program replaced holds what the program sees there; nothing outside /opt/ml is taken."""
    job = cloud.train(f"model-{name}", f"import os, shutil\nshutil.rmtree('/opt/ml/model')\n{script}\n")
    assert cloud.finished("Training", job)["TrainingJobStatus"] == "Completed"
    key = f"models/{job}/output/model.tar.gz"
    assert (unpacked(cloud.get(key)) if cloud.keys(key) else None) == kept


@pytest.mark.executes("DescribeTrainingJob")
def test_what_a_failed_program_says(cloud: LocalCloud) -> None:
    """Of /opt/ml/output/failure the first characters are told; a link to a file of the machine tells nothing."""
    says = "import sys\nopen('/opt/ml/output/failure', 'w').write('begin' + 'x' * 3000)\nsys.exit(3)\n"
    reason = cloud.finished("Training", cloud.train("says", says))["FailureReason"]
    assert len(reason) == 1024
    assert (reason[:21], reason[-15:]) == ("AlgorithmError: begin", "x, exit code: 3")
    links = "import os, sys\nos.symlink('/etc/passwd', '/opt/ml/output/failure')\nsys.exit('my own words')\n"
    reason = cloud.finished("Training", cloud.train("links", links))["FailureReason"]
    assert "root" not in reason
    assert 'ErrorMessage "my own words"' in reason


@pytest.mark.refuses("CreateTrainingJob")
def test_channels_that_are_refused(cloud: LocalCloud) -> None:
    """Channels of one name, and names that are no folder's, are refused when the job is created."""
    uri = cloud.put("edges/a.csv", "1")
    twice = refusal(cloud, "twice-a", InputDataConfig=[channel("a", uri), channel("a", uri)])
    assert twice == "ChannelName must be unique within a job; 'a' is given more than once."
    outside = refusal(cloud, "outside", InputDataConfig=[channel("../../../../outside", uri)])
    assert "Member must satisfy regular expression pattern: [A-Za-z0-9\\.\\-_]+" in outside
    assert "a channel called '..'" in refusal(cloud, "above", InputDataConfig=[channel("..", uri)])


@pytest.mark.refuses("CreateTrainingJob")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("DebugRuleConfigurations", [{"RuleConfigurationName": "a", "RuleEvaluatorImage": "b"}]),
        ("ProfilerRuleConfigurations", [{"RuleConfigurationName": "a", "RuleEvaluatorImage": "b"}]),
        ("RemoteDebugConfig", {"EnableRemoteDebug": True}),
    ],
)
def test_what_would_be_carried_out_beside_the_job(cloud: LocalCloud, field: str, value: object) -> None:
    """What asks for something beside the job that does not exist here is refused by name, not ignored."""
    assert field in refusal(cloud, "beside", **{field: value})


@pytest.mark.executes("CreateTrainingJob", "DescribeTrainingJob")
def test_everything_is_described(cloud: LocalCloud) -> None:
    """The description repeats what the request said; the artifact, times and end come with the final status."""
    given: dict[str, Any] = {
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "EnableInterContainerTrafficEncryption": True,
        "DebugHookConfig": {"S3OutputPath": "s3://data/debug"},
        "ProfilerConfig": {"S3OutputPath": "s3://data/profile"},
        "TensorBoardOutputConfig": {"S3OutputPath": "s3://data/board"},
        "ExperimentConfig": {"ExperimentName": "e"},
        "RetryStrategy": {"MaximumRetryAttempts": 1},
        "InfraCheckConfig": {"EnableInfraCheck": True},
        "RemoteDebugConfig": {"EnableRemoteDebug": False},
    }
    cloud.train("described", RELEASABLE, **given)
    cloud.said("Training", "described", "waiting")
    running = cloud.describe("Training", "described")
    assert {field: running.get(field) for field in given} == given
    assert (running["ProfilingStatus"], running["EnableNetworkIsolation"]) == ("Enabled", False)
    late = {"ModelArtifacts", "TrainingEndTime", "TrainingTimeInSeconds", "BillableTimeInSeconds", "FailureReason"}
    assert late & set(running) == set()
    cloud.client("sagemaker").stop_training_job(TrainingJobName="described")
    ended = cloud.finished("Training", "described")
    assert late & set(ended) == late - {"FailureReason"}
    assert ended["LastModifiedTime"] >= ended["TrainingEndTime"] >= ended["TrainingStartTime"] >= ended["CreationTime"]


@pytest.mark.executes("CreateTrainingJob")
def test_a_job_without_network(cloud: LocalCloud) -> None:
    """With network isolation a job reaches nothing but itself; its source comes through a channel."""
    script = f"""
import os, socket, urllib.request
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
try:
    urllib.request.urlopen("{cloud.endpoint}/_localcloud/status", timeout=5)
except OSError as error:
    print("no network:", error)
print([name for name in os.environ if name.startswith("AWS_SECRET")])
"""
    source = cloud.put("edges/isolated/sourcedir.tar.gz", archive({"train.py": script}))
    place = {"sagemaker_submit_directory": "/opt/ml/input/data/code/sourcedir.tar.gz"}
    cloud.train(
        "isolated",
        "pass",
        HyperParameters=place,
        InputDataConfig=[channel("code", source.rpartition("/")[0])],
        EnableNetworkIsolation=True,
    )
    job = cloud.finished("Training", "isolated")
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert cloud.log("Training", "isolated") == ["no network: <urlopen error [Errno 111] Connection refused>", "[]"]
    failed = cloud.finished("Training", cloud.train("isolated-source", "pass", EnableNetworkIsolation=True))
    assert "cannot be downloaded, as network isolation is enabled" in failed["FailureReason"]


@pytest.mark.refuses("CreateTrainingJob")
def test_network_isolation_of_a_cluster(cloud: LocalCloud) -> None:
    """Instances that are cut off the network could not reach each other, so several are refused."""
    resources = {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    words = refusal(cloud, "parted", EnableNetworkIsolation=True, ResourceConfig=resources)
    assert "EnableNetworkIsolation on more than one instance" in words


@pytest.mark.executes("CreateTrainingJob")
def test_a_bucket_that_is_gone(cloud: LocalCloud) -> None:
    """A job whose output bucket was deleted while it ran fails with S3's reason."""
    cloud.client("s3").create_bucket(Bucket="fleeting")
    script = RELEASABLE.replace("sleep(600)", "sleep(1.5)")
    cloud.train("homeless", script, OutputDataConfig={"S3OutputPath": "s3://fleeting/models"})
    cloud.said("Training", "homeless", "waiting")
    cloud.client("s3").delete_bucket(Bucket="fleeting")
    job = cloud.finished("Training", "homeless")
    uri = "s3://fleeting/models/homeless/output/model.tar.gz"
    assert job["FailureReason"].startswith(f"ClientError: Artifact upload failed: {uri}: NoSuchBucket: ")


@pytest.mark.executes("StopTrainingJob")
def test_a_job_that_never_ran(start_cloud: StartCloud) -> None:
    """A job stopped in the queue has no log, no times and no artifact; one whose data went meanwhile says so."""
    cloud = start_cloud("--slots", "1")
    cloud.train("holds-the-slot", WAITS)
    cloud.said("Training", "holds-the-slot", "waiting")
    uri = cloud.put("edges/fleeting.csv", "1")
    cloud.train("queued", WAITS)
    cloud.train("starved", "pass", InputDataConfig=[channel("train", uri)])
    cloud.client("s3").delete_object(Bucket=cloud.bucket, Key="edges/fleeting.csv")
    cloud.client("sagemaker").stop_training_job(TrainingJobName="queued")
    queued = cloud.finished("Training", "queued")
    assert [item["Status"] for item in queued["SecondaryStatusTransitions"]] == ["Starting", "Stopping", "Stopped"]
    assert {"ModelArtifacts", "TrainingStartTime", "BillableTimeInSeconds"} & set(queued) == set()
    assert cloud.log("Training", "queued") == []
    cloud.client("sagemaker").stop_training_job(TrainingJobName="holds-the-slot")
    starved = cloud.finished("Training", "starved")
    assert starved["FailureReason"] == f"ClientError: Data download failed: no S3 objects found under {uri}"


@pytest.mark.executes("CreateTrainingJob")
def test_a_full_disk(start_cloud: StartCloud, tmp_path: Path) -> None:
    """A job that fills the disk, by its data or by what it writes, fails with that reason, and the next one runs."""
    jobs = tmp_path / "root" / "jobs"  # their trees lie there; what the cloud keeps has to fit on its own disk
    jobs.mkdir(parents=True)
    mount = f'mount -t tmpfs -o size=6m tmpfs {jobs} && exec "$@"'
    cloud = start_cloud(within=["unshare", "-Urm", "sh", "-c", mount, "sh"])
    uri = cloud.put("edges/big.bin", b"x" * (8 << 20))
    full = cloud.finished("Training", cloud.train("full-data", "pass", InputDataConfig=[channel("train", uri)]))
    assert full["FailureReason"] == f"ClientError: Data download failed: {uri}: No space left on device"
    writes = "open('/opt/ml/model/a', 'wb').write(b'x' * (8 << 20))"
    assert "No space left on device" in cloud.finished("Training", cloud.train("full", writes))["FailureReason"]
    packs = "import os\nopen('/opt/ml/model/a', 'wb').write(os.urandom(4 << 20))"
    packed = cloud.finished("Training", cloud.train("full-archive", packs))
    assert packed["FailureReason"].endswith("model.tar.gz: No space left on device")
    assert cloud.finished("Training", cloud.train("after", "pass"))["TrainingJobStatus"] == "Completed"


@pytest.mark.executes("CreateTrainingJob")
def test_nothing_comes_after_a_reset(start_cloud: StartCloud) -> None:
    """What ran before a reset leaves nothing in the cloud after it, also when it tidies up, and its name is free."""
    cloud = start_cloud("--slots", "1")
    for name in ("before", "queued"):
        cloud.train(name, RELEASABLE)
    cloud.said("Training", "before", "waiting")
    pid = cloud.pid("before")
    urllib.request.urlopen(urllib.request.Request(f"{cloud.endpoint}/moto-api/reset", method="POST")).close()  # noqa: S310 - loopback
    cloud.client("s3").create_bucket(Bucket=cloud.bucket)
    until(lambda: not list((cloud.root / "jobs").iterdir()), "the end of the trees")
    assert {job["status"] for job in cloud.status()["jobs"]} == {"failed"}
    assert pid
    assert cloud.keys("models/") == []
    assert cloud.client("logs").describe_log_groups()["logGroups"] == []
    cloud.finished("Training", cloud.train("before", "pass"))
    assert cloud.log("Training", "before") == []


@pytest.mark.executes("CreateTrainingJob")
def test_local_sockets_below_a_long_name(cloud: LocalCloud) -> None:
    """A folder for temporary files is short enough for the addresses of local sockets, however long the job's name."""
    script = "import multiprocessing\nif __name__ == '__main__':\n    print(multiprocessing.Manager().list([1]))\n"
    cloud.finished("Training", cloud.train("x" * 63, script))
    assert cloud.log("Training", "x" * 63) == ["[1]"]


@pytest.mark.executes("CreateTrainingJob")
def test_arguments_and_variables_that_are_too_long(cloud: LocalCloud) -> None:
    """More hyperparameters than a command line holds fail the job as the program's error, not as a defect."""
    many = {f"parameter{number}": "v" * 2400 for number in range(90)}
    job = cloud.finished("Training", cloud.train("too-much", "pass", HyperParameters=many))
    assert job["FailureReason"] == "AlgorithmError: the program cannot be started: Argument list too long"


@pytest.mark.executes("CreateTrainingJob")
def test_a_checkpoint_folder_that_leads_elsewhere(cloud: LocalCloud) -> None:
    """A checkpoint folder that the program replaced by a link to the machine's files uploads none of them."""
    script = "import os, shutil\nshutil.rmtree('/opt/ml/checkpoints')\nos.symlink('/etc', '/opt/ml/checkpoints')\n"
    cloud.train("checkpoint-link", script, CheckpointConfig={"S3Uri": "s3://data/edges/checkpoints"})
    assert cloud.finished("Training", "checkpoint-link")["TrainingJobStatus"] == "Completed"
    assert cloud.keys("edges/checkpoints") == []


@pytest.mark.refuses("CreateTrainingJob")
@pytest.mark.parametrize("place", ["/opt/ml/", "/opt/ml//input/x", "/opt/ml/./model", "/opt/ml/a/../output", "/tmp/x"])  # noqa: S108 - a job's
def test_a_checkpoint_folder_that_is_taken(cloud: LocalCloud, place: str) -> None:
    """Checkpoints have a folder of their own, however the path is spelt."""
    config = {"S3Uri": "s3://data/edges/checkpoints", "LocalPath": place}
    assert "it has to be a folder of its own below /opt/ml" in refusal(cloud, "taken", CheckpointConfig=config)


@pytest.mark.executes("CreateTrainingJob")
def test_a_metric_that_is_no_number(cloud: LocalCloud) -> None:
    """What a metric's expression finds counts only when it is a finite number."""
    definitions = [{"Name": "loss", "Regex": "loss=(.*?);"}]
    script = "for value in ('2.5', 'nan', 'inf', 'much'):\n    print(f'loss={value};')\n"
    cloud.train("no-number", script, AlgorithmSpecification={"MetricDefinitions": definitions})
    found = cloud.finished("Training", "no-number")["FinalMetricDataList"]
    assert [(metric["MetricName"], metric["Value"]) for metric in found] == [("loss", 2.5)]


@pytest.mark.verify
@pytest.mark.executes("CreateTrainingJob")
def test_a_program_that_says_much(cloud: LocalCloud) -> None:
    """A program that writes faster than the log takes it waits; the log is complete when the job is Completed."""
    cloud.train("talks", "for number in range(60_000):\n    print(number)\n")
    assert cloud.finished("Training", "talks")["TrainingJobStatus"] == "Completed"
    logs = cloud.client("logs")
    (stream,) = logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="talks/")[
        "logStreams"
    ]
    lines, token = [], ""
    while True:
        page = logs.get_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs",
            logStreamName=stream["logStreamName"],
            startFromHead=True,
            **({"nextToken": token} if token else {}),
        )
        lines += [int(event["message"]) for event in page["events"]]
        if page["nextForwardToken"] == token:
            break
        token = page["nextForwardToken"]
    assert lines == list(range(60_000))


@pytest.mark.refuses("CreateTrainingJob")
def test_one_name_for_many_at_once(cloud: LocalCloud) -> None:
    """Of many who create a job of one name at the same time one succeeds, and the others are told that it is taken."""
    together = threading.Barrier(8)

    def create(_: int) -> str:
        together.wait()
        try:
            return cloud.train("wanted-by-all", "pass")
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == ["ResourceInUse"] * 7 + ["wanted-by-all"]


@pytest.mark.verify
@pytest.mark.refuses("CreateTrainingJob")
def test_network_isolation_without_namespaces(start_cloud: StartCloud) -> None:
    """Where a job cannot be cut off the network, asking for it is refused."""
    cloud = start_cloud("--isolation", "paths")
    assert "EnableNetworkIsolation on a machine without" in refusal(cloud, "cut", EnableNetworkIsolation=True)
