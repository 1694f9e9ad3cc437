"""`astro dev start --standalone`, step by step, without the CLI: install, start, land a month, look into the lake.

What is as the CLI does it: the folder, uv's commands, Python 3.12, the environment with .env from .env.example, the
command `airflow standalone`, the pools of airflow_settings.yaml over REST. What is not: packages come from the index
that this machine uses, without the runtime's freeze file, in place of Astronomer's index; and the port is a free one.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pyarrow.parquet
import pytest
import yaml

from deploy.laptop.cloud import LocalCloud, s3_client
from deploy.laptop.landing import files_of, land
from deploy.laptop.processes import Service, end_of, free_port, stop
from include.core.lake import Lake, raw_prefix
from include.core.months import Month
from include.core.snapshots import read_snapshot
from tests.platform.astro_cli import copy_project, parse, standalone_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from mypy_boto3_s3.client import S3Client

pytestmark = [pytest.mark.verify, pytest.mark.timeout(1200)]

T = TypeVar("T")
AIRFLOW = importlib.metadata.version("apache-airflow")
TASK_SDK = importlib.metadata.version("apache-airflow-task-sdk")
JANUARY = Month(2013, 1)
PLUGIN = """
from airflow.plugins_manager import AirflowPlugin

class Probe(AirflowPlugin):
    name = "probe_of_the_plugins_folder"
"""


class Standalone:
    """A running `airflow standalone`, asked over REST as the CLI asks it."""

    def __init__(self, url: str, service: Service) -> None:
        self.service = service
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def wait_until_healthy(self, seconds: float) -> dict[str, Any]:
        """Wait as the CLI does, and for every component; log in as it does."""
        health: dict[str, Any] = wait_for(self._health, "every component to be healthy", seconds, self.service)
        token = self._client.get("/auth/token").raise_for_status().json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"
        return health

    def get(self, path: str) -> Any:
        """Return an answer's content."""
        return self._client.get(f"/api/v2/{path}").raise_for_status().json()

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Ask for a change."""
        self._client.request(method, f"/api/v2/{path}", json=dict(body)).raise_for_status()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _health(self) -> dict[str, Any] | None:
        try:
            health: dict[str, Any] = self._client.get("/api/v2/monitor/health").json()
        except (httpx.TransportError, json.JSONDecodeError):
            return None
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return health if all((health.get(part) or {}).get("status") == "healthy" for part in parts) else None


def wait_for(look: Callable[[], T | None], what: str, seconds: float, service: Service) -> T:
    """Return the first look that is not None."""
    deadline = time.monotonic() + seconds
    while (seen := look()) is None:
        service.require_running()
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}; {service.log}:\n{end_of(service.log)}"
        time.sleep(0.5)
    return seen


def uv(project: Path, *arguments: str) -> None:
    """Run uv in the project's folder; no environment but the project's is in sight."""
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_PROJECT"}}
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    ran = subprocess.run(
        [_uv(), *arguments], cwd=project, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert 0 == ran.returncode, f"uv {' '.join(arguments)}:\n{ran.stderr}"


def _uv() -> str:
    import uv as package  # noqa: PLC0415 - of localcloud's environment; the name is this module's function

    return package.find_uv_bin()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with the environment that the CLI makes in it."""
    folder = tmp_path_factory.mktemp("astro") / "flightdeck"
    copy_project(folder)
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / "probe_of_the_plugins_folder.py").write_text(PLUGIN)
    uv(folder, "venv", "--python", "3.12", "--allow-existing")
    python = str(folder / ".venv" / "bin" / "python")
    airflow, task_sdk = f"apache-airflow=={AIRFLOW}", f"apache-airflow-task-sdk=={TASK_SDK}"
    uv(folder, "pip", "install", "--python", python, airflow)
    uv(folder, "pip", "install", "--python", python, "-r", str(folder / "requirements.txt"), airflow, task_sdk)
    return folder


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The local cloud that .env points at."""
    with LocalCloud(tmp_path_factory.mktemp("cloud") / "root") as running:
        yield running


@pytest.fixture(scope="module")
def airflow(project: Path, cloud: LocalCloud) -> Iterator[Standalone]:
    """`airflow standalone` with the CLI's environment; .env is .env.example with the port of this cloud."""
    example = (project / ".env.example").read_text(encoding="utf-8")
    assert "http://127.0.0.1:4567" in example
    (project / ".env").write_text(example.replace("http://127.0.0.1:4567", cloud.endpoint), encoding="utf-8")
    port = free_port()
    service = Service(
        "airflow standalone",
        [str(project / ".venv" / "bin" / "airflow"), "standalone"],
        environment=standalone_environment(project, port),
        log=project / ".astro" / "standalone" / "airflow.log",
        folder=project,
    )
    running = Standalone(f"http://localhost:{port}", service)
    try:
        running.wait_until_healthy(240)
        pools = yaml.safe_load((project / "airflow_settings.yaml").read_text(encoding="utf-8"))["airflow"]["pools"]
        for pool in pools:
            body = {"name": pool["pool_name"], "slots": pool["pool_slot"], "description": pool["pool_description"]}
            running.send("POST", "pools", body)
        yield running
    finally:
        running.close()
        stop([service])


