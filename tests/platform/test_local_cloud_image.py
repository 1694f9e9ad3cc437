"""The local cloud's container without Docker: what its Dockerfile installs, started as the override starts it.

Not shown here: that the image builds, and what only a container has (its user, its network, Docker's own limits).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deploy.laptop.cloud import SEED, s3_client
from deploy.laptop.processes import Service, free_port, stop
from localcloud.clients import client_environment
from tests.platform.astro_cli import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.verify

DOCKERFILE = PROJECT / "deploy" / "astro" / "localcloud.Dockerfile"
START_SECONDS = 60.0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Dockerfile's `uv sync` makes of the files that it copies, on Python 3.12."""
    folder = tmp_path_factory.mktemp("image")
    lines = DOCKERFILE.read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("COPY "):
            *sources, target = line.split()[1:]
            for source in sources:
                if (PROJECT / source).is_dir():
                    shutil.copytree(PROJECT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(PROJECT / source, folder / target)
    (sync,) = [shlex.split(line)[1:] for line in lines if line.startswith("RUN uv sync ")]
    # the cache only keeps the image small
    command = [*(word for word in sync if word != "--no-cache"), "--python", "3.12"]
    made = subprocess.run(
        [_uv(), *command[1:]],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        | {"UV_PROJECT_ENVIRONMENT": str(folder / "environment"), "UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert 0 == made.returncode, made.stderr
    return folder / "environment"


@pytest.fixture(scope="module")
def cloud(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str], Any]]:
    """The service's command, on a free port: its endpoint, its environment, its settings in the override."""
    folder = tmp_path_factory.mktemp("container")
    service = yaml.safe_load((PROJECT / "docker-compose.override.yml").read_text(encoding="utf-8"))["services"]
    settings, port = service["localcloud"], free_port()
    arguments = [str(SEED) if word == "/etc/localcloud/seed.yaml" else word for word in settings["command"]]
    variables = {
        "PATH": f"{environment / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "HOME": str(folder),
        "LOCALCLOUD_ROOT": str(folder / "root"),
        "LOCALCLOUD_ENVIRONMENTS": str(folder / "environments"),
    }
    running = Service(
        "localcloud",
        [str(environment / "bin" / "localcloud"), *arguments, "--port", str(port)],
        environment=variables,
        log=folder / "localcloud.log",
        folder=folder,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not running.log.read_text(encoding="utf-8").startswith("ready "):
            running.require_running()
            assert time.monotonic() < deadline, f"waited {START_SECONDS} s for `ready`"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", variables, settings
    finally:
        stop([running])


def test_it_holds_the_local_cloud_alone(environment: Path) -> None:
    """Neither Airflow nor the project is installed with it."""
    packages = {path.name for path in environment.glob("lib/python3.12/site-packages/*")}

    assert {"localcloud", "moto"} <= packages
    assert set() == {"airflow", "include", "pandas"} & packages


def test_health_check_tells_a_running_cloud_from_none(
    cloud: tuple[str, dict[str, str], Any], environment: Path, tmp_path: Path
) -> None:
    """The service's health check succeeds while it runs, and fails where none does."""
    _, variables, settings = cloud
    kind, program, *arguments = settings["healthcheck"]["test"]

    def check(root: str) -> bool:
        asked = subprocess.run(
            [str(environment / "bin" / program), *arguments],
            env=variables | {"LOCALCLOUD_ROOT": root},
            capture_output=True,
            timeout=30,
            check=False,
        )
        return asked.returncode == 0

    assert "CMD" == kind
    assert (True, False) == (check(variables["LOCALCLOUD_ROOT"]), check(str(tmp_path)))


def test_a_month_is_landed_from_the_host(cloud: tuple[str, dict[str, str], Any]) -> None:
    """The documented command puts a month into the container's feed, knowing nothing but the published port."""
    endpoint, _, _ = cloud
    landed = subprocess.run(
        [sys.executable, "-m", "deploy.laptop.landing", "2013-01", "--endpoint", endpoint],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert 0 == landed.returncode, landed.stderr
    client = s3_client(client_environment(endpoint))
    listed = client.list_objects_v2(Bucket="flightdeck-feed", Prefix="flights/year=2013/month=01/")
    assert ["flights.csv.gz", "manifest.json", "weather.csv.gz"] == [
        entry["Key"].rpartition("/")[2] for entry in listed["Contents"]
    ]


def test_landing_says_when_no_cloud_answers() -> None:
    """A wrong endpoint ends with a message that names it, not with a traceback."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    landed = subprocess.run(
        [sys.executable, "-m", "deploy.laptop.landing", "2013-01", "--endpoint", endpoint],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert 1 == landed.returncode
    assert endpoint in landed.stderr
    assert "Traceback" not in landed.stderr


def _uv() -> str:
    import uv  # noqa: PLC0415 - of localcloud's environment

    return uv.find_uv_bin()
