"""The Astro SDK under a real scheduler: every public operator and decorator on each engine, and what is left of a run.

The DAGs (astro_dags/) are written as the SDK's users write theirs. What they leave is read here over connections that
are not the SDK's: rows, files, objects, the tables that are there and those that are not. Its connections come from
Secrets Manager.
"""

from __future__ import annotations

import io
import json
import sqlite3
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import psycopg
import pytest

from deploy.laptop.airflow_services import Airflow
from deploy.laptop.cloud import LocalCloud
from deploy.laptop.processes import free_port
from deploy.laptop.profile import PROJECT, Profile
from tests.pipeline.conftest import postgres
from tests.pipeline.running import Laptop, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deploy.laptop.airflow_rest import TaskInstance

pytestmark = pytest.mark.verify  # an Airflow and a Postgres of its own

AIRFLOWS = {
    "airflow-3.3": Path(sys.executable),
    "airflow-3.2": PROJECT / ".local" / "airflow-3.2" / "bin" / "python",
}
ENGINES = ("sqlite", "duckdb", "postgres")
PLACES = ("local", "s3")
RUN_SECONDS = 900
PEOPLE = [(1, "Ann"), (2, "Ben"), (3, None)]
SCORES = [(1, 1.5), (2, 2.5), (3, 3.5)]
LOADED = {"from_json", "nested", "people", "scores"}
KEPT = {"appended", "fourfold", "from_file", "kept", "merged"}
MANY = {f"many/{number}.csv": f"id,name\n{number},x\n{number + 20},y\n{number + 30},z\n" for number in range(3)}


@dataclass(frozen=True)
class Ran:
    """A DAG that ran on one engine, with its files in one place.

    Args:
        laptop: Where it ran.
        folder: Where databases and files are.
        engine: The engine.
        place: local or s3.
        tasks: The task instances of the last run.
    """

    laptop: Laptop
    folder: Path
    engine: str
    place: str
    tasks: list[TaskInstance]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return a query's rows, over a connection that is not the SDK's."""
        if self.engine == "sqlite":
            connection = sqlite3.connect(self.folder / f"{self.place}.sqlite")
            try:
                return connection.execute(sql).fetchall()
            finally:
                connection.close()
        if self.engine == "duckdb":
            with duckdb.connect(self.folder / f"{self.place}.duckdb") as database:
                return database.execute(sql).fetchall()
        options = f"-csearch_path=matrix_{self.place}"
        host = str(self.folder / "data")
        with psycopg.connect(host=host, user="postgres", dbname="postgres", options=options) as session:
            return session.execute(sql).fetchall()

    def table(self, name: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """Return a table's rows in the order of their ids."""
        return self.rows(f"SELECT {columns} FROM {name} ORDER BY id")

    @cached_property
    def tables(self) -> set[str]:
        """The names of all tables; temporary ones lie in the same place."""
        of_postgres = f"WHERE table_schema IN ('matrix_{self.place}', 'tmp_astro')"
        sql = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "duckdb": "SELECT table_name FROM information_schema.tables",
            "postgres": f"SELECT table_name FROM information_schema.tables {of_postgres}",
        }[self.engine]
        return {name for (name,) in self.rows(sql)}

    def written(self, name: str) -> bytes:
        """Return a file that was exported."""
        key = f"out/{self.engine}/{name}"
        if self.place == "local":
            return (self.folder / key).read_bytes()
        content: bytes = self.laptop.client("s3").get_object(Bucket="astro-matrix", Key=key)["Body"].read()
        return content

    def lines(self, name: str) -> list[str]:
        """Return an exported CSV's header and its lines in order: a database owes no order."""
        header, *lines = self.written(name).decode().splitlines()
        return [header, *sorted(lines)]

    def noted(self, file: str) -> dict[str, Any]:
        """Return what a task received over XCom."""
        path = self.folder / f"astro_{self.engine}_{self.place}-{file}.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def states(self, task_id: str) -> set[str | None]:
        """Return the states of a task's instances."""
        return {each.state for each in self.tasks if each.task_id == task_id}

    def log(self, *task_ids: str) -> str:
        """Return the end of the logs of tasks that failed."""
        failed = [each for each in self.tasks if each.task_id in task_ids and each.state == "failed"]
        return "\n".join(self.laptop.rest.log(each)[-4000:] for each in failed)


@dataclass(frozen=True)
class Case:
    """One way to use the SDK.

    Args:
        tasks: The tasks that use it, all of which succeed.
        left: What is left of it.
        expected: What should be.
        everywhere: Whether it reads or writes files, and is tried in each place.
    """

    tasks: tuple[str, ...]
    left: Callable[[Ran], Any]
    expected: Any
    everywhere: bool = False


