"""The local cloud under the laptop's Airflow: started, asked, and stopped as a child process.

How it works: ``with LocalCloud(root) as cloud:`` runs ``localcloud up`` with the project's seed and returns when it has
printed ``ready``. What it does not do: know what the cloud can do; the package ``localcloud`` does.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3

from deploy.laptop.errors import ServiceFailed
from deploy.laptop.processes import Service, end_of, require_free_port, stop
from deploy.laptop.profile import HOST, INHERITED, PROJECT
from localcloud.clients import client_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from mypy_boto3_s3.client import S3Client

SEED = Path(__file__).with_name("seed.yaml")
ENVIRONMENTS = PROJECT / ".local" / "environments"

# a job that runs when the cloud is stopped has this long to tidy up
_JOB_GRACE_SECONDS = 3
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


class LocalCloud:
    """A local cloud.

    Args:
        root: The folder of its state.
        port: Where it listens on 127.0.0.1; 0 chooses a free port.
        start_seconds: How long it may take until it is ready.

    Attributes:
        endpoint: Where it answers.
        environment: What an AWS client needs to use it.
        ready_seconds: How long the start took.
    """

    endpoint: str
    environment: dict[str, str]

    def __init__(self, root: Path, *, port: int = 0, start_seconds: float = 60.0) -> None:
        self.root = root
        self.ready_seconds = 0.0
        self._port = port
        self._start_seconds = start_seconds
        self._service: Service | None = None

    def __enter__(self) -> Self:
        started = time.monotonic()
        if self._port:
            require_free_port("localcloud", self._port, "CLOUD_PORT")
        log = self.root.with_name(f"{self.root.name}.log")
        arguments = ["up", "--root", self.root, "--host", HOST, "--port", self._port, "--seed", SEED]
        # no DAG uses Google's half
        arguments += ["--google", "off", "--grace", _JOB_GRACE_SECONDS]
        self._service = Service(
            "localcloud",
            [_program(), *map(str, arguments)],
            environment=_environment(),
            log=log,
            folder=PROJECT,
            separate_output=True,
        )
        try:
            self.endpoint = self._wait_until_ready(self._service, started + self._start_seconds)
        except BaseException:
            self.stop()
            raise
        self.environment = client_environment(self.endpoint)
        self.ready_seconds = time.monotonic() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Its process id; None when it does not run."""
        return None if self._service is None else self._service.pid

    def require_running(self) -> None:
        """Return when it runs; otherwise raise ServiceFailed with the end of its log."""
        if self._service is not None:
            self._service.require_running()

    def stop(self) -> None:
        """Stop it, and the jobs that it runs."""
        if self._service is not None:
            service, self._service = self._service, None
            stop([service])

    def _wait_until_ready(self, service: Service, deadline: float) -> str:
        output = service.process.stdout
        if output is None:
            message = "localcloud is started with its standard output in a pipe"
            raise AssertionError(message)
        printed = b""
        while not printed.endswith(b"\n"):
            readable, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
            chunk = output.read1() if readable else b""  # type: ignore[attr-defined] # a pipe's reader is buffered
            if not readable or not chunk:
                if readable:
                    service.process.wait()
                    service.require_running()
                raise ServiceFailed(
                    "localcloud",
                    f"it was not ready; the end of {service.log}:\n{end_of(service.log)}\n",
                    rule=f"it is ready within {self._start_seconds:.0f} s",
                    remedy="correct what its log says, then start again",
                )
            printed += chunk
        word, _, endpoint = printed.decode().strip().partition(" ")
        if word != "ready" or not endpoint:
            raise ServiceFailed(
                "localcloud",
                f"it printed {printed.decode().strip()!r}",
                rule="its first line is `ready <endpoint>`",
                remedy="install the version of localcloud that this checkout holds (`make setup`)",
            )
        return endpoint


def status(root: Path) -> dict[str, Any]:
    """Return what ``localcloud status --json`` says of the cloud on ``root``.

    Raises:
        ServiceFailed: none runs there.
    """
    answer = subprocess.run(
        [_program(), "status", "--root", str(root), "--json"],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if answer.returncode != 0:
        raise ServiceFailed(
            f"the local cloud on {root}",
            answer.stderr.strip() or f"exit code {answer.returncode}",
            rule="a local cloud runs there",
            remedy="start it with `make up`, or name the root of another one",
        )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def require_no_cloud(root: Path) -> None:
    """Return when no cloud runs on ``root``.

    Raises:
        ServiceFailed: one does.
    """
    try:
        running = status(root)
    except ServiceFailed:
        return
    raise ServiceFailed(
        f"the local cloud on {root}",
        f"process {running['pid']} runs it already at {running['endpoint']}",
        rule="one local cloud at a time on a folder",
        remedy=f"end it with `localcloud down --root {root}`",
    )


def running_cloud(root: Path) -> dict[str, str]:
    """Return the environment of a client of the cloud that runs on ``root``."""
    return client_environment(status(root)["endpoint"])


def s3_client(environment: Mapping[str, str]) -> S3Client:
    """Return an S3 client for a local cloud; this process's own AWS settings have no say."""
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )
    return session.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"])


def _program() -> str:
    return str(Path(sys.executable).with_name("localcloud"))


def _environment() -> dict[str, str]:
    """The shell's settings of package indexes, proxies and certificates reach the cloud: it installs what jobs need."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED or name == "PATH" or name.startswith(("UV_", "PIP_", "SSL_")) or name.lower() in _PROXIES
    }
    return kept | {"LOCALCLOUD_ENVIRONMENTS": os.environ.get("LOCALCLOUD_ENVIRONMENTS", str(ENVIRONMENTS))}
