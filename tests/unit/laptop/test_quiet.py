from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from deploy.laptop import quiet
from deploy.laptop.airflow_rest import DagRun, QueuedEvent, TaskInstance
from deploy.laptop.errors import PipelineFailed
from deploy.laptop.quiet import Look, unrest, wait_until_quiet
from include.core.months import Month

if TYPE_CHECKING:
    from collections.abc import Sequence

JANUARY, FEBRUARY = Month(2013, 1), Month(2013, 2)
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def run(dag_id: str, state: str, month: Month | None = None, number: int = 1) -> DagRun:
    """A run as the REST interface shows it."""
    start = month.start if month else None
    return DagRun(dag_id, f"{dag_id}-{month or number}", state, "scheduled", start, start, MOMENT, None)


def task(of: DagRun, task_id: str, state: str | None) -> TaskInstance:
    """A task instance as the REST interface shows it."""
    return TaskInstance(of.dag_id, of.run_id, task_id, -1, state, 1, MOMENT, None)


COUNTED = ("ingest", "features", "score_flight_delay")
DONE = run("ingest", "success", JANUARY)
WAITS = run("ingest", "running", FEBRUARY)
WAITING = (task(WAITS, "wait_for_flights", "deferred"), task(WAITS, "ingest_flights", None))
QUIET = Look((DONE, WAITS, run("features", "success")), (), WAITING)


def test_a_run_that_waits_for_a_month_to_come_is_quiet() -> None:
    """A deferred wait for a month that has not landed needs nothing but that month."""
    assert unrest(QUIET, [JANUARY]) == []


@pytest.mark.parametrize(
    ("look", "landed", "reason"),
    [
        pytest.param(QUIET, [JANUARY, FEBRUARY], "ingest ingest-2013-02 is running", id="the month has just landed"),
        pytest.param(
            replace(QUIET, ingest_tasks=(task(WAITS, "wait_for_flights", "running"),)),
            [JANUARY],
            "ingest ingest-2013-02 is running",
            id="the wait is not yet deferred",
        ),
        pytest.param(
            replace(QUIET, ingest_tasks=(*WAITING, task(WAITS, "ingest_flights", "up_for_retry"))),
            [JANUARY],
            "ingest ingest-2013-02 is running",
            id="something beside the wait is at work",
        ),
        pytest.param(
            replace(QUIET, dag_runs=(*QUIET.dag_runs, run("features", "queued", number=2))),
            [JANUARY],
            "features features-2 is queued",
            id="a run is queued",
        ),
        pytest.param(
            replace(QUIET, queued_events=(QueuedEvent("features", 7),)),
            [JANUARY],
            "an event of asset 7 waits for features",
            id="an event has not become a run",
        ),
        pytest.param(
            Look((), (), ()), [JANUARY], "ingest has no run for 2013-01 yet", id="the landed month has no run yet"
        ),
    ],
)
def test_what_is_still_to_come_is_unrest(look: Look, landed: Sequence[Month], reason: str) -> None:
    """Each reason is named, so that a demo that does not come to rest says what it waits for."""
    assert [reason] == unrest(look, landed)


class Recorded:
    """Answers as a running Airflow gave them: one state after the other, the last one for ever."""

    def __init__(self, looks: Sequence[Look], log: str = "") -> None:
        self._looks = list(looks)
        self._log = log
        self.seen = 0

    def dag_runs(self) -> list[DagRun]:
        """Go on to the next state and return its runs."""
        self.seen += 1
        self._now = self._looks[min(self.seen, len(self._looks)) - 1]
        return list(self._now.dag_runs)

    def queued_events(self, _dag_ids: Sequence[str]) -> list[QueuedEvent]:
        """Return the events that wait."""
        return list(self._now.queued_events)

    def task_instances(self, dag_id: str, run_id: str = "~") -> list[TaskInstance]:
        """Return the tasks."""
        return [each for each in self._now.ingest_tasks if each.dag_id == dag_id and run_id in ("~", each.run_id)]

    def log(self, _task: TaskInstance) -> str:
        """Return the log."""
        return self._log


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "POLL_SECONDS", 0.0)


def wait(recorded: Recorded, landed: Sequence[Month] = (JANUARY,), seconds: float = 60.0) -> Look:
    """Wait on recorded answers."""
    deadline = quiet.time.monotonic() + seconds
    return wait_until_quiet(recorded, COUNTED, landed, deadline=deadline)  # type: ignore[arg-type] # a recording


def test_a_landed_month_is_quiet_while_another_source_is_awaited() -> None:
    """The month's run goes on for the other source's sake; what landed is ingested."""
    beside = replace(
        QUIET,
        ingest_tasks=(
            task(WAITS, "wait_for_flights", "success"),
            task(WAITS, "ingest_flights", "success"),
            task(WAITS, "wait_for_tides", "deferred"),
            task(WAITS, "ingest_tides", None),
        ),
    )
    assert [] == unrest(beside, [JANUARY, FEBRUARY])


def test_a_dag_that_does_not_count_is_not_waited_for() -> None:
    """What fails or runs beside the named DAGs is somebody else's."""
    beside = replace(QUIET, dag_runs=(*QUIET.dag_runs, run("probe", "failed"), run("probe", "running", number=2)))
    assert QUIET == wait(Recorded([beside]))


def test_quiet_is_seen_twice() -> None:
    """One quiet look can fall between an event's end and its run's beginning."""
    recorded = Recorded([QUIET])

    wait(recorded)

    assert recorded.seen == 2


def test_a_run_that_one_look_missed_is_waited_for() -> None:
    """An event that became a run between the answers of one look shows in the next look's counts."""
    more = replace(QUIET, dag_runs=(*QUIET.dag_runs, run("score_flight_delay", "success")))
    recorded = Recorded([QUIET, more, more])

    assert more == wait(recorded)
    assert recorded.seen == 3


def test_a_failed_task_ends_the_wait_with_the_end_of_its_log() -> None:
    """The message names DAG, run and task and says what the task said."""
    failed = run("ingest", "failed", JANUARY)
    look = Look((failed,), (), (task(failed, "report", "upstream_failed"), task(failed, "ingest_flights", "failed")))

    with pytest.raises(
        PipelineFailed, match=r"ingest ingest-2013-01: task ingest_flights is failed(.|\n)*no such month"
    ):
        wait(Recorded([look], log="ValueError: no such month"))


def test_the_wait_ends_at_its_deadline_and_says_what_it_waited_for() -> None:
    """A pipeline that never rests is a failure, not a hang."""
    busy = replace(QUIET, dag_runs=(*QUIET.dag_runs, run("features", "running", number=9)))

    with pytest.raises(PipelineFailed, match="features features-9 is running"):
        wait(Recorded([busy]), seconds=0.0)
