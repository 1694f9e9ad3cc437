"""A real `localcloud up` in a process of its own, and what a test needs to talk to it with plain boto3."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from localcloud.clients import client_environment

XGBOOST_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
ROLE = "arn:aws:iam::123456789012:role/service-role/jobs"
FINAL = {"Completed", "Failed", "Stopped"}
# generous, because it only matters for a test that fails
PATIENCE_SECONDS = 90.0
_T = TypeVar("_T")


def until(ask: Callable[[], _T | None], what: str) -> _T:
    """Ask until the answer is neither None nor False nor empty; fail with `what` when it does not come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            message = f"waited {PATIENCE_SECONDS:g} s in vain for {what}"
            raise TimeoutError(message)
        time.sleep(0.05)


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """Return a .tar.gz of the given files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    """Return the files of a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: read.read() for member in tar if (read := tar.extractfile(member)) is not None}


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


class LocalCloud:
    """One running cloud. `bucket` exists in it; `within` is a command that runs it in surroundings of its own."""

    bucket = "data"
    # of each call: what a client repeats, no test sees, and a server that is gone is asked for half a minute
    attempts = 1

    def __init__(self, root: Path, *options: str, within: Sequence[str] = ()) -> None:
        self.root = root
        self._clients: dict[str, Any] = {}
        # most tests are of the AWS half, and the other one costs each start two seconds
        options = options if "--google" in options else ("--google", "off", *options)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        root.parent.mkdir(parents=True, exist_ok=True)
        self.errors = root.parent / f"{root.name}.stderr"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*within, sys.executable, "-m", "localcloud.cli", "up", "--root", str(root), "--port", "0", *options],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        assert self.process.stdout is not None
        said = self.process.stdout.readline().split()
        assert said[:1] == ["ready"], self.errors.read_text(encoding="utf-8")
        self.endpoint = said[1]
        self.client("s3").create_bucket(Bucket=self.bucket)

    def client(self, service: str, application: str | None = None) -> Any:
        """Return a boto3 client, with its own identity in the request log if `application` is given."""
        key = f"{service}/{application}"
        if key not in self._clients:
            values = client_environment(self.endpoint)
            self._clients[key] = boto3.Session().client(
                service,  # type: ignore[call-overload]
                endpoint_url=values["AWS_ENDPOINT_URL"],
                region_name=values["AWS_REGION"],
                aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
                config=Config(user_agent_appid=application, retries={"total_max_attempts": self.attempts}),  # type: ignore[call-arg]
            )
        return self._clients[key]

    def put(self, key: str, body: str | bytes) -> str:
        """Write an object; return its address."""
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def get(self, key: str) -> bytes:
        """Read an object."""
        body: bytes = self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str) -> list[str]:
        """List the keys under a prefix."""
        found = self.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in found]

    def train(self, name: str, script: str, files: Mapping[str, str] | None = None, **request: Any) -> str:
        """Create a script-mode training job; `request` overrides parts of the request. Returns the name."""
        source = self.put(f"code/{name}.tar.gz", archive({"train.py": script, **(files or {})}))
        hyperparameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": source}
        hyperparameters |= request.pop("HyperParameters", {})
        algorithm = {"TrainingImage": XGBOOST_IMAGE, "TrainingInputMode": "File"}
        algorithm |= request.pop("AlgorithmSpecification", {})
        defaults = {
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models/"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        self.client("sagemaker").create_training_job(
            TrainingJobName=name,
            HyperParameters=hyperparameters,
            AlgorithmSpecification=algorithm,
            **{**defaults, **request},
        )
        return name

    def process_data(self, name: str, script: str, **request: Any) -> str:
        """Create a processing job that runs `script`; `request` overrides parts of the request. Returns the name."""
        code = self.put(f"code/{name}/run.py", script)
        source = {"S3Uri": code, "LocalPath": "/opt/ml/processing/code", "S3DataType": "S3Prefix"}
        source["S3InputMode"] = "File"
        inputs = [{"InputName": "code", "S3Input": source}, *request.pop("ProcessingInputs", [])]
        cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
        resources = request.pop("ProcessingResources", {"ClusterConfig": cluster})
        command = {"ContainerEntrypoint": ["python3", "/opt/ml/processing/code/run.py"]}
        self.client("sagemaker").create_processing_job(
            ProcessingJobName=name,
            ProcessingInputs=inputs,
            ProcessingResources=resources,
            AppSpecification={"ImageUri": XGBOOST_IMAGE, **command, **request.pop("AppSpecification", {})},
            RoleArn=ROLE,
            **request,
        )
        return name

    def describe(self, kind: str, name: str) -> dict[str, Any]:
        """Describe a job; `kind` is Training, Processing or Transform."""
        describe = getattr(self.client("sagemaker"), f"describe_{kind.lower()}_job")
        found: dict[str, Any] = describe(**{f"{kind}JobName": name})
        return found

    def finished(self, kind: str, name: str) -> dict[str, Any]:
        """Wait until a job is final; return its description."""

        def final() -> dict[str, Any] | None:
            found = self.describe(kind, name)
            return found if found[f"{kind}JobStatus"] in FINAL else None

        return until(final, f"the end of {name}")

    def status(self) -> dict[str, Any]:
        """Return the cloud's own status page."""
        with urllib.request.urlopen(f"{self.endpoint}/_localcloud/status") as answer:  # noqa: S310 - loopback
            page: dict[str, Any] = json.load(answer)
        return page

    def row(self, name: str) -> dict[str, Any]:
        """Return the status page's entry of a job."""
        return next(job for job in self.status()["jobs"] if job["name"] == name)

    def pid(self, name: str) -> int:
        """Wait until a job's program runs; return its process id."""
        return int(until(lambda: self.row(name)["pid"], f"a process of {name}"))

    def log(self, kind: str, name: str) -> list[str]:
        """Return the lines of a job's log; none while there is no log."""
        logs, group = self.client("logs"), f"/aws/sagemaker/{kind}Jobs"
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        if not streams:
            return []
        # a transform's data log is a stream of its own
        (stream,) = [name for item in streams if not (name := item["logStreamName"]).endswith("/data-log")]
        return [
            event["message"]
            for event in logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
        ]

    def log_line(self, name: str, start: str) -> str:
        """Wait until a training job's log holds a line that begins with `start`; return the line."""

        def found() -> str | None:
            try:
                return next((line for line in self.log("Training", name) if line.startswith(start)), None)
            except self.client("logs").exceptions.ResourceNotFoundException:
                return None

        return until(found, f"a line that begins with {start!r} in the log of {name}")

    @contextlib.contextmanager
    def conditions(self, **conditions: object) -> Iterator[None]:
        """Switch conditions on while the block runs."""
        self._change_conditions("PUT", json.dumps(conditions).encode())
        try:
            yield
        finally:
            self._change_conditions("DELETE", None)

    def _change_conditions(self, method: str, body: bytes | None) -> None:
        request = urllib.request.Request(f"{self.endpoint}/_localcloud/conditions", data=body, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            answer.read()

    def said(self, kind: str, name: str, line: str) -> None:
        """Wait until a job's log holds a line."""

        def found() -> bool:
            try:
                return line in self.log(kind, name)
            except self.client("logs").exceptions.ResourceNotFoundException:
                return False

        until(found, f"{line!r} in the log of {name}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the server; return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        for client in self._clients.values():
            client.close()
        return code
