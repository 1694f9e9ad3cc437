"""Months that do not come, or come broken, after four good ones: what follows from them, and what does not."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from deploy.laptop.landing import files_of
from include.core.snapshots import months_below
from tests.pipeline.running import AUGUST, JULY, JUNE, LANDED, MAY, truncated, with_a_key_twice

if TYPE_CHECKING:
    from deploy.laptop.landing import LandedFile
    from include.core.months import Month
    from tests.pipeline.running import Laptop


@pytest.mark.parametrize(
    ("month", "reason"),
    [(MAY, "flights.csv.gz"), (JULY, "key")],
)
def test_a_broken_month_fails_its_task_with_the_reason(trouble: Laptop, month: Month, reason: str) -> None:
    """The task's log names what broke which rule, and where the month lies now."""
    run = trouble.ingest_run(month)
    task = trouble.rest.task_instance("ingest", run.run_id, "ingest_flights")
    assert "failed" == task.state
    message = next(line for line in trouble.rest.log(task).splitlines() if line.startswith("ContractViolation: "))
    assert reason in message
    assert f"s3://flightdeck-lake/quarantine/flights/month={month}/" in message
    assert "Rule: " in message
    assert "Remedy: " in message


@pytest.mark.parametrize(
    ("month", "files", "rows"),
    [
        (MAY, truncated(MAY), None),  # what is cut off cannot be counted
        (JULY, with_a_key_twice(JULY), 29_425 + 1),
    ],
)
def test_a_broken_month_is_kept_as_it_arrived(
    trouble: Laptop, month: Month, files: dict[str, LandedFile], rows: int | None
) -> None:
    """The quarantine holds each file's bytes and a report that counts the rows; nothing is lost."""
    keys = list(trouble.lake.keys(f"quarantine/flights/month={month}/"))
    content = {key.rpartition("/")[2]: trouble.lake.read_bytes(key) for key in keys}
    assert {*files, "manifest.json", "report.json"} == set(content)
    for name, file in files.items():
        assert file.content == content[name]
    report = trouble.lake.read_json(next(key for key in keys if key.endswith("report.json")))
    assert (rows, rows) == (report["rows_in"], report["rows_quarantined"])
    assert report["violations"]


@pytest.mark.parametrize("month", [MAY, JULY])
def test_a_broken_month_waits_to_be_delivered_again(trouble: Laptop, month: Month) -> None:
    """Its run goes on without a slot, its repair still to come."""
    run = trouble.ingest_run(month)
    states = {task.task_id: task.state for task in trouble.rest.task_instances("ingest", run.run_id)}
    assert ("failed", "deferred", None) == (
        states["ingest_flights"],
        states["wait_for_correction_of_flights"],
        states["repair_flights"],
    )


def test_nothing_downstream_sees_a_broken_month(trouble: Laptop) -> None:
    """Neither raw nor features nor predictions have May, June or July; August went through beside them."""
    raw = set(months_below(trouble.lake, "raw/flights"))
    assert {*LANDED, AUGUST} == raw == set(months_below(trouble.lake, "features/flight_delay"))
    assert not {MAY, JUNE, JULY} & set(months_below(trouble.lake, "predictions/flight_delay"))


def test_a_missing_month_is_awaited_and_holds_nobody_up(trouble: Laptop) -> None:
    """June's run waits deferred while August's has succeeded."""
    waiting, done = trouble.ingest_run(JUNE), trouble.ingest_run(AUGUST)
    assert ("running", "success") == (waiting.state, done.state)
    assert "deferred" == trouble.rest.task_instance("ingest", waiting.run_id, "wait_for_flights").state


def test_the_bytes_that_landed_are_the_packages() -> None:
    """The good files that the broken ones were made from hold the package's rows."""
    assert 28_796 == files_of(MAY)["flights.csv.gz"].rows
    assert gzip.decompress(files_of(MAY)["flights.csv.gz"].content).count(b"\n") == 28_796 + 1