OUT = ["id,score", "1,1.5", "2,2.5", "3,3.5"]
CHOSEN = [[number + more, name] for number in range(3) for more, name in ((0, "x"), (20, "y"), (30, "z"))]
CASES = {
    "load_file CSV": Case(("load_csv",), lambda ran: ran.table("people WHERE id < 4"), PEOPLE, everywhere=True),
    "load_file Parquet": Case(("load_parquet",), lambda ran: ran.table("scores"), SCORES, everywhere=True),
    "load_file NDJSON, nested": Case(
        ("load_ndjson",), lambda ran: ran.rows("SELECT id, at_x FROM nested WHERE id > 3"), [(7, 1)], everywhere=True
    ),
    "load_file JSON": Case(("load_json",), lambda ran: ran.table("from_json"), PEOPLE, everywhere=True),
    "LoadFileOperator, get_file_list mapped": Case(
        ("get_file_list", "load_mapped", "ids_of"),
        lambda ran: ran.noted("mapped")["mapped_ids"],
        [[number, number + 20, number + 30] for number in range(3)],
        everywhere=True,
    ),
    "export_to_file": Case(("export_to_file",), lambda ran: ran.lines("export_to_file.csv"), OUT, everywhere=True),
    "export_file": Case(("export_file",), lambda ran: ran.lines("export_file.csv"), OUT, everywhere=True),
    "export_table_to_file": Case(
        ("export_table_to_file",), lambda ran: ran.lines("export_table_to_file.csv"), OUT, everywhere=True
    ),
    "export_to_file of a dataframe": Case(
        ("doubled", "export_frame"),
        lambda ran: pd.read_parquet(io.BytesIO(ran.written("frame.parquet"))).to_dict("list"),
        {"id": [1, 2, 3], "score": [3.0, 5.0, 7.0]},
        everywhere=True,
    ),
    "ExportToFileOperator mapped": Case(
        ("outputs", "export_mapped"),
        lambda ran: [ran.lines(f"mapped-{number}.csv") for number in range(2)],
        [OUT, OUT],
        everywhere=True,
    ),
    "transform": Case(("joined", "rows"), lambda ran: ran.noted("unmapped")["rows"], [list(row) for row in SCORES]),
    "transform into a table": Case(
        ("joined__1", "insert"),
        lambda ran: ran.table("kept"),
        [(2, "Ben", 2.5), (3, None, 3.5), (4, None, 40.0)],
    ),
    "transform mapped": Case(("transform_mapped",), lambda ran: ran.states("transform_mapped"), {"success"}),
    "transform_file": Case(("transform_file",), lambda ran: ran.table("from_file"), [(2,), (3,)]),
    "dataframe into a table": Case(
        ("dataframe_into_a_table",),
        lambda ran: ran.table("fourfold", "id, score"),
        [(1, 6.0), (2, 10.0), (3, 14.0)],
    ),
    "run_raw_sql, rows by name": Case(("rows",), lambda ran: ran.noted("unmapped")["rows by name"], [1.5, 2.5, 3.5]),
    "run_raw_sql as a dataframe": Case(
        ("frame_of",),
        lambda ran: ran.noted("unmapped")["frame"],
        {"id": [1, 2, 3], "score": [1.5, 2.5, 3.5]},
    ),
    "run_raw_sql mapped": Case(
        ("names",), lambda ran: sorted(chain(*ran.noted("unmapped")["mapped_rows"])), sorted(CHOSEN)
    ),
    "get_value_list": Case(
        ("get_value_list", "times_ten"), lambda ran: ran.noted("unmapped")["mapped_values"], [10, 20, 30]
    ),
    "append": Case(("append",), lambda ran: ran.table("nested", "id"), [(1,), (2,), (3,), (7,)]),
    "AppendOperator mapped": Case(
        ("append_mapped",),
        lambda ran: sorted(ran.rows("SELECT id, COALESCE(name, '') FROM appended")),
        sorted([*((key, name or "") for key, name in PEOPLE), *map(tuple, CHOSEN)]),
    ),
    "merge": Case(("merge",), lambda ran: ran.table("people"), [*PEOPLE, (4, None)]),
    "MergeOperator mapped": Case(
        ("merge_mapped",),
        lambda ran: ran.table("merged"),
        sorted([(3, None), *map(tuple, CHOSEN)]),
    ),
    "check_table": Case(("check_table",), lambda ran: ran.states("check_table"), {"success"}),
    "SQLCheckOperator mapped": Case(("check_table_mapped",), lambda ran: ran.states("check_table_mapped"), {"success"}),
    "check_column": Case(("check_column",), lambda ran: ran.states("check_column"), {"success"}),
    "ColumnCheckOperator mapped": Case(
        ("check_column_mapped",), lambda ran: ran.states("check_column_mapped"), {"success"}
    ),
    "drop_table": Case(("load_dropped", "drop_table"), lambda ran: "dropped" in ran.tables, expected=False),
    "DropTableOperator mapped": Case(
        ("load_doomed", "drop_mapped"), lambda ran: {"doomed_0", "doomed_1"} & ran.tables, set()
    ),
    "cleanup": Case(
        ("load_temporary", "cleanup"),
        lambda ran: (LOADED - ran.tables, ran.tables - LOADED - KEPT),
        (set(), set()),
        everywhere=True,
    ),
}
REFUSED = {
    "refused_schedule.py": "asset(",
    "refused_alternatives.py": "asset(",
    "refused_backend.py": "xcom_objectstorage_path",
}


