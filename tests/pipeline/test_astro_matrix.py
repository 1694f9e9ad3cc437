"""The Astro SDK under a real scheduler: every public operator and decorator on each engine, and what is left of a run.

The DAG (astro_dags/astro_matrix.py) is written as the SDK's users write theirs. What it leaves is read here over
connections that are not the SDK's: rows, files, objects, the tables that are there and those that are not.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import psycopg
import pytest

from deploy.laptop.airflow_services import Airflow
from deploy.laptop.cloud import LocalCloud, s3_client
from deploy.laptop.processes import free_port
from deploy.laptop.profile import Profile
from tests.pipeline.running import Laptop, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.laptop.airflow_rest import DagRun

pytestmark = pytest.mark.verify  # an Airflow and a Postgres of its own

ENGINES = ("sqlite", "duckdb", "postgres")
PEOPLE = [(1, "Ann"), (2, "Ben"), (3, None)]
TABLES = {"fourfold", "from_file", "kept", "nested", "people", "people_s3", "scores", "scores_s3"}


@dataclass(frozen=True)
class Matrix:
    """An Airflow with the matrix' DAGs, and where their data lies."""

    laptop: Laptop
    folder: Path

    def rows(self, engine: str, sql: str) -> list[tuple[Any, ...]]:
        """Return a query's rows, over a connection that is not the SDK's."""
        if engine == "sqlite":
            connection = sqlite3.connect(self.folder / "db.sqlite")
            try:
                return connection.execute(sql).fetchall()
            finally:
                connection.close()
        if engine == "duckdb":
            with duckdb.connect(self.folder / "db.duckdb") as database:
                return database.execute(sql).fetchall()
        place = str(self.folder / "postgres")
        with psycopg.connect(host=place, user="postgres", dbname="postgres", options="-csearch_path=matrix") as session:
            return session.execute(sql).fetchall()

    def run(self, dag: str) -> DagRun:
        """Trigger a DAG, wait for its end and return its run."""
        rest = self.laptop.rest
        started = rest.trigger(dag)

        def ended() -> DagRun | None:
            now = rest.dag_run(dag, started.run_id)
            return now if now.state in {"success", "failed"} else None

        return wait_for(ended, f"{dag} to end", 600)

    def tables(self, engine: str) -> set[str]:
        """Return the names of all tables."""
        of_postgres = "WHERE table_schema IN ('matrix', 'tmp_astro')"
        sql = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "duckdb": "SELECT table_name FROM information_schema.tables",
            "postgres": f"SELECT table_name FROM information_schema.tables {of_postgres}",
        }[engine]
        return {name for (name,) in self.rows(engine, sql)}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """Run an Airflow, a local cloud and a Postgres with the matrix' files."""
    folder = tmp_path_factory.mktemp("astro")
    with pytest.MonkeyPatch.context() as patch:
        # where the server's package keeps its locks
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        from pgserver import get_server  # noqa: PLC0415 - an environment of `make verify` only

        server = get_server(folder / "postgres", cleanup_mode="stop")
    (folder / "people.csv").write_text("id,name\n1,Ann\n2,Ben\n3,NA\n")
    (folder / "nested.ndjson").write_text('{"id": 7, "at": {"x": 1}}\n')
    (folder / "query.sql").write_text("SELECT id\nFROM {{ people }}\nWHERE id > 1")
    pd.DataFrame({"id": [1, 2, 3], "score": [1.5, 2.5, 3.5]}).to_parquet(folder / "scores.parquet")
    try:
        with LocalCloud(folder / "cloud") as cloud:
            s3 = s3_client(cloud.environment)
            s3.create_bucket(Bucket="astro-matrix")
            for name in ("people.csv", "scores.parquet"):
                s3.put_object(Bucket="astro-matrix", Key=f"in/{name}", Body=(folder / name).read_bytes())
            for number in range(3):
                s3.put_object(Bucket="astro-matrix", Key=f"many/{number}.csv", Body=b"id,name\n1,x\n")
            profile = Profile(
                folder / "airflow",
                free_port(),
                cloud.environment,
                dags_folders={"dags-folder": Path(__file__).with_name("astro_dags")},
                extra={"ASTRO_MATRIX_FOLDER": str(folder)} | connections(folder, cloud),
                python=Path(sys.executable),
            )
            with Airflow(profile) as airflow:
                laptop = Laptop(cloud, airflow)
                dags = {f"astro_matrix_{engine}" for engine in ENGINES}
                wait_for(
                    lambda: True if dags <= set(airflow.rest.dag_ids()) else None,
                    f"the DAGs to appear; import errors: {airflow.rest.import_errors()}",
                    90,
                )
                for dag in dags:
                    airflow.rest.unpause(dag)
                yield Matrix(laptop, folder)
    finally:
        server.cleanup()


