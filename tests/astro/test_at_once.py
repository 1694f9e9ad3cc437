"""Two runs of the same task at once: they wait for each other, and the table is one run's whole result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.astro.in_the_middle import ROWS, begin, differences, grown, lock, prepare, start, wait_until

if TYPE_CHECKING:
    import subprocess

    from tests.astro.conftest import Warehouse

# each case starts two processes that import Airflow: one is enough for every day
SLOW = pytest.mark.verify
ENGINES = ("sqlite", "duckdb", "postgres")


@pytest.mark.parametrize(
    ("warehouse", "operation"),
    [
        pytest.param(engine, operation, marks=() if (engine, operation) == ("sqlite", "transform") else SLOW)
        for engine in ENGINES
        for operation in ("transform", "merge")
    ],
    indirect=["warehouse"],
)
def test_two_statements(warehouse: Warehouse, operation: str, tmp_path: Path) -> None:
    """The second begins while the first one's rows are half there; both end well, the later one's rows stay."""
    prepare(warehouse, operation)
    tables = warehouse.tables()
    other, expected = warehouse.named("other"), warehouse.named("expected")
    rows = f"SELECT id, 'from the other run' AS name FROM {warehouse.named('s' if is_file(warehouse) else 'given')}"
    warehouse.execute(f"CREATE TABLE {other} AS {rows}")
    first = start(tmp_path / "first", operation, warehouse.schema or "", "s")
    second = start(tmp_path / "second", operation, warehouse.schema or "", "other")
    running = [first, second]

    if is_file(warehouse):
        is_half_done = grown(Path(warehouse.place))
        begin(first)
        wait_until(is_half_done, first)
        begin(second)
    else:
        waiting = "SELECT DISTINCT pid FROM pg_locks WHERE NOT granted"
        with warehouse.holding(f"SELECT pg_advisory_lock({lock(warehouse)})"):
            begin(first)
            wait_until(lambda: 1 == len(warehouse.rows(waiting)), first)
            begin(second)
            # a merge waits for the rows that the first one has written; a transform has nothing to wait for yet
            if operation == "merge":
                wait_until(lambda: 2 == len(warehouse.rows(waiting)), second)
            else:
                finish(running.pop())
    for task in running:
        finish(task)

    if is_file(warehouse) or operation == "merge":
        warehouse.execute(f"UPDATE {expected} SET name = 'from the other run' WHERE name LIKE 'text of row%'")
    assert [] == differences(warehouse, "t", "expected")
    assert {*tables, "other"} == warehouse.tables()


@SLOW
def test_two_loads(warehouse: Warehouse, tmp_path: Path) -> None:
    """Two files are loaded into one table: it holds all rows of one of them and none of the other."""
    rows = ROWS["postgres"]
    loads = []
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("id,name\n" + "".join(f"{number},{name}\n" for number in range(rows)))
        loads.append(start(tmp_path / name, "load", warehouse.schema or "", str(tmp_path / f"{name}.csv")))
    for load in loads:
        begin(load)
    for load in loads:
        finish(load)

    found = warehouse.rows(f"SELECT name, COUNT(*), SUM(id) FROM {warehouse.named('t')} GROUP BY name")
    assert found in [[(name, rows, rows * (rows - 1) // 2)] for name in ("one", "two")]
    assert {"t"} == warehouse.tables()


def is_file(warehouse: Warehouse) -> bool:
    """Say whether the database is a file that one writer at a time has."""
    return warehouse.engine != "postgres"


def finish(task: subprocess.Popen[str]) -> None:
    """Wait for a process that has to end well."""
    said, _ = task.communicate(timeout=120)
    assert 0 == task.returncode, said
