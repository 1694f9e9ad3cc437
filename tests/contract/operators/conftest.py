"""One local cloud and one real Airflow for the tests of the provider's operators, and the runs of the cases' DAGs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.laptop.airflow_services import Airflow
from deploy.laptop.processes import free_port
from deploy.laptop.profile import Profile
from localcloud.clients import client_environment
from tests.contract.local_cloud import LocalCloud
from tests.contract.operators.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator

# cases that wait for their release hold a slot of the cloud and of Airflow
SLOTS = 40
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "8",
    # seconds between two looks for deferred tasks that are past their time
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, _environments: None) -> Iterator[Runs]:
    """The runs of the cases' DAGs; each is started when a test first asks for one of its tasks."""
    folder = tmp_path_factory.mktemp("operators")
    cloud = LocalCloud(folder / "cloud" / "root", "--grace", "2", "--slots", str(SLOTS))
    try:
        profile = Profile(
            folder / "airflow",
            free_port(),
            client_environment(cloud.endpoint),
            dags_folders={"operators": Path(__file__).with_name("dags")},
            extra=SETTINGS,
        )
        with Airflow(profile) as airflow:
            yield Runs(cloud, airflow)
    finally:
        cloud.end()