def connections(folder: Path, cloud: LocalCloud) -> dict[str, str]:
    """Return the Airflow connections of the matrix as environment variables."""
    environment = cloud.environment
    found: dict[str, dict[str, Any]] = {
        "sqlite": {"conn_type": "sqlite", "host": str(folder / "db.sqlite")},
        "duckdb": {"conn_type": "duckdb", "host": str(folder / "db.duckdb")},
        "postgres": {
            "conn_type": "postgres",
            "host": str(folder / "postgres"),
            "login": "postgres",
            "schema": "postgres",
        },
        "objects": {
            "conn_type": "aws",
            "login": environment["AWS_ACCESS_KEY_ID"],
            "password": environment["AWS_SECRET_ACCESS_KEY"],
            "extra": {"endpoint_url": cloud.endpoint, "region_name": environment["AWS_DEFAULT_REGION"]},
        },
    }
    return {f"AIRFLOW_CONN_MATRIX_{name.upper()}": json.dumps(value) for name, value in found.items()}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_operator(matrix: Matrix, engine: str) -> None:
    """All tasks but the one that has to fail succeed, and what they leave is right; a second run leaves the same."""
    dag = f"astro_matrix_{engine}"
    for _ in range(2):
        run = matrix.run(dag)
        instances = matrix.laptop.rest.task_instances(dag, run.run_id)
        wrong = {each.task_id: each.state for each in instances if each.state != "success"}

        assert {"fails": "failed"} == wrong, [
            matrix.laptop.rest.log(each) for each in instances if each.task_id in wrong
        ]
        assert "failed" == run.state
        assert TABLES == matrix.tables(engine)
        assert [*PEOPLE, (4, None)] == matrix.rows(engine, "SELECT * FROM people ORDER BY id")
        assert PEOPLE == matrix.rows(engine, "SELECT * FROM people_s3 ORDER BY id")
        assert [(1, 1.5), (2, 2.5), (3, 3.5)] == matrix.rows(engine, "SELECT * FROM scores_s3 ORDER BY id")
        assert [(2, "Ben", 2.5), (3, None, 3.5), (4, None, 40.0)] == matrix.rows(
            engine, "SELECT * FROM kept ORDER BY id"
        )
        assert [(2,), (3,)] == matrix.rows(engine, "SELECT * FROM from_file ORDER BY id")
        assert [(1, 6.0), (2, 10.0), (3, 14.0)] == matrix.rows(engine, "SELECT id, score FROM fourfold ORDER BY id")
        assert [(1,), (2,), (3,), (7,)] == matrix.rows(engine, "SELECT id FROM nested ORDER BY id")
        body = matrix.laptop.client("s3").get_object(Bucket="astro-matrix", Key=f"out/{engine}.csv")["Body"].read()
        assert b"id,name,score\n1,Ann,6.0\n2,Ben,10.0\n3,,14.0\n" == b"".join(sorted_lines(body))
        written = (matrix.folder / f"{engine}.csv").read_bytes()
        assert b"id,name,score\n1,Ann,3.0\n2,Ben,5.0\n3,,7.0\n" == b"".join(sorted_lines(written))


def test_the_file_is_read_without_a_new_version(matrix: Matrix) -> None:
    """Temporary tables' random names make no new version of a DAG, however often its file is read."""
    with sqlite3.connect(matrix.laptop.airflow.home / "airflow.db") as database:
        versions = database.execute("SELECT dag_id, MAX(version_number) FROM dag_version GROUP BY dag_id").fetchall()

    assert {(f"astro_matrix_{engine}", 1) for engine in ENGINES} == set(versions)


def sorted_lines(content: bytes) -> list[bytes]:
    """Return a CSV's header and its lines in order: a database owes no order."""
    header, *lines = content.splitlines(keepends=True)
    return [header, *sorted(lines)]
