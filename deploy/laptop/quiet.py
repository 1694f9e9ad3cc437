"""When the DAGs are quiet: everything that follows from the months that have landed is done, so the next may land.

How it works: a Look is what the REST interface says at one moment; ``unrest`` is a pure function from a look to what is
still to come. Because the answers of one look are not of the same instant, quiet is what two looks in a row agree on.

What it does not do: read a database, a log or the lake.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.laptop.airflow_rest import ACTIVE, AirflowRest, DagRun, QueuedEvent, TaskInstance
from deploy.laptop.errors import PipelineFailed
from include.core.months import Month

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

INGEST = "ingest"
POLL_SECONDS = 0.5
_FAILED_TASK = frozenset({"failed", "upstream_failed"})
# a task in one of these states will act without anything landing; None is a task whose turn has not come
_WAITING = frozenset({None, "deferred"})
_FINISHED = frozenset({"success", "skipped", "failed", "upstream_failed", "removed"})
# months land of this source; others may be awaited in the same run
_INGESTS_THE_LANDED = "ingest_flights"
_LOG_LINES = 25


@dataclass(frozen=True)
class Look:
    """What was seen.

    Args:
        dag_runs: All runs of the DAGs that count.
        queued_events: Asset events that have not yet become runs; not asked for while other runs are active.
        ingest_tasks: The task instances of the ingest runs; not asked for while other runs are active.
    """

    dag_runs: tuple[DagRun, ...]
    queued_events: tuple[QueuedEvent, ...]
    ingest_tasks: tuple[TaskInstance, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of runs of each DAG."""
        counts: dict[str, int] = {}
        for run in self.dag_runs:
            counts[run.dag_id] = counts.get(run.dag_id, 0) + 1
        return counts


def unrest(look: Look, landed: Collection[Month]) -> list[str]:
    """Return what is still to come, one line each; an empty list means quiet."""
    ingested = {
        Month.of(run.interval_start): run for run in look.dag_runs if run.dag_id == INGEST and run.interval_start
    }
    coming = [f"{INGEST} has no run for {month} yet" for month in sorted(landed) if month not in ingested]
    coming += [
        f"{run.dag_id} {run.run_id} is {run.state}"
        for run in look.dag_runs
        if run.state in ACTIVE and not _only_waits(look, run, landed)
    ]
    coming += [f"an event of asset {event.asset_id} waits for {event.dag_id}" for event in look.queued_events]
    return coming


def look(rest: AirflowRest, dag_ids: Sequence[str]) -> Look:
    """Ask once; no further than the first thing that is still to come, for asking costs the API server's time.

    Whatever is asked first, an event can become a run between two answers. Asked runs first, the event is still waiting
    when the runs are listed and gone when the queue is: a look that sees neither. Such a moment passes, and the run
    that it hid is in the next look's counts; so two looks with the same counts are needed.
    """
    runs = Look(tuple(run for run in rest.dag_runs() if run.dag_id in dag_ids), (), ())
    if any(run.state in ACTIVE and run.dag_id != INGEST for run in runs.dag_runs):
        return runs
    return Look(runs.dag_runs, tuple(rest.queued_events(dag_ids)), tuple(rest.task_instances(INGEST)))


def wait_until_quiet(
    rest: AirflowRest,
    dag_ids: Sequence[str],
    landed: Collection[Month],
    *,
    deadline: float,
    on_look: Callable[[Look, Sequence[str]], None] = lambda _look, _coming: None,
) -> Look:
    """Return the second of two looks in a row that are quiet and count the same runs.

    Args:
        rest: Airflow.
        dag_ids: The DAGs that count.
        landed: The months that have landed.
        deadline: When to give up, by ``time.monotonic()``.
        on_look: Called with each look and what is still to come; may raise to end the wait.

    Raises:
        PipelineFailed: a run failed, or the DAGs were not quiet by the deadline.
    """
    before: Look | None = None
    while True:
        seen = look(rest, dag_ids)
        raise_if_failed(rest, seen)
        coming = unrest(seen, landed)
        on_look(seen, coming)
        if not coming and before is not None and before.counts == seen.counts:
            return seen
        before = None if coming else seen
        if time.monotonic() > deadline:
            raise PipelineFailed(
                "the pipeline",
                "it did not come to rest in time: " + "; ".join(coming or ["runs keep appearing"]),
                rule="the DAGs are quiet before the deadline of each step",
                remedy="look at these runs in Airflow (`make up` keeps it running)",
            )
        time.sleep(POLL_SECONDS)


def raise_if_failed(rest: AirflowRest, seen: Look) -> None:
    """Return when no run failed.

    Raises:
        PipelineFailed: one did; the message names its failed task and carries the end of that task's log.
    """
    for run in seen.dag_runs:
        if run.state != "failed":
            continue
        tasks = [task for task in rest.task_instances(run.dag_id, run.run_id) if task.state in _FAILED_TASK]
        # a task that failed by itself says why; one that was not tried because of it does not
        tasks.sort(key=lambda task: task.state != "failed")
        if not tasks:
            what, log = "the run failed without a failed task", ""
        else:
            task = tasks[0]
            what = f"task {task.task_id} is {task.state} after try {task.try_number}"
            lines = rest.log(task).splitlines()[-_LOG_LINES:]
            log = "; the end of its log:\n" + "\n".join(f"    {line}" for line in lines) + "\n"
        raise PipelineFailed(
            f"{run.dag_id} {run.run_id}",
            what + log,
            rule="every task does what it says or says that there was nothing to do",
            remedy="correct what the log says and start the demo again",
        )


def _only_waits(seen: Look, run: DagRun, landed: Collection[Month]) -> bool:
    """Whether a run of ingest does nothing but await what has not landed: a month, a correction, another source."""
    if run.dag_id != INGEST or run.interval_start is None:
        return False
    tasks = [task for task in seen.ingest_tasks if task.run_id == run.run_id]
    still_open = {task.state for task in tasks if task.state not in _FINISHED}
    if "deferred" not in still_open or not still_open <= _WAITING:
        return False
    if Month.of(run.interval_start) not in landed:
        return True
    return any(task.task_id == _INGESTS_THE_LANDED and task.state in _FINISHED for task in tasks)
