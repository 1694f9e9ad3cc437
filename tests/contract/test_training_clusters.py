"""Training on several instances: what each of them sees, and how they end together."""

import json
from typing import Any

import pytest

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import LocalCloud, is_alive, unpacked, until

REPORTS = """
import json, os, pathlib, socket
host = os.environ["SM_CURRENT_HOST"]
def address(name):
    try:
        return socket.gethostbyname(name)
    except OSError:
        return None
seen = {
    "resourceconfig": json.load(open(os.path.join(os.environ["SM_INPUT_CONFIG_DIR"], "resourceconfig.json"))),
    "hosts": json.loads(os.environ["SM_HOSTS"]),
    "master": json.loads(os.environ["SM_TRAINING_ENV"])["master_hostname"],
    "is_master": json.loads(os.environ["SM_TRAINING_ENV"])["is_master"],
    "host_name": socket.gethostname(),
    "addresses": [address(name) for name in json.loads(os.environ["SM_HOSTS"])],
    "channels": {name: sorted(os.listdir(os.environ["SM_CHANNEL_" + name.upper()]))
                 for name in json.loads(os.environ["SM_CHANNELS"])},
}
model, data = pathlib.Path(os.environ["SM_MODEL_DIR"]), pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"])
(model / f"{host}.json").write_text(json.dumps(seen))
(model / "shared.txt").write_text(host)
(data / f"{host}.txt").write_text("kept")
print("I am", host)
"""


def channel(uri: str, name: str, distribution: str, **source: object) -> dict[str, object]:
    """Return an input channel whose objects are distributed over the hosts in one of AWS's two ways."""
    given = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": distribution, **source}
    return {"ChannelName": name, "DataSource": {"S3DataSource": given}}


def reports(cloud: LocalCloud, name: str) -> dict[str, Any]:
    """Return what each host of a job that ran REPORTS has seen."""
    files = unpacked(cloud.get(f"models/{name}/output/model.tar.gz"))
    return {path.removesuffix(".json"): json.loads(body) for path, body in files.items() if path.endswith(".json")}


@pytest.mark.executes("CreateTrainingJob", "DescribeTrainingJob")
def test_a_cluster_of_three(cloud: LocalCloud) -> None:
    """Three instances run three processes, which know each other by name; what they leave is put together."""
    for part in "abcde":
        cloud.put(f"input/three/{part}.csv", part)
    inputs = [
        channel(f"s3://{cloud.bucket}/input/three/", "shared", "FullyReplicated"),
        channel(f"s3://{cloud.bucket}/input/three/", "split", "ShardedByS3Key"),
    ]
    resources = {"InstanceCount": 3, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    cloud.train("three", REPORTS, InputDataConfig=inputs, ResourceConfig=resources)
    job = cloud.finished("Training", "three")
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    seen = reports(cloud, "three")
    hosts = ["algo-1", "algo-2", "algo-3"]
    assert sorted(seen) == hosts
    assert [seen[host]["hosts"] for host in hosts] == [hosts] * 3
    assert [seen[host]["resourceconfig"]["current_host"] for host in hosts] == hosts
    assert [seen[host]["is_master"] for host in hosts] == [True, False, False]
    assert {seen[host]["master"] for host in hosts} == {"algo-1"}
    assert [seen[host]["host_name"] for host in hosts] == hosts
    # one address each, the same whoever asks
    assert len(set(seen["algo-1"]["addresses"])) == 3
    assert [seen[host]["addresses"] for host in hosts] == [seen["algo-1"]["addresses"]] * 3
    everything = ["a.csv", "b.csv", "c.csv", "d.csv", "e.csv"]
    assert [seen[host]["channels"]["shared"] for host in hosts] == [everything] * 3
    shares = [seen[host]["channels"]["split"] for host in hosts]
    assert sorted(name for share in shares for name in share) == everything
    assert [len(share) for share in shares] == [2, 2, 1]
    assert sorted(unpacked(cloud.get("models/three/output/output.tar.gz"))) == [f"{host}.txt" for host in hosts]
    assert unpacked(cloud.get("models/three/output/model.tar.gz"))["shared.txt"] == b"algo-3"
    logs = cloud.client("logs")
    streams = logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="three/")
    assert sorted(item["logStreamName"].split("/")[1].rsplit("-", 1)[0] for item in streams["logStreams"]) == hosts


