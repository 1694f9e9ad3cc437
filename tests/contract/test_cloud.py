"""The local cloud as a program: its commands, its records, its end, and what it says when something is wrong."""

import ctypes
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.clients import client_environment
from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import LocalCloud, is_alive, until

# a child in a session of its own is the hardest to find again
LEAVES_CHILDREN = """
import subprocess, time
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
print("child", child.pid)
print("waiting")
time.sleep(600)
"""


def localcloud(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    command = [sys.executable, "-m", "localcloud.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_kill_of_the_server(start_cloud: StartCloud) -> None:
    """A server that is killed takes its jobs' processes along; the next `up` reports the job as failed."""
    cloud = start_cloud()
    cloud.train("orphan", LEAVES_CHILDREN)
    cloud.said("Training", "orphan", "waiting")
    child, pid = int(cloud.log("Training", "orphan")[0].split()[1]), cloud.pid("orphan")
    assert (is_alive(pid), is_alive(child)) == (True, True)
    cloud.end(signal.SIGKILL)
    until(lambda: not is_alive(pid) and not is_alive(child), "the end of the job's processes")
    row = start_cloud().row("orphan")
    assert (row["kind"], row["status"]) == ("training", "failed")
    assert row["reason"] == "the local cloud was stopped while the job was running"


def test_end_of_the_server(start_cloud: StartCloud) -> None:
    """SIGTERM ends the server with exit code 0, and every process of its jobs with it."""
    cloud = start_cloud()
    cloud.train("left", LEAVES_CHILDREN)
    cloud.said("Training", "left", "waiting")
    child, pid = int(cloud.log("Training", "left")[0].split()[1]), cloud.pid("left")
    assert cloud.end() == 0
    assert (is_alive(pid), is_alive(child)) == (False, False)
    assert not (cloud.root / "cloud.json").exists()
    assert cloud.errors.read_text(encoding="utf-8") == ""


def test_a_signal_that_another_thread_gets(start_cloud: StartCloud) -> None:
    """The kernel chooses which thread gets a signal to the process: any of them ends the server."""
    cloud = start_cloud()
    pid = cloud.process.pid
    others = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)]
    assert ctypes.CDLL(None).tgkill(pid, others[-1], signal.SIGTERM) == 0
    assert cloud.process.wait(20) == 0


def test_commands(start_cloud: StartCloud) -> None:
    """`env`, `status` and `down` find the cloud by its root; after `down` they say that none runs."""
    cloud = start_cloud()
    root = str(cloud.root)
    exports = localcloud("env", "--root", root).stdout.splitlines()
    assert exports == [f"export {name}={value}" for name, value in client_environment(cloud.endpoint).items()]
    status = json.loads(localcloud("status", "--json", "--root", root).stdout)
    assert (status["endpoint"], status["pid"], status["root"]) == (cloud.endpoint, cloud.process.pid, root)
    assert localcloud("down", "--root", root).returncode == 0
    assert cloud.process.wait(10) == 0
    gone = localcloud("status", "--root", root)
    assert gone.returncode == 1
    assert gone.stderr == (
        f"localcloud: root {root}: no local cloud runs on it. Start one with `localcloud up --root {root}`.\n"
    )


def test_second_cloud_on_one_root(cloud: LocalCloud) -> None:
    """A second `up` on the same root is refused with one message and no traceback."""
    second = localcloud("up", "--root", str(cloud.root), "--port", "0")
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith(f"localcloud: root {cloud.root}: another local cloud runs on it")
    assert len(second.stderr.splitlines()) == 1


