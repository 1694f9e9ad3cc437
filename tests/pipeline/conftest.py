"""What the pipeline tests stand on: one local cloud and one real Airflow for the whole run, and one life on them."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.laptop.airflow_services import Airflow
from deploy.laptop.cloud import LocalCloud, s3_client
from deploy.laptop.landing import land
from deploy.laptop.processes import free_port
from deploy.laptop.profile import PROJECT, Profile
from include.core.snapshots import months_below
from tests.pipeline.job_probes import Jobs
from tests.pipeline.killing_proxy import KillingProxy
from tests.pipeline.running import (
    AUGUST,
    JULY,
    LANDED,
    MAY,
    MODEL_DAGS,
    PROBE_DAGS,
    Laptop,
    truncated,
    wait_for,
    with_a_key_twice,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.core.months import Month


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """One local cloud and one Airflow, with the project's DAGs and the tests' probes; everything is paused."""
    yield from run_laptop(tmp_path_factory.mktemp("laptop"), Path(sys.executable))


@pytest.fixture(scope="session")
def laptop_of_airflow_3_2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """The same with the Airflow, the provider, the Python and the kind of database of an older managed platform."""
    folder = tmp_path_factory.mktemp("airflow-3.2")
    with postgres(folder) as database:
        yield from run_laptop(folder, PROJECT / ".local" / "airflow-3.2" / "bin" / "python", database)


@pytest.fixture(scope="session")
def laptop_on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """The first one on Postgres, which several schedulers may share, as they do on managed platforms."""
    folder = tmp_path_factory.mktemp("postgres")
    with postgres(folder) as database:
        yield from run_laptop(folder, Path(sys.executable), database)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a Postgres below a folder while the block runs; give SQLAlchemy's address of it."""
    with pytest.MonkeyPatch.context() as patch:
        # where the server's package keeps its locks
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        from pgserver import get_server  # noqa: PLC0415 - an environment of `make verify` only

        server = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server.get_uri().replace("postgresql:", "postgresql+psycopg2:", 1)
    finally:
        server.cleanup()


def run_laptop(folder: Path, python: Path, database: str | None = None) -> Iterator[Laptop]:
    """Run a local cloud and an Airflow until the generator is closed; its database is a file, or a Postgres."""
    with LocalCloud(folder / "cloud") as cloud:
        client = Laptop(cloud, None).client("secretsmanager")  # type: ignore[arg-type] # only its cloud is used
        for place in ("dag_processor", "task", "triggerer"):
            client.create_secret(Name=f"airflow/connections/probe_{place}", SecretString='{"conn_type": "aws"}')
        dags = shutil.copytree(PROJECT / "dags", folder / "dags")
        shutil.copytree(Path(__file__).with_name("dags"), dags, dirs_exist_ok=True)
        profile = Profile(
            folder / "airflow",
            free_port(),
            cloud.environment,
            dags_folders={"dags-folder": dags},
            extra={
                # Airflow 3.2 has to be told which classes it may build from an XCom; the bridge tells later ones
                "AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES": "airflow.* astro.*",
                # 300 s each by default: how long a task is believed to run whose worker, or whose scheduler, is gone
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "45",
                "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
            },
            python=python,
            postgres=database,
        )
        with Airflow(profile) as airflow:
            laptop = Laptop(cloud, airflow)
            wait_for(
                lambda: True if {*MODEL_DAGS, *PROBE_DAGS} <= set(airflow.rest.dag_ids()) else None,
                f"the DAGs to appear; import errors: {airflow.rest.import_errors()}",
                90,
            )
            for dag_id in PROBE_DAGS:
                airflow.rest.unpause(dag_id)
            yield laptop


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("laptop", id="airflow-3.3"),
        pytest.param("laptop_of_airflow_3_2", id="airflow-3.2", marks=pytest.mark.verify),
    ],
)
def jobs(request: pytest.FixtureRequest) -> Iterator[Jobs]:
    """The probes of remote jobs on one Airflow, whose connection leads over a proxy."""
    yield from probes_of(request.getfixturevalue(request.param))


@pytest.fixture(scope="session")
def jobs_on_postgres(laptop_on_postgres: Laptop) -> Iterator[Jobs]:
    """The same on Postgres."""
    yield from probes_of(laptop_on_postgres)


def probes_of(laptop: Laptop) -> Iterator[Jobs]:
    """Run a proxy until the generator is closed."""
    with KillingProxy(laptop.cloud.endpoint) as proxy:
        connection = {"conn_type": "aws", "extra": {"region_name": "us-east-1", "endpoint_url": proxy.url}}
        laptop.client("secretsmanager").create_secret(
            Name="airflow/connections/probe_faults", SecretString=json.dumps(connection)
        )
        yield Jobs(laptop, proxy)


@pytest.fixture(scope="session")
def life(laptop: Laptop) -> Laptop:
    """January to April have landed, the model was trained and released, April was scored."""
    for dag_id in MODEL_DAGS:
        laptop.rest.unpause(dag_id)
    for month in LANDED:
        land(s3_client(laptop.cloud.environment), month)
    laptop.wait_until_quiet(LANDED)
    laptop.rest.trigger("train_flight_delay")
    laptop.wait_until_quiet(LANDED)
    return laptop


@pytest.fixture(scope="session")
def trouble(life: Laptop) -> Laptop:
    """May arrives cut off, June never, July with a flight twice, August as it should."""
    s3 = s3_client(life.cloud.environment)
    land(s3, MAY, truncated(MAY))
    land(s3, JULY, with_a_key_twice(JULY))
    land(s3, AUGUST)

    def waits_for_correction(month: Month) -> bool:
        tasks = life.tasks(life.ingest_run(month))
        return tasks["wait_for_correction_of_flights"].state == "deferred"

    wait_for(
        lambda: (
            True
            if waits_for_correction(MAY)
            and waits_for_correction(JULY)
            and AUGUST in months_below(life.lake, "predictions/flight_delay")
            else None
        ),
        "the bad months to fail and August to be scored",
        300,
    )
    return life