def test_requirements_install_on_python_3_12(project: Path) -> None:
    """requirements.txt resolves beside Airflow, keeps its version and the constraints of pyproject.toml."""
    program = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps([sys.version_info[:2], *map(m.version, sys.argv[1:])]))"
    )
    packages = ["apache-airflow", "apache-airflow-task-sdk", "apache-airflow-providers-amazon", "sqlalchemy"]
    asked = subprocess.run(
        [str(project / ".venv" / "bin" / "python"), "-c", program, *packages],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    version, airflow, task_sdk, amazon, sqlalchemy = json.loads(asked.stdout)
    assert ([3, 12], AIRFLOW, TASK_SDK, "9.34.0") == (version, airflow, task_sdk, amazon)
    assert sqlalchemy.startswith("2.0.")


def test_parse_passes_before_the_first_start(project: Path) -> None:
    """`astro dev parse` finds nothing wrong in this environment, which has no plugin of the test suite."""
    environment = standalone_environment(project)
    environment["AIRFLOW__CORE__PLUGINS_FOLDER"] = "plugins"
    parsed = parse(project, environment, project / ".venv" / "bin" / "pytest")

    assert 0 == parsed.returncode, parsed.stdout + parsed.stderr


def test_api_server_listens_on_loopback_only(airflow: Standalone) -> None:
    """In a mode in which everybody is an administrator, nobody else on the network gets through."""
    import psutil  # noqa: PLC0415 - one test's

    family = psutil.Process(airflow.service.pid).children(recursive=True)
    listening = {
        (each.laddr.ip, each.laddr.port)
        for process in family
        for each in process.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    }
    port = int(str(airflow._client.base_url.port))  # noqa: SLF001 - of the class above

    assert {("127.0.0.1", port)} == {where for where in listening if where[1] == port}


def test_plugins_of_the_project_are_loaded(airflow: Standalone) -> None:
    """plugins/ is Airflow's plugins folder, and nothing in it fails to import."""
    names = {plugin["name"] for plugin in airflow.get("plugins?limit=100")["plugins"]}

    assert "probe_of_the_plugins_folder" in names
    assert [] == airflow.get("plugins/importErrors")["import_errors"]


def test_dag_files_import(airflow: Standalone, project: Path) -> None:
    """The dag processor finds the project's DAGs and has nothing to report."""
    files = len([*project.glob("dags/*.py")])
    seen = wait_for(
        lambda: (airflow.get("importErrors")["import_errors"], _defined(airflow)) if _read(airflow) >= files else None,
        "every DAG file to be read",
        120,
        airflow.service,
    )

    errors, defined = seen
    assert [] == [error["filename"] for error in errors]
    assert files == len(defined)


def _defined(airflow: Standalone) -> set[str]:
    """Return the files of the DAGs that Airflow knows."""
    return {dag["relative_fileloc"] for dag in airflow.get("dags?limit=100")["dags"]}


def _read(airflow: Standalone) -> int:
    """Return how many files were read, with whatever result."""
    return len(_defined(airflow)) + int(airflow.get("importErrors")["total_entries"])


def test_a_month_that_lands_arrives_in_the_lake(airflow: Standalone, cloud: LocalCloud) -> None:
    """`ingest` defers, sees January land, and its rows lie in the lake: every flight of the feed's file."""
    client = s3_client(cloud.environment)
    wait_for(lambda: airflow.get("dags")["total_entries"] or None, "a DAG", 120, airflow.service)
    airflow.send("PATCH", "dags/ingest", {"is_paused": False})
    land(client, JANUARY)

    def january() -> dict[str, Any] | None:
        runs = airflow.get("dags/ingest/dagRuns?limit=100")["dag_runs"]
        ended = [run for run in runs if run["state"] in {"success", "failed"}]
        return ended[0] if ended else None

    run = wait_for(january, "a run of ingest to end", 180, airflow.service)

    assert ("success", "2013-01-01T00:00:00Z") == (run["state"], run["data_interval_start"])
    snapshot = read_snapshot(Lake(client, "s3://flightdeck-lake"), raw_prefix("flights", JANUARY))
    assert snapshot is not None
    stored = {
        name.partition(".")[0]: pyarrow.parquet.read_metadata(io.BytesIO(_content(client, file.key))).num_rows
        for name, file in snapshot.files.items()
    }
    landed = {name.partition(".")[0]: file.rows for name, file in files_of(JANUARY).items()}
    assert 27_004 == landed["flights"]
    assert landed == stored


def _content(client: S3Client, key: str) -> bytes:
    return client.get_object(Bucket="flightdeck-lake", Key=key)["Body"].read()