def test_taken_port(tmp_path: Path) -> None:
    """A port that is taken is refused with one message that names it and the remedy."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        refused = localcloud("up", "--root", str(tmp_path / "root"), "--port", str(port))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"localcloud: address 127.0.0.1:{port} cannot be bound (Address already in use), and the local cloud needs it "
        "for itself. End what listens there, or choose another --port or --google-port (0 picks free ones).\n"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "bukets: [a]\n",
            "bukets is not one of buckets, secrets, roles, google, got ['a']. Remedy: remove or rename it.",
        ),
        ("buckets: a\n", "buckets must be a list of names, got 'a'. Remedy: write one name per line, each after `- `."),
        ("roles: [1]\n", "roles must hold names (strings), got 1. Remedy: put the name in quotes."),
        (
            "google: {roles: [a]}\n",
            "google.roles is not one of buckets, secrets, got ['a']. Remedy: remove or rename it.",
        ),
        (
            "secrets: {airflow/x: 5}\n",
            "secrets.airflow/x must be a string or a mapping, got 'int'. Remedy: put the value in quotes.",
        ),
    ],
)
def test_wrong_seed(tmp_path: Path, content: str, expected: str) -> None:
    """A wrong seed file is refused before anything starts; the message names file, key, rule, value and remedy."""
    seed = tmp_path / "seed.yaml"
    seed.write_text(content, encoding="utf-8")
    refused = localcloud("up", "--root", str(tmp_path / "root"), "--port", "0", "--seed", str(seed))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"localcloud: seed file {seed}: {expected}\n"


def test_missing_seed(tmp_path: Path) -> None:
    """A seed file that cannot be read is refused."""
    refused = localcloud("up", "--root", str(tmp_path / "root"), "--port", "0", "--seed", str(tmp_path / "none.yaml"))
    assert refused.returncode == 1
    assert "cannot be read (No such file or directory)" in refused.stderr


def test_seed(start_cloud: StartCloud, tmp_path: Path) -> None:
    """What the seed file names exists when the cloud says that it is ready."""
    seed = tmp_path / "seed.yaml"
    seed.write_text(
        "buckets: [feed, lake]\nsecrets:\n  airflow/connections/a: {conn_type: aws}\n  plain: text\nroles: [jobs]\n",
        encoding="utf-8",
    )
    cloud = start_cloud("--seed", str(seed))
    buckets = {bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]}
    assert buckets == {"data", "feed", "lake"}
    secrets = cloud.client("secretsmanager")
    names = ("airflow/connections/a", "plain")
    stored = {name: secrets.get_secret_value(SecretId=name)["SecretString"] for name in names}
    assert stored == {"airflow/connections/a": '{"conn_type": "aws"}', "plain": "text"}
    role = cloud.client("iam").get_role(RoleName="jobs")["Role"]
    principals = [part["Principal"] for part in role["AssumeRolePolicyDocument"]["Statement"]]
    assert principals == [{"Service": "sagemaker.amazonaws.com"}]


def test_operation_that_is_not_implemented(cloud: LocalCloud) -> None:
    """An operation that nobody implements is refused at once, with its name, and no client retries it."""
    with pytest.raises(ClientError) as refusal:
        cloud.client("sagemaker").list_workforces()
    response = refusal.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["ResponseMetadata"]["RetryAttempts"] == 0
    assert response["Error"]["Message"] == "localcloud does not implement the SageMaker operation ListWorkforces"


def test_request_log(cloud: LocalCloud) -> None:
    """Every request leaves one line: service, operation, region, application, resource, status; never a value."""
    secrets = cloud.client("secretsmanager", "log-test")
    secrets.create_secret(Name="logged/secret", SecretString="never-to-be-seen")
    secrets.get_secret_value(SecretId="logged/secret")
    with pytest.raises(ClientError):
        cloud.client("sagemaker", "log-test").describe_training_job(TrainingJobName="unheard-of")
    cloud.client("s3", "log-test").list_objects_v2(Bucket="data")
    cloud.client("iam", "log-test").list_roles()
    text = (cloud.root / "requests.jsonl").read_text(encoding="utf-8")
    entries = [json.loads(line) for line in text.splitlines()]
    mine: list[dict[str, Any]] = [
        {name: value for name, value in entry.items() if name not in {"time", "app"}}
        for entry in entries
        if entry["app"] == "log-test"
    ]
    region = "us-east-1"
    assert mine == [
        {
            "service": "secretsmanager",
            "operation": "CreateSecret",
            "region": region,
            "secret_id": "logged/secret",
            "status": 200,
        },
        {
            "service": "secretsmanager",
            "operation": "GetSecretValue",
            "region": region,
            "secret_id": "logged/secret",
            "status": 200,
        },
        {
            "service": "sagemaker",
            "operation": "DescribeTrainingJob",
            "region": region,
            "resource": "unheard-of",
            "status": 400,
        },
        {"service": "s3", "operation": "ListObjectsV2", "region": region, "status": 200},
        {"service": "iam", "operation": "ListRoles", "region": region, "status": 200},
    ]
    assert "never-to-be-seen" not in text


def test_reset(start_cloud: StartCloud) -> None:
    """A reset of moto ends running jobs and frees their names."""
    cloud = start_cloud()
    cloud.train("again", LEAVES_CHILDREN)
    cloud.said("Training", "again", "waiting")
    pid = cloud.pid("again")
    with urllib.request.urlopen(f"{cloud.endpoint}/moto-api/reset", data=b"") as answer:  # noqa: S310 - loopback
        assert answer.status == 200
    until(lambda: not is_alive(pid), "the end of the job's process")
    cloud.client("s3").create_bucket(Bucket="data")
    cloud.train("again", "print('second life')")
    assert cloud.finished("Training", "again")["TrainingJobStatus"] == "Completed"
