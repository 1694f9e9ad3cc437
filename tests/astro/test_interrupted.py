"""A load that is killed in the middle leaves the old table, and the next one makes the new one.

The loading process is real and is ended by SIGKILL. It loads a folder whose second file is a pipe: when the pipe is
opened for reading, the first file's rows are in the transaction.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.astro.folder_load import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.astro.conftest import Warehouse

# each case starts a process that imports Airflow: one is enough for every day
SLOW = pytest.mark.verify
OTHERS = ("sqlite", "postgres")


@pytest.mark.parametrize("warehouse", ["duckdb", *(pytest.param(name, marks=SLOW) for name in OTHERS)], indirect=True)
@pytest.mark.parametrize("native", [True, pytest.param(False, marks=SLOW)])
@pytest.mark.parametrize(
    ("if_exists", "expected"),
    [
        ("replace", [(1, "new"), (2, "new")]),
        pytest.param("append", [(0, "old"), (1, "new"), (2, "new")], marks=SLOW),
    ],
)
def test_killed_in_the_middle_of_a_load(
    warehouse: Warehouse,
    tmp_path: Path,
    if_exists: str,
    expected: list[tuple[int, str]],
    native: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Never half of the new table; a rerun gives the whole one."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    (old / "1.csv").write_text("id,name\n0,old\n")
    load(str(old), warehouse.schema or "", "replace", "True")
    (new / "1.csv").write_text("id,name\n1,new\n")
    os.mkfifo(new / "2.csv")

    loading = start(warehouse, new, if_exists, tmp_path, native=native)
    with opened_by_the_reader(new / "2.csv", loading):
        loading.send_signal(signal.SIGKILL)
        loading.communicate()

    assert -signal.SIGKILL == loading.returncode
    assert [(0, "old")] == warehouse.content("t")
    assert {"t"} == warehouse.tables()

    (new / "2.csv").unlink()
    (new / "2.csv").write_text("id,name\n2,new\n")
    load(str(new), warehouse.schema or "", if_exists, str(native))
    assert expected == warehouse.content("t")


def start(
    warehouse: Warehouse, folder: Path, if_exists: str, home: Path, *, native: bool = True
) -> subprocess.Popen[str]:
    """Start a process that loads a folder's files into the table t."""
    environment = {**os.environ, "AIRFLOW_HOME": str(home / "airflow"), "PYTHONPATH": os.getcwd()}  # noqa: PTH109 - a text
    return subprocess.Popen(
        [sys.executable, "-m", "tests.astro.folder_load", str(folder), warehouse.schema or "", if_exists, str(native)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class opened_by_the_reader:  # noqa: N801 - reads as a statement
    """Opens a pipe for writing as soon as the loading process has opened it for reading.

    Args:
        pipe: The pipe.
        loading: The process, which must not end before.
    """

    def __init__(self, pipe: Path, loading: subprocess.Popen[str]) -> None:
        self._pipe, self._loading, self._end = pipe, loading, -1

    def __enter__(self) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                self._end = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet
                assert self._loading.poll() is None, self._loading.communicate()[0]
                assert time.monotonic() < deadline, "nobody read the pipe"
                time.sleep(0.02)
            else:
                return

    def __exit__(self, *_: object) -> None:
        os.close(self._end)