@contextmanager
def running(airflow: str, folder: Path) -> Iterator[Laptop]:
    """Run an Airflow, a local cloud and a Postgres with the matrix' files."""
    (folder / "query.sql").write_text("SELECT id\nFROM {{ people }}\nWHERE id > 1")
    with postgres(folder) as database, LocalCloud(folder / "cloud") as cloud:
        laptop = Laptop(cloud, None)  # type: ignore[arg-type] # only its cloud is used
        put_files(laptop, folder)
        for name, connection in connections(folder, cloud).items():
            laptop.client("secretsmanager").create_secret(
                Name=f"airflow/connections/matrix_{name}", SecretString=json.dumps(connection)
            )
        older = {"AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES": "airflow.* astro.*"}
        profile = Profile(
            folder / "airflow",
            free_port(),
            cloud.environment,
            dags_folders={"dags-folder": Path(__file__).with_name("astro_dags")},
            extra={"ASTRO_MATRIX_FOLDER": str(folder)} | (older if airflow == "airflow-3.2" else {}),
            python=AIRFLOWS[airflow],
            postgres=database if airflow == "airflow-3.2" else None,
        )
        with Airflow(profile) as started:
            dags = {f"astro_{engine}_{place}" for engine, place in product(ENGINES, PLACES)}
            wait_for(
                lambda: True if dags <= set(started.rest.dag_ids()) else None,
                f"the DAGs to appear; import errors: {started.rest.import_errors()}",
                120,
            )
            for dag in dags:
                started.rest.unpause(dag)
            yield Laptop(cloud, started)


def put_files(laptop: Laptop, folder: Path) -> None:
    """Make the files that are loaded, in both places."""
    parquet = io.BytesIO()
    pd.DataFrame(SCORES, columns=["id", "score"]).to_parquet(parquet)
    files = {
        "people.csv": b"id,name\n1,Ann\n2,Ben\n3,NA\n",
        "people.json": b'[{"id": 1, "name": "Ann"}, {"id": 2, "name": "Ben"}, {"id": 3, "name": null}]',
        "nested.ndjson": b'{"id": 7, "at": {"x": 1}}\n',
        "scores.parquet": parquet.getvalue(),
    } | {name: text.encode() for name, text in MANY.items()}
    s3 = laptop.client("s3")
    s3.create_bucket(Bucket="astro-matrix")
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        s3.put_object(Bucket="astro-matrix", Key=name, Body=content)
    for engine in ENGINES:
        (folder / "out" / engine).mkdir(parents=True)


def connections(folder: Path, cloud: LocalCloud) -> dict[str, dict[str, Any]]:
    """Return the Airflow connections of the matrix."""
    environment = cloud.environment
    postgres_of = {"host": str(folder / "data"), "login": "postgres", "schema": "postgres"}
    found: dict[str, dict[str, Any]] = {
        "objects": {
            "conn_type": "aws",
            "login": environment["AWS_ACCESS_KEY_ID"],
            "password": environment["AWS_SECRET_ACCESS_KEY"],
            "extra": {"endpoint_url": cloud.endpoint, "region_name": environment["AWS_DEFAULT_REGION"]},
        },
    }
    for place in PLACES:
        found |= {
            f"sqlite_{place}": {"conn_type": "sqlite", "host": str(folder / f"{place}.sqlite")},
            f"duckdb_{place}": {"conn_type": "duckdb", "host": str(folder / f"{place}.duckdb")},
            f"postgres_{place}": {"conn_type": "postgres", **postgres_of},
        }
    return found


