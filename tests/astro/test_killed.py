"""A task that is killed in the middle leaves the old table, file or object, and the next one makes the new one.

The process is real and is ended by SIGKILL while its statement or its file is half done (in_the_middle.py says how that
is known). test_interrupted.py does the same for a load of several files.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.astro import one_task
from tests.astro.in_the_middle import begin, differences, grown, lock, prepare, start, wait_until

from astro.files.locations.local import LocalLocation

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.astro.conftest import Warehouse

# each case starts a process that imports Airflow: one of each kind is enough for every day
SLOW = pytest.mark.verify


@pytest.mark.parametrize(
    ("warehouse", "operation"),
    [
        pytest.param(engine, operation, marks=() if (engine, operation) == ("sqlite", "merge") else SLOW)
        for engine in ("sqlite", "duckdb", "postgres")
        for operation in ("append", "merge", "transform")
    ],
    indirect=["warehouse"],
)
def test_killed_in_the_middle_of_a_statement(warehouse: Warehouse, operation: str, tmp_path: Path) -> None:
    """The table is the old one, nothing else is left, and a rerun gives what an undisturbed run gives."""
    prepare(warehouse, operation)
    tables = warehouse.tables()

    task = start(tmp_path, operation, warehouse.schema or "")
    if warehouse.engine == "postgres":
        kill_at_the_lock(task, warehouse)
    else:
        kill_when(task, grown(Path(warehouse.place)))

    assert [] == differences(warehouse, "t", "old")
    assert tables == warehouse.tables()

    one_task.run(operation, warehouse.schema or "")
    assert [] == differences(warehouse, "t", "expected")
    assert tables == warehouse.tables()


@pytest.mark.parametrize(
    "warehouse", ["sqlite", pytest.param("duckdb", marks=SLOW), pytest.param("postgres", marks=SLOW)], indirect=True
)
def test_killed_in_the_middle_of_an_export_to_a_file(warehouse: Warehouse, tmp_path: Path) -> None:
    """The file is the old one; a rerun writes what an undisturbed run writes, and takes away what was left."""
    prepare(warehouse, "export")
    folder = tmp_path / "out"
    folder.mkdir()
    file = folder / "t.csv"
    file.write_text("old")

    task = start(tmp_path, "export", warehouse.schema or "", "s", str(file))
    kill_when(task, lambda: any(part.stat().st_size > 0 for part in folder.glob(".t.csv.*")))

    assert "old" == file.read_text()
    one_task.run("export", warehouse.schema or "", "s", str(file))
    one_task.run("export", warehouse.schema or "", "s", str(tmp_path / "undisturbed.csv"))
    assert (tmp_path / "undisturbed.csv").read_bytes() == file.read_bytes()
    assert [file] == list(folder.iterdir())


def test_what_another_export_writes_stays(tmp_path: Path) -> None:
    """Two exports to the same file at once: neither takes the other's part away, the last one to end wins."""
    place, part = LocalLocation(str(tmp_path / "t.csv")), tmp_path / ".t.csv.killed.csv"
    part.write_text("half of a")
    with place.get_stream() as first:
        first.write(b"first")
        with place.get_stream() as second:
            second.write(b"second")
        assert not part.exists()
        assert "second" == (tmp_path / "t.csv").read_text()

    assert {"t.csv": "first"} == {file.name: file.read_text() for file in tmp_path.iterdir()}


@SLOW
@pytest.mark.parametrize("old", ["object", "nothing"])
def test_killed_in_the_middle_of_an_export_to_s3(
    warehouse: Warehouse, object_store: Any, old: str, tmp_path: Path
) -> None:
    """The object is the old one, or none if there was none; a rerun writes what an undisturbed run writes."""
    prepare(warehouse, "export")
    key = f"killed/{warehouse.engine}-{old}.csv"
    if old == "object":
        object_store.put_object(Bucket="astro", Key=key, Body=b"old")

    task = start(tmp_path, "export", warehouse.schema or "", "s", f"s3://astro/{key}")
    kill_when(task, lambda: key in unfinished(object_store))

    assert ([b"old"] if old == "object" else []) == contents(object_store, key)
    one_task.run("export", warehouse.schema or "", "s", f"s3://astro/{key}")
    one_task.run("export", warehouse.schema or "", "s", str(tmp_path / "undisturbed.csv"))
    assert [(tmp_path / "undisturbed.csv").read_bytes()] == contents(object_store, key)


def kill_when(task: subprocess.Popen[str], is_half_done: Callable[[], bool]) -> None:
    """Let a process begin and kill it as soon as its work is half done; it must not have ended before."""
    begin(task)
    wait_until(is_half_done, task)
    task.send_signal(signal.SIGKILL)
    said, _ = task.communicate()
    assert -signal.SIGKILL == task.returncode, said


def kill_at_the_lock(task: subprocess.Popen[str], warehouse: Warehouse) -> None:
    """Kill a process whose statement waits in the middle, and let the server find out."""
    sessions = f"FROM pg_locks WHERE locktype = 'advisory' AND objid = {lock(warehouse)}"
    with warehouse.holding(f"SELECT pg_advisory_lock({lock(warehouse)})"):
        kill_when(task, lambda: [] != warehouse.rows(f"SELECT 1 {sessions} AND NOT granted"))
        # whoever asks meanwhile sees the old table
        assert [] == differences(warehouse, "t", "old")
    wait_until(lambda: [] == warehouse.rows(f"SELECT 1 {sessions}"), None)


def unfinished(object_store: Any) -> set[str]:
    """Return the keys of uploads that have begun and not ended."""
    return {upload["Key"] for upload in object_store.list_multipart_uploads(Bucket="astro").get("Uploads", ())}


def contents(object_store: Any, key: str) -> list[bytes]:
    """Return an object's content, or nothing if there is none."""
    found = object_store.list_objects_v2(Bucket="astro", Prefix=key).get("Contents", ())
    return [object_store.get_object(Bucket="astro", Key=each["Key"])["Body"].read() for each in found]
