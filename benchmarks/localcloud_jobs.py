"""Measure what localcloud's jobs cost: ``python -m benchmarks.localcloud_jobs [--runs 10]``.

Starts a bare moto server and a localcloud with 8 slots beside it, both on ports of their own, and asks both the same:
CPU seconds from the start to the first answer, resident memory at rest, create → Completed of a trivial training job
(wall seconds as a client sees them), 50 jobs that sleep 1 s, and DescribeTrainingJob calls per second by 4 client
processes while 4 jobs run. moto's jobs are Completed at birth, so that its first figure is the price of the API alone.
Server CPU is user and system time of the server's own process, from /proc.

The jobs' environment has to be there already (`make setup`).
"""

# A benchmark's result is what it prints; a server that does not answer as it should ends it.
# ruff: noqa: T201, S101

from __future__ import annotations

import argparse
import io
import os
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.clients import client_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENTS = Path(__file__).parents[1] / ".local" / "environments"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2"
SLOTS, JOBS, CLIENTS, SECONDS = 8, 50, 4, 5.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Server:
    """A server process and clients of it."""

    def __init__(self, process: int, endpoint: str) -> None:
        self.process = process
        self.values = client_environment(endpoint)

    def client(self, service: str) -> Any:
        """Return a client with a connection of its own."""
        import boto3

        return boto3.Session().client(
            service,
            endpoint_url=self.values["AWS_ENDPOINT_URL"],
            region_name=self.values["AWS_REGION"],
            aws_access_key_id=self.values["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.values["AWS_SECRET_ACCESS_KEY"],
        )

    @property
    def cpu(self) -> float:
        """CPU seconds of the server's process so far."""
        fields = Path(f"/proc/{self.process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def resident(self) -> float:
        """MB that are resident now."""
        pages = Path(f"/proc/{self.process}/statm").read_text(encoding="utf-8").split()[1]
        return int(pages) * PAGE / 1e6


@contextmanager
def running(command: list[str], ready: str) -> Iterator[Server]:
    """Start a server and end it; `ready` is its address, or empty if it prints that itself."""
    environment = {**os.environ, "LOCALCLOUD_ENVIRONMENTS": str(ENVIRONMENTS)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        endpoint = ready or process.stdout.readline().split()[1]
        while ready:
            try:
                with urllib.request.urlopen(f"{ready}/moto-api/data.json") as answer:  # noqa: S310 - loopback
                    answer.read()
                break
            except OSError:
                time.sleep(0.02)
        try:
            yield Server(process.pid, endpoint)
        finally:
            process.send_signal(signal.SIGTERM)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.localcloud_jobs", allow_abbrev=False)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="jobs-") as root:
        moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "45671"]
        ours = [sys.executable, "-m", "localcloud.cli", "up", "--root", root, "--port", "0", "--slots", str(SLOTS)]
        with running(moto, "http://127.0.0.1:45671") as bare, running(ours, "") as local:
            print(f"load {os.getloadavg()[0]:.1f}")
            measured = {name: measure(server, runs) for name, server in (("moto", bare), ("localcloud", local))}
    print("| | moto | localcloud | ratio |\n|---|---|---|---|")
    for name, moto_figure in measured["moto"].items():
        figure = measured["localcloud"][name]
        print(f"| {name} | {moto_figure:.3f} | {figure:.3f} | {figure / moto_figure if moto_figure else 0:.1f} |")


def measure(server: Server, runs: int) -> dict[str, float]:
    """Return the figures of one server."""
    found = {"start, CPU s": server.cpu, "at rest, MB": server.resident}
    server.client("s3").create_bucket(Bucket="bench")
    for name, script in (("nothing", "pass"), ("second", "import time; time.sleep(1)"), ("long", WAITS)):
        server.client("s3").put_object(Bucket="bench", Key=f"{name}.tar.gz", Body=archive(script))
    client = server.client("sagemaker")
    lives = [life(client, f"trivial-{number}", "nothing") for number in range(runs + 1)]
    found["trivial job, create to Completed, median s"] = statistics.median(lives[1:])
    began = time.monotonic()
    for number in range(JOBS):
        create(client, f"second-{number}", "second")
    for number in range(JOBS):
        await_end(client, f"second-{number}")
    found[f"{JOBS} jobs of 1 s on {SLOTS} slots, s"] = time.monotonic() - began
    for number in range(CLIENTS):
        create(client, f"long-{number}", "long")
    cpu = server.cpu
    with ProcessPoolExecutor(CLIENTS) as pool:  # threads of one client would share one core
        answered = list(pool.map(describe_for, [server] * CLIENTS, [f"long-{number}" for number in range(CLIENTS)]))
    found["DescribeTrainingJob per second"] = sum(calls / spent for calls, spent in answered)
    found["server CPU per DescribeTrainingJob, ms"] = (server.cpu - cpu) / sum(calls for calls, _ in answered) * 1000
    found["after the jobs, MB"] = server.resident
    return found


WAITS = "import time; time.sleep(600)"


def archive(script: str) -> bytes:
    """Return a source archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("train.py")
        member.size = len(script)
        tar.addfile(member, io.BytesIO(script.encode()))
    return buffer.getvalue()


def training_request(name: str, source: str) -> dict[str, Any]:
    """Return a request for a training job."""
    return {
        "TrainingJobName": name,
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://bench/{source}.tar.gz",
        },
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/jobs",
        "OutputDataConfig": {"S3OutputPath": "s3://bench/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 900},
    }


def create(client: Any, name: str, source: str) -> None:
    """Create a training job."""
    client.create_training_job(**training_request(name, source))


def await_end(client: Any, name: str) -> None:
    """Ask until the job has ended; fail if it has not completed."""
    while True:
        status = client.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
        if status == "Completed":
            return
        assert status == "InProgress", (name, status)
        time.sleep(0.01)


def life(client: Any, name: str, source: str) -> float:
    """Return the seconds from creation to completion, as a client sees them."""
    began = time.monotonic()
    create(client, name, source)
    await_end(client, name)
    return time.monotonic() - began


def describe_for(server: Server, name: str) -> tuple[int, float]:
    """Describe a job for some seconds; return how often, and in how many seconds exactly."""
    client, calls, began = server.client("sagemaker"), 0, time.monotonic()
    while time.monotonic() - began < SECONDS:
        client.describe_training_job(TrainingJobName=name)
        calls += 1
    return calls, time.monotonic() - began


if __name__ == "__main__":
    main()
