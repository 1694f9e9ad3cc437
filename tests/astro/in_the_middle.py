"""One task as a process of its own, known to be in the middle of its work.

SQLite and DuckDB write into the database's file before the transaction ends, so that a file that grows shows it. On
Postgres the statement stops at a row in the middle, at a lock that the test holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.astro.conftest import Warehouse

ROWS = {"sqlite": 200_000, "duckdb": 1_000_000, "postgres": 20_000}
EXPORTED = 200_000
GROWTH_BYTES = 300_000
SECONDS = 120

# what each operation makes of the rows 0 to ROWS in s and of the old rows in t
MADE = {
    "append": "SELECT id, name FROM {s} UNION ALL SELECT id, name FROM {old}",
    "merge": "SELECT id, name FROM {s} UNION ALL SELECT id, name FROM {old} WHERE id NOT IN (SELECT id FROM {s})",
    "transform": "SELECT id, name FROM {s}",
}


def prepare(warehouse: Warehouse, operation: str) -> None:
    """Make the rows s, the old table t, a copy of it, and what the operation has to make of them."""
    rows = EXPORTED if operation == "export" else ROWS[warehouse.engine]
    numbers = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL "
        f"SELECT i + 1 FROM n WHERE i < {rows - 1}) SELECT i FROM n",
        "duckdb": f"SELECT range AS i FROM range({rows})",
        "postgres": f"SELECT i FROM generate_series(0, {rows - 1}) AS i",
    }[warehouse.engine]
    named = warehouse.named
    is_held = warehouse.engine == "postgres" and operation != "export"
    source = "given" if is_held else "s"
    key = " PRIMARY KEY" if operation == "merge" else ""
    warehouse.execute(
        *([f"CREATE SCHEMA {warehouse.schema}"] if warehouse.schema else []),
        f"CREATE TABLE {named(source)} AS SELECT i AS id, 'text of row ' || i AS name FROM ({numbers}) AS numbers",
        f"CREATE TABLE {named('t')} (id BIGINT{key}, name TEXT)",
        # one of them is among the rows of s, the other is not
        f"INSERT INTO {named('t')} VALUES (1, 'old'), (-1, 'older')",
        f"CREATE TABLE {named('old')} AS SELECT * FROM {named('t')}",
    )
    if is_held:
        # the row in the middle waits while another session holds the lock
        warehouse.execute(
            f"""CREATE FUNCTION {named("held")}(id int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
            IF id = {rows // 2} THEN PERFORM pg_advisory_xact_lock_shared({lock(warehouse)}); END IF;
            RETURN id; END $$""",
            f"CREATE VIEW {named('s')} AS SELECT {named('held')}(id) AS id, name FROM {named('given')}",
        )
    if operation in MADE:
        made = MADE[operation].format(s=named(source), old=named("old"))
        warehouse.execute(f"CREATE TABLE {named('expected')} AS {made}")


def differences(warehouse: Warehouse, one: str, other: str) -> list[tuple[Any, ...]]:
    """Return a few rows that only one of two tables has, and the numbers of rows if these differ."""
    left, right = warehouse.named(one), warehouse.named(other)
    found = []
    for here, there in ((left, right), (right, left)):
        found += warehouse.rows(f"SELECT id, name FROM {here} EXCEPT SELECT id, name FROM {there} LIMIT 3")
    counts = [warehouse.rows(f"SELECT COUNT(*) FROM {table}")[0] for table in (left, right)]
    return found if counts[0] == counts[1] else [*found, *counts]


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start one_task.py as a process, up to the moment before it begins."""
    task = subprocess.Popen(
        [sys.executable, "-m", "tests.astro.one_task", *arguments],
        env={**os.environ, "AIRFLOW_HOME": str(home / "airflow"), "PYTHONPATH": str(Path.cwd())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert task.stdout is not None
    said = []
    for line in task.stdout:
        if line == "ready\n":
            return task
        said.append(line)
    raise AssertionError("".join(said))


def begin(task: subprocess.Popen[str]) -> None:
    """Let a process begin."""
    assert task.stdin is not None
    task.stdin.write("\n")
    task.stdin.flush()


def wait_until(condition: Callable[[], bool], task: subprocess.Popen[str] | None) -> None:
    """Wait until something is so, while the process, if one is given, lives."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert task is None or task.poll() is None, task.communicate()[0]
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.003)


def grown(file: Path) -> Callable[[], bool]:
    """Return a condition: rows of an open transaction lie in the database's file."""
    size = file.stat().st_size
    return lambda: file.stat().st_size > size + GROWTH_BYTES


def lock(warehouse: Warehouse) -> int:
    """Return the number of a lock of Postgres that belongs to one test."""
    return int(str(warehouse.schema)[1:8], 16)
