"""DuckDB's file: tasks in several processes wait for it, and it is open no longer than it is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import DAG
from sqlalchemy.exc import OperationalError

from include.core.errors import AstroSdkRefused, WarehouseLocked
from tests.astro.runs import Run

from astro import sql as aql
from astro.databases import create_database
from astro.files import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.astro.conftest import Warehouse

HOLDER = """
import duckdb, sys
with duckdb.connect(sys.argv[1]) as database:
    print("open", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(duck: Warehouse) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open until a line is written to it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, duck.place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "open\n" == process.stdout.readline()
        yield process
        process.kill()


def let_go(process: subprocess.Popen[str]) -> None:
    """Let the other process close the file."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_locked_file_is_waited_for(
    duck: Warehouse, holder: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Load and checks begin while another process has the file; they go on when it is closed."""
    (tmp_path / "t.csv").write_text("id,name\n1,x\n")
    waits = []

    def look(_: float) -> None:
        waits.append(holder.poll())
        if len(waits) == 3:
            let_go(holder)
            holder.wait()

    monkeypatch.setattr("include.warehouse.astro_sdk.duckdb_files.time.sleep", look)
    with DAG("d") as dag:
        table = aql.load_file(File(str(tmp_path / "t.csv")), duck.table("t"))
        aql.check_table(table, {"one": {"check_statement": "COUNT(*) = 1"}})
        aql.check_column(table, {"id": {"max": {"equal_to": 1}}})
    Run(dag).all()

    assert [None, None, None] == waits
    assert [(1, "x")] == duck.content("t")


def test_a_file_that_stays_locked(
    duck: Warehouse, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the connection's lock_timeout the task fails, transiently, and names what holds the file."""
    connection = {"conn_type": "duckdb", "host": duck.place, "extra": {"lock_timeout": 0.2}}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))

    with pytest.raises(WarehouseLocked, match=rf"(?s){duck.place}.*PID {holder.pid}.*lock_timeout"):
        create_database("warehouse").run_sql("SELECT 1")


def test_nothing_keeps_the_file_open(duck: Warehouse) -> None:
    """After each statement another process can open the file, while the SDK's objects live."""
    database = create_database("warehouse")
    database.run_sql("CREATE TABLE t AS SELECT 1 AS id")
    assert [(1,)] == database.run_sql("SELECT * FROM t", handler=lambda result: result.fetchall())
    database.hook.get_records("SELECT * FROM t")
    program = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('SELECT * FROM t').fetchall(), end='')"
    read = subprocess.run(
        [sys.executable, "-c", program, duck.place], env=dict(os.environ), capture_output=True, text=True, check=True
    )

    assert "[(1,)]" == read.stdout


def test_other_errors_of_the_file_are_not_waited_for(duck: Warehouse) -> None:
    """A file that is no database fails at once."""
    Path(duck.place).write_bytes(b"this is no database, but long enough to be taken for one" * 300)

    with pytest.raises(OperationalError, match="not a valid DuckDB"):
        create_database("warehouse").run_sql("SELECT 1")


def test_a_database_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a file is a database that lives as long as the object."""
    monkeypatch.setenv("AIRFLOW_CONN_MEMORY", '{"conn_type": "duckdb"}')
    database = create_database("memory")
    database.run_sql("CREATE TABLE t AS SELECT 7 AS id")

    assert [(7,)] == database.run_sql("SELECT * FROM t", handler=lambda result: result.fetchall())


def test_a_path_names_a_variable_of_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same connection leads each worker to a file on its own disk; an unset variable is an error, no file."""
    monkeypatch.setenv("AIRFLOW_CONN_OWN", json.dumps({"conn_type": "duckdb", "host": "${OWN_DISK}/w.duckdb"}))
    with pytest.raises(AstroSdkRefused, match="OWN_DISK is no variable of the task's environment"):
        create_database("own").run_sql("CREATE TABLE t AS SELECT 1 AS id")
    monkeypatch.setenv("OWN_DISK", str(tmp_path))
    create_database("own").run_sql("CREATE TABLE t AS SELECT 1 AS id")

    assert ["w.duckdb"] == [path.name for path in tmp_path.iterdir()]
