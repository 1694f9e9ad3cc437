"""Events wake, state decides: what happens when events double, get lost, or a time is gone through again."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deploy.laptop.cloud import s3_client
from deploy.laptop.landing import land
from deploy.laptop.profile import PROJECT
from include.core.snapshots import months_below
from tests.pipeline.running import LANDED, OCTOBER, SEPTEMBER, objects, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pipeline.running import Laptop

BUSY_DAG = "probe_writes"


def at_rest(laptop: Laptop, dag_id: str, runs: int) -> bool:
    """Return whether a DAG has had that many runs more than none and none is open."""
    found = laptop.rest.dag_runs(dag_id)
    return (
        len(found) >= runs
        and all(run.state not in {"queued", "running"} for run in found)
        and not laptop.rest.queued_events([dag_id])
    )


def test_doubled_events_change_nothing(trouble: Laptop) -> None:
    """Two more events of what is there already wake features and score, which write nothing."""
    before, runs = objects(trouble.lake), trouble.runs()
    for asset in ("flights/raw", "flights/raw", "flights/features"):
        trouble.rest.emit_event(asset)
    wait_for(
        lambda: (
            True
            if at_rest(trouble, "features", runs["features"] + 1)
            and at_rest(trouble, "score_flight_delay", runs["score_flight_delay"] + 1)
            else None
        ),
        "the DAGs to come to rest",
        300,
    )
    assert before == objects(trouble.lake)


@pytest.mark.verify
def test_a_lost_event_loses_no_month(trouble: Laptop) -> None:
    """September's event is lost before anybody saw it; October's event brings both months."""
    s3 = s3_client(trouble.cloud.environment)
    trouble.rest.pause("features")
    land(s3, SEPTEMBER)
    wait_for(lambda: True if trouble.ingest_run(SEPTEMBER).state == "success" else None, "September to be ingested")
    trouble.rest.drop_queued_events("features")
    trouble.rest.unpause("features")
    assert SEPTEMBER not in months_below(trouble.lake, "features/flight_delay")
    land(s3, OCTOBER)
    wait_for(
        lambda: True if {SEPTEMBER, OCTOBER} <= set(months_below(trouble.lake, "predictions/flight_delay")) else None,
        "both months to be scored",
        300,
    )
    assert {SEPTEMBER, OCTOBER} <= set(months_below(trouble.lake, "features/flight_delay"))


@pytest.fixture
def busy(trouble: Laptop) -> Iterator[Laptop]:
    """An Airflow that runs a task after the other, and writes."""
    wait_for(lambda: True if BUSY_DAG in trouble.rest.dag_ids() else None, f"{BUSY_DAG} to be parsed")
    trouble.rest.unpause(BUSY_DAG)
    wait_for(lambda: True if tasks_in(trouble, "success") else None, "tasks to be run")
    yield trouble
    # A paused DAG's run is looked at no more: it can stay open, but none of its tasks begins.
    trouble.rest.pause(BUSY_DAG)
    wait_for(lambda: None if tasks_in(trouble, "queued", "running") else True, "the last tasks to end")


def tasks_in(laptop: Laptop, *states: str) -> int:
    """Return how many tasks of the busy DAG are in one of these states."""
    return sum(task.state in states for task in laptop.rest.task_instances(BUSY_DAG))


def test_a_backfill_goes_through_three_months_again(busy: Laptop) -> None:
    """Airflow's own command, given once while others write, runs ingest for January to March anew; nothing changes."""
    before, written = objects(busy.lake), tasks_in(busy, "success")
    command = [
        *(sys.executable, "-m", "airflow", "backfill", "create", "--dag-id", "ingest"),
        *("--from-date", "2013-01-01", "--to-date", "2013-03-31", "--reprocess-behavior", "completed"),
    ]
    environment = busy.airflow.profile.environment("command")
    answer = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
    assert 0 == answer.returncode, answer.stderr
    assert written + 4 < tasks_in(busy, "success"), "nobody wrote meanwhile"

    def states() -> dict[str, str | None] | None:
        runs = [run for run in busy.rest.dag_runs("ingest") if run.run_type == "backfill"]
        if len(runs) != len(LANDED) - 1 or any(run.state != "success" for run in runs):
            return None
        return {str(run.interval_start)[:7]: busy.tasks(run)["ingest_flights"].state for run in runs}

    assert {"2013-01": "skipped", "2013-02": "skipped", "2013-03": "skipped"} == wait_for(states, "the backfill", 120)
    assert before == objects(busy.lake)