class Matrix:
    """The runs on one Airflow.

    Args:
        laptop: Where they run.
        folder: Where databases and files are.
    """

    def __init__(self, laptop: Laptop, folder: Path) -> None:
        self.laptop, self.folder = laptop, folder
        self.ran = cache(self._ran)

    def _ran(self, engine: str, place: str) -> Ran:
        self._all()
        dag = f"astro_{engine}_{place}"
        last = max(self.laptop.rest.dag_runs(dag), key=lambda run: run.run_id)
        return Ran(self.laptop, self.folder, engine, place, self.laptop.rest.task_instances(dag, last.run_id))

    @cache  # noqa: B019 - it lives as long as its module's tests
    def _all(self) -> None:
        """Run every DAG beside the others."""
        rest = self.laptop.rest
        started = [rest.trigger(f"astro_{engine}_{place}") for engine, place in product(ENGINES, PLACES)]
        for run in started:
            wait_for(
                lambda run=run: True if rest.dag_run(run.dag_id, run.run_id).state in {"success", "failed"} else None,
                f"{run.dag_id} to end",
                RUN_SECONDS,
            )


@pytest.fixture(scope="module", params=AIRFLOWS)
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """One Airflow with the DAGs."""
    folder = tmp_path_factory.mktemp(f"astro-{request.param}")
    with running(request.param, folder) as laptop:
        yield Matrix(laptop, folder)


@pytest.mark.timeout(3 * RUN_SECONDS)
@pytest.mark.parametrize(
    ("engine", "place", "case"),
    [
        pytest.param(engine, place, case, id=f"{engine}-{place}-{name}")
        for (name, case), engine, place in product(CASES.items(), ENGINES, PLACES)
        if case.everywhere or place == "local"
    ],
)
def test_what_is_left(matrix: Matrix, engine: str, place: str, case: Case) -> None:
    """Its tasks succeed, and what they leave in tables, files and XComs is right."""
    ran = matrix.ran(engine, place)
    states = {task: ran.states(task) for task in case.tasks}

    assert {task: {"success"} for task in case.tasks} == states, ran.log(*case.tasks)
    assert case.expected == case.left(ran)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_task_that_fails_is_cleaned_up_after(matrix: Matrix, engine: str) -> None:
    """One task fails; the run fails, nothing else does, and no temporary table is left."""
    for place in PLACES:
        ran = matrix.ran(engine, place)
        assert {("fails", "failed")} == {(each.task_id, each.state) for each in ran.tasks if each.state != "success"}


def test_the_file_is_read_without_a_new_version(matrix: Matrix) -> None:
    """Temporary tables' random names make no new version of a DAG, however often its file is read."""
    matrix.ran("sqlite", "local")
    dags = [f"astro_{engine}_{place}" for engine, place in product(ENGINES, PLACES)]

    sql = "SELECT dag_id, MAX(version_number) FROM dag_version GROUP BY dag_id"
    file = matrix.laptop.airflow.home / "airflow.db"
    if file.exists():
        connection = sqlite3.connect(file)
        try:
            versions = connection.execute(sql).fetchall()
        finally:
            connection.close()
    else:
        with psycopg.connect(host=str(matrix.folder / "data"), user="postgres", dbname="postgres") as session:
            versions = session.execute(sql).fetchall()
    assert {(dag, 1) for dag in dags} == set(versions)


@pytest.mark.parametrize("file", REFUSED)
def test_what_cannot_work_is_refused(matrix: Matrix, file: str) -> None:
    """The DAG file is an import error that says what to do instead."""
    found = wait_for(
        lambda: next((text for name, text in matrix.laptop.rest.import_errors().items() if file in name), None),
        f"{file} to be refused",
        60,
    )
    assert "AstroSdkRefused" in found
    assert REFUSED[file] in found


def test_nothing_public_is_left_out() -> None:
    """Every public operator and decorator of the SDK is used by the matrix' DAGs."""
    import include.warehouse.astro_sdk  # noqa: F401, PLC0415 - before astro

    from astro import sql  # noqa: PLC0415 - after the bridge

    text = Path(__file__).with_name("astro_dags").joinpath("astro_matrix.py").read_text(encoding="utf-8")
    # a function makes the operator of its name
    made_by = {
        "CleanupOperator": "cleanup",
        "DataframeOperator": "dataframe",
        "ExportFileOperator": "export_file",
        "ExportTableToFileOperator": "export_table_to_file",
        "TransformOperator": "transform",
    }
    assert [] == [name for name in sql.__all__ if made_by.get(name, name) not in text]
