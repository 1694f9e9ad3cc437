"""The DAG `features`: one task for each month that is due."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from deploy.laptop.profile import PROJECT
from include.core.assets import features
from include.core.months import Month
from include.core.snapshots import months_below
from tests.astro.runs import Run

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from include.core.lake import Lake


@pytest.fixture(scope="module")
def dag() -> DAG:
    """Return the DAG as the dag processor reads it."""
    names = runpy.run_path(str(PROJECT / "dags" / "features.py"))
    found: DAG = names["features"]()
    return found


@pytest.mark.usefixtures("airflow_environment")
def test_each_due_month_is_built_by_a_task(dag: DAG, few: Lake) -> None:
    """Both months that have landed, in two instances of one task; a second run finds nothing to do."""
    run = Run(dag)
    assert ["2013-01", "2013-02"] == run.task("plan_flight_delay")
    built: list[dict[str, Any]] = run.task("build_flight_delay")
    assert [("2013-01", 3613), ("2013-02", 3517)] == [(each["month"], each["rows"]) for each in built]
    assert [Month(2013, 1), Month(2013, 2)] == list(months_below(few, "features/flight_delay"))
    with pytest.raises(AirflowSkipException, match="every month of flights has its features"):
        Run(dag).task("plan_flight_delay")


def test_months_wait_for_the_warehouse_and_tell_of_themselves(dag: DAG) -> None:
    """A build occupies the pool of one slot, and emits the event of the source's features; planning does neither."""
    plan, build = (dag.get_task(f"{name}_flight_delay") for name in ("plan", "build"))
    assert ("warehouse", [features("flights")]) == (build.pool, build.outlets)
    assert ("default_pool", []) == (plan.pool, plan.outlets)
