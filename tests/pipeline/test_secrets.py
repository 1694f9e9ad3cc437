"""Every connection comes from Secrets Manager, wherever Airflow reads one."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from tests.pipeline.running import wait_for

if TYPE_CHECKING:
    from tests.pipeline.running import Laptop


def asked(laptop: Laptop) -> set[tuple[str, str]]:
    """Return which component asked the local cloud for which secret, by the cloud's own log."""
    lines = (laptop.cloud.root / "requests.jsonl").read_text().splitlines()
    requests = [json.loads(line) for line in lines]
    return {(each["app"], each["secret_id"]) for each in requests if each["operation"] == "GetSecretValue"}


def test_task_dag_processor_and_triggerer_ask_secrets_manager(laptop: Laptop) -> None:
    """The probe's connections are asked for by the component that needs each; tasks are the scheduler's children."""
    run = laptop.rest.trigger("probe_secrets")
    wait_for(
        lambda: (
            True
            if laptop.rest.task_instance("probe_secrets", run.run_id, "wait").state == "deferred"
            and ("airflow-triggerer", "airflow/connections/probe_triggerer") in asked(laptop)
            else None
        ),
        "the triggerer to ask for its connection",
    )
    laptop.lake.write_bytes("probe/key", b"here")
    wait_for(lambda: True if laptop.rest.dag_run("probe_secrets", run.run_id).state == "success" else None, "the end")
    assert {
        ("airflow-dag-processor", "airflow/connections/probe_dag_processor"),
        ("airflow-scheduler", "airflow/connections/probe_task"),
        ("airflow-triggerer", "airflow/connections/probe_triggerer"),
    } <= asked(laptop)


def test_airflow_holds_no_connection_of_its_own(laptop: Laptop) -> None:
    """The connection table is empty, and no component's environment defines a connection or a variable."""
    with sqlite3.connect(laptop.airflow.home / "airflow.db") as database:
        assert [(0,)] == database.execute("SELECT COUNT(*) FROM connection").fetchall()
        assert [(0,)] == database.execute("SELECT COUNT(*) FROM variable").fetchall()
    for pid in laptop.airflow.pids.values():
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert [] == [entry for entry in environment if entry.startswith((b"AIRFLOW_CONN_", b"AIRFLOW_VAR_"))]
