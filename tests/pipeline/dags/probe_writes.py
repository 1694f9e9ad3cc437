"""probe_writes: runs one after another for as long as it is not paused, so that Airflow has something to write."""

from __future__ import annotations

import datetime as dt

from airflow.sdk import dag, task


@dag(schedule="@continuous", start_date=dt.datetime(2013, 1, 1, tzinfo=dt.UTC), max_active_runs=1)
def probe_writes() -> None:
    """Do a few short things beside each other."""

    @task
    def hand_on(number: int) -> int:
        return number

    for number in range(4):
        hand_on.override(task_id=f"hand_on_{number}")(number)


probe_writes()
