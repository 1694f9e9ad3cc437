"""What the Astro SDK's operators tell Airflow's OpenLineage provider: real events in a file, the real data in them.

The provider and its client are put beside this environment; nothing else of it changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import uv

from tests.platform.astro_cli import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

# packages that nothing else here needs
pytestmark = [pytest.mark.verify, pytest.mark.timeout(600)]

PACKAGES = (
    "apache-airflow-providers-openlineage==2.20.3",
    "openlineage-integration-common==1.54.0",
    "openlineage-python==1.54.0",
    "openlineage-sql==1.54.0",
)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the provider and its client, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("openlineage")
    command = [uv.find_uv_bin(), "pip", "install", "--python", sys.executable, "--no-deps", "--target", str(folder)]
    done = subprocess.run([*command, *PACKAGES], capture_output=True, text=True, timeout=300, check=False)
    assert 0 == done.returncode, done.stderr
    return folder


def test_events(provider: Path, tmp_path: Path) -> None:
    """Every operator's event names its tables and files, counts their rows and quotes the statement."""
    file, exported, database = tmp_path / "f.csv", tmp_path / "o.csv", tmp_path / "w.duckdb"
    file.write_text("flight,delay\nAA1,3\nB62,16\nUA3,240\n")
    with duckdb.connect(str(database)) as session:
        session.execute("CREATE TABLE keyed (flight VARCHAR PRIMARY KEY, delay BIGINT)")
    done = subprocess.run(
        [sys.executable, "-m", "tests.astro.lineage_program", str(file), str(exported)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": f"{PROJECT}{os.pathsep}{provider}",
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "duckdb", "host": str(database)}),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(tmp_path / "events"), "append": True}
            ),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    events = {event["job"]["name"]: event for event in map(json.loads, (tmp_path / "events").read_text().splitlines())}

    def table(name: str) -> str:
        return f"{database}.{name}"

    assert {
        "load": ([str(file)], [table("flights")]),
        "late": ([table("flights")], [table("kept")]),
        "again": ([str(file)], [table("twice")]),
        "append": ([table("kept")], [table("twice")]),
        "merge": ([table("kept")], [table("keyed")]),
        "export": ([table("twice")], [str(exported)]),
    } == {job: (names(event, "inputs"), names(event, "outputs")) for job, event in events.items()}
    # of 3 flights 2 are late; behind the 3 of `twice` they make 5
    assert {"late": 2, "append": 5, "merge": 2, "export": 5} == {
        job: event["outputs"][0]["facets"]["outputStatistics"]["rowCount"]
        for job, event in events.items()
        if "outputStatistics" in event["outputs"][0]["facets"]
    }
    assert {
        "late": "SELECT flight, delay FROM flights WHERE delay > 15",
        "append": "INSERT INTO twice (flight, delay) SELECT flight, delay FROM kept",
        "merge": "INSERT INTO keyed (flight,delay) SELECT flight,delay FROM kept Where true ON CONFLICT (flight) "
        "DO UPDATE SET flight=EXCLUDED.flight,delay=EXCLUDED.delay",
    } == {
        job: " ".join(event["job"]["facets"]["sql"]["query"].split())
        for job, event in events.items()
        if "sql" in event["job"]["facets"]
    }
    (loaded,) = events["load"]["inputs"][0]["facets"]["input_file_facet"]["files"]
    assert (str(file), file.stat().st_size, "csv") == (loaded["filepath"], loaded["file_size"], loaded["file_type"])


def names(event: dict[str, Any], side: str) -> list[str]:
    """Return the names of an event's data sets."""
    return [dataset["name"] for dataset in event[side]]