@pytest.mark.executes("CreateTrainingJob")
def test_instance_groups(cloud: LocalCloud) -> None:
    """Groups of different instances are numbered through; a channel reaches the groups that it names."""
    cloud.put("input/groups/a.csv", "a")
    groups = [
        {"InstanceGroupName": "cpu", "InstanceType": "ml.m5.large", "InstanceCount": 1},
        {"InstanceGroupName": "big", "InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
    ]
    only = channel(f"s3://{cloud.bucket}/input/groups/", "only", "FullyReplicated", InstanceGroupNames=["big"])
    cloud.train(
        "groups", REPORTS, InputDataConfig=[only], ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 10}
    )
    job = cloud.finished("Training", "groups")
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    seen = reports(cloud, "groups")
    assert {host: list(seen[host]["channels"]) for host in seen} == {"algo-1": [], "algo-2": ["only"]}
    configuration = seen["algo-2"]["resourceconfig"]
    assert (configuration["current_group_name"], configuration["current_instance_type"]) == ("big", "ml.m5.xlarge")
    assert configuration["instance_groups"] == [
        {"instance_group_name": "cpu", "instance_type": "ml.m5.large", "hosts": ["algo-1"]},
        {"instance_group_name": "big", "instance_type": "ml.m5.xlarge", "hosts": ["algo-2"]},
    ]


@pytest.mark.executes("CreateTrainingJob")
def test_one_host_fails(cloud: LocalCloud) -> None:
    """When one host fails, the others are ended and the job fails with that host's reason."""
    script = """
import os, time
if os.environ["SM_CURRENT_HOST"] == "algo-2":
    raise RuntimeError("this host is broken")
time.sleep(600)
"""
    resources = {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    cloud.train("broken-host", script, ResourceConfig=resources)
    job = cloud.finished("Training", "broken-host")
    assert job["TrainingJobStatus"] == "Failed"
    assert "RuntimeError: this host is broken" in job["FailureReason"]
    assert not is_alive(cloud.pid("broken-host"))


@pytest.mark.executes("CreateTrainingJob")
def test_hosts_talk_to_each_other(cloud: LocalCloud) -> None:
    """A host reaches another one by its name, at a port that both of them use."""
    script = """
import os, pathlib, socket, time
host, hosts = os.environ["SM_CURRENT_HOST"], ("algo-1", "algo-2")
server = socket.create_server((host, 29500))
other = next(name for name in hosts if name != host)
deadline = time.monotonic() + 30
while True:
    try:
        client = socket.create_connection((other, 29500), timeout=1)
        break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.02)
client.sendall(host.encode())
client.shutdown(socket.SHUT_WR)
said = server.accept()[0].recv(100).decode()
pathlib.Path(os.environ["SM_MODEL_DIR"], host).write_text(said)
"""
    resources = {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    cloud.train("talk", script, ResourceConfig=resources)
    job = cloud.finished("Training", "talk")
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert unpacked(cloud.get("models/talk/output/model.tar.gz")) == {"algo-1": b"algo-2", "algo-2": b"algo-1"}


@pytest.mark.executes("StopTrainingJob")
def test_a_cluster_is_stopped(cloud: LocalCloud) -> None:
    """A stop request ends all hosts; what each of them saved is kept."""
    script = """
import os, pathlib, signal, sys, time
def tidy(*_):
    pathlib.Path(os.environ["SM_MODEL_DIR"], os.environ["SM_CURRENT_HOST"]).write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, tidy)
pathlib.Path(os.environ["SM_MODEL_DIR"], "..", "checkpoints", os.environ["SM_CURRENT_HOST"]).write_text("ready")
time.sleep(600)
"""
    cloud.train(
        "stopped-cluster",
        script,
        ResourceConfig={"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10},
        CheckpointConfig={"S3Uri": f"s3://{cloud.bucket}/checkpoints/stopped-cluster"},
    )
    until(lambda: len(cloud.keys("checkpoints/stopped-cluster/")) == 2, "both hosts to be ready")
    cloud.client("sagemaker").stop_training_job(TrainingJobName="stopped-cluster")
    job = cloud.finished("Training", "stopped-cluster")
    assert job["TrainingJobStatus"] == "Stopped"
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Stopping",
        "Stopped",
    ]
    artifact = unpacked(cloud.get("models/stopped-cluster/output/model.tar.gz"))
    assert artifact == {"algo-1": b"saved", "algo-2": b"saved"}


@pytest.mark.executes("CreateTrainingJob")
def test_a_cluster_without_namespaces(start_cloud: StartCloud) -> None:
    """Where no namespace is to be had, the hosts run all the same; only their names do not resolve."""
    cloud = start_cloud("--isolation", "paths")
    resources = {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    cloud.train("plain-cluster", REPORTS, ResourceConfig=resources)
    job = cloud.finished("Training", "plain-cluster")
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    seen = reports(cloud, "plain-cluster")
    assert sorted(seen) == ["algo-1", "algo-2"]
    assert seen["algo-1"]["addresses"] == [None, None]
