"""One local cloud and one real Airflow for the tests of the Google provider's operators.

Airflow's secrets backend is Google's: the connection that every task uses comes from the local Secret Manager.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.laptop.airflow_services import Airflow
from deploy.laptop.processes import free_port
from deploy.laptop.profile import Profile
from localcloud.gcp.vertex.jobs.images import BUILT_IN
from tests.contract.gcp.local_vertex import IMAGES
from tests.contract.google_cloud.conftest import GoogleClients
from tests.contract.local_cloud import LocalCloud
from tests.contract.vertex_operators.cases import FITS, PROJECT, TEAMS_IMAGE
from tests.contract.vertex_operators.resources import Vertex, prepare
from tests.contract.vertex_operators.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator

# cases that wait until they are cancelled hold a slot of the cloud and of Airflow
SLOTS = 24
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "5",
    "AIRFLOW__CORE__EXECUTOR": "tests.contract.vertex_operators.preloading.PreloadingExecutor",
    # a first parse imports all of the provider's operators, on a machine that may be busy
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
    "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "180",
    "AIRFLOW__SECRETS__BACKEND": "airflow.providers.google.cloud.secrets.secret_manager.CloudSecretManagerBackend",
    "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(
        {"connections_prefix": "airflow-connections", "variables_prefix": "airflow-variables", "project_id": PROJECT}
    ),
}
PROBES = ("probe_task", "probe_dag_processor", "probe_triggerer")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, _environments: None) -> Iterator[Runs]:
    """The runs of the DAGs; each is started when a test first asks for one of its tasks."""
    folder = tmp_path_factory.mktemp("vertex-operators")
    (folder / "images.yaml").write_text(f"{IMAGES}{_teams_image()}")
    options = ("--google", "on", "--grace", "2", "--slots", str(SLOTS), "--images", str(folder / "images.yaml"))
    cloud = LocalCloud(folder / "root", *options)
    google = GoogleClients(cloud)
    try:
        vertex = Vertex(google)
        prepare(vertex)
        _keep_connections(google)
        profile = Profile(
            folder / "airflow",
            free_port(),
            google.variables(),
            dags_folders={"vertex": Path(__file__).with_name("dags")},
            extra=SETTINGS,
        )
        with Airflow(profile) as airflow:
            yield Runs(vertex, airflow)
    finally:
        google.close()
        cloud.end()


def _teams_image() -> str:
    """Return the entry of a team's own image, whose packages are those of Google's, so that no other one is built."""
    packages = next(image.base for image in BUILT_IN if image.name == "training/sklearn-cpu.1-6")
    entry = {
        "name": "fits",
        "address": TEAMS_IMAGE,
        "packages": [*packages],
        "entrypoint": ["python", "-c", FITS.read_text(encoding="utf-8")],
    }
    return f"  - {json.dumps(entry)}\n"


def _keep_connections(google: GoogleClients) -> None:
    """Put the connections into Secret Manager: the one that tasks use, and one for each component that has to ask."""
    value = json.dumps({"conn_type": "google_cloud_platform", "extra": {"key_path": google.endpoints.key_file}})
    secrets = google.secrets()
    for name in ("google_cloud_default", *PROBES):
        secret = secrets.create_secret(
            parent=f"projects/{PROJECT}",
            secret_id=f"airflow-connections-{name}",
            secret={"replication": {"automatic": {}}},
        )
        secrets.add_secret_version(parent=secret.name, payload={"data": value.encode()})
