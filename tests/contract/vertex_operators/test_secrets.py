"""Airflow's connections come from Google's Secret Manager, wherever Airflow reads one."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract.local_cloud import until
from tests.contract.vertex_operators.cases import PROJECT
from tests.pipeline.running import wait_for

if TYPE_CHECKING:
    from tests.contract.vertex_operators.runs import Runs

# a real Airflow
pytestmark = pytest.mark.verify


def accesses(runs: Runs, connection: str) -> int:
    """Return how often a connection's secret has been given out, by the local cloud's own log."""
    resource = f"projects/{PROJECT}/secrets/airflow-connections-{connection}/versions/latest"
    return sum(
        (each["operation"], each.get("resource"), each["status"]) == ("AccessSecretVersion", resource, "OK")
        for each in runs.cloud.google.requests()
    )


def test_task_dag_processor_and_triggerer_ask_secret_manager(runs: Runs) -> None:
    """Each reads a connection of its own: the dag processor before a task runs, the triggerer while one waits."""
    until(lambda: "vertex_secrets" in runs.airflow.rest.dag_ids(), "the dag processor to parse the file")
    assert accesses(runs, "probe_dag_processor") >= 1
    assert 0 == accesses(runs, "probe_task")
    run_id = runs.start("vertex_secrets")
    rest = runs.airflow.rest
    wait_for(
        lambda: rest.task_instance("vertex_secrets", run_id, "wait").state == "deferred" or None, "the task to defer"
    )
    until(lambda: accesses(runs, "probe_triggerer"), "the triggerer to ask for its connection")
    runs.cloud.put("secrets/here", "")
    wait_for(lambda: rest.dag_run("vertex_secrets", run_id).state == "success" or None, "the end")
    assert "google_cloud_platform" == rest.xcom("vertex_secrets", run_id, "read")
    assert accesses(runs, "probe_task") >= 1
    assert "success" == rest.xcom("vertex_secrets", run_id, "wait")


def test_airflow_holds_no_connection_of_its_own(runs: Runs) -> None:
    """The connection table is empty, and no component's environment defines a connection."""
    with sqlite3.connect(runs.airflow.home / "airflow.db") as database:
        assert [(0,)] == database.execute("SELECT COUNT(*) FROM connection").fetchall()
    for pid in runs.airflow.pids.values():
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert [] == [entry for entry in environment if entry.startswith(os.fsencode("AIRFLOW_CONN_"))]
