"""``aql.cleanup``: drops a run's temporary tables, as a teardown after the tasks, those of mapped tasks too.

Upstream occupies a worker from the start of the run, asks the metadata database every five seconds whether the other
tasks have ended, and reads mapped outputs through a class that Airflow 3 moved. In Airflow 3 a task has no metadata
database, and a teardown runs after its upstream tasks whatever became of them. ``cleanup()`` without tables comes after
every task that the DAG has at that moment; for tasks that are added to the DAG later it waits as upstream does.

What it does not do: drop tables that have a name of their own, or what a task made without returning it.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}
_POLL_SECONDS = 5.0


class _Cleaning:
    """What the operator does."""

    makers: tuple[type[Any], ...]
    tables_to_cleanup: list[Any]
    run_immediately: bool
    skip_on_failure: bool
    task_id: str
    dag: Any
    log: Any
    get_flat_relative_ids: Any

    def execute(self, context: Any) -> None:
        """Drop the tables."""
        given = list(self.tables_to_cleanup)
        if not given and not self.run_immediately:
            self._wait(context)
        if self.skip_on_failure and "failed" in self._states(context).values():
            self.log.info("A task of the run failed: the temporary tables stay")
            return
        for table in _temporary(given or self._returned(context)):
            self._drop(table)

    def _drop(self, table: Any) -> None:
        from astro.databases import create_database  # noqa: PLC0415 - when it is used

        self.log.info("Dropping table %s", table.name)
        create_database(conn_id=table.conn_id, table=table).drop_table(table)

    def _wait(self, context: Any) -> None:
        while running := sorted(task for task, state in self._states(context).items() if state not in _ENDED):
            self.log.info("Waiting for %s", ", ".join(running))
            time.sleep(_POLL_SECONDS)

    def _states(self, context: Any) -> dict[str, str | None]:
        ti, run = context["ti"], context["dag_run"]
        states = ti.get_task_states(dag_id=run.dag_id, run_ids=[run.run_id]).get(run.run_id, {})
        # a teardown of another kind may come after this task
        after = self.get_flat_relative_ids(upstream=False) | {self.task_id}
        return {task: state for task, state in states.items() if task not in after}

    def _returned(self, context: Any) -> Iterator[Any]:
        for task in self.dag.tasks:
            if issubclass(getattr(task, "operator_class", type(task)), self.makers):
                # for a task that is mapped, or lies in a mapped group, the values of all its instances
                yield context["ti"].xcom_pull(task_ids=[task.task_id])


def replace_cleanup(module: ModuleType) -> None:
    """Fill ``astro.sql.operators.cleanup``."""
    from airflow.sdk.bases.decorator import get_unique_task_id  # noqa: PLC0415 - the finder stands before Airflow

    from astro.sql.operators.base_decorator import BaseSQLDecoratedOperator  # noqa: PLC0415 - when it is used
    from astro.sql.operators.base_operator import AstroSQLBaseOperator  # noqa: PLC0415 - when it is used
    from astro.sql.operators.dataframe import DataframeOperator  # noqa: PLC0415 - when it is used
    from astro.sql.operators.load_file import LoadFileOperator  # noqa: PLC0415 - when it is used

    class CleanupOperator(_Cleaning, AstroSQLBaseOperator):  # type: ignore[misc] # the SDK carries no types
        """Drops temporary tables: those that are given, or every one that a task of the run returned.

        Args:
            tables_to_cleanup: The tables to drop.
            task_id: ``cleanup`` by default.
            retries: 3 by default.
            retry_delay: 10 seconds by default.
            run_sync_mode: Do not wait for tasks that do not come before this one.
            skip_on_failure: Drop nothing if a task of the run failed.
        """

        template_fields = ("tables_to_cleanup",)
        makers = (DataframeOperator, BaseSQLDecoratedOperator, LoadFileOperator)

        def __init__(
            self,
            *,
            tables_to_cleanup: list[Any] | None = None,
            task_id: str = "",
            retries: int = 3,
            retry_delay: timedelta = timedelta(seconds=10),
            run_sync_mode: bool = False,
            skip_on_failure: bool = False,
            **kwargs: Any,
        ) -> None:
            self.tables_to_cleanup = tables_to_cleanup or []
            self.run_immediately, self.skip_on_failure = run_sync_mode, skip_on_failure
            task_id = task_id or get_unique_task_id("cleanup")
            super().__init__(task_id=task_id, retries=retries, retry_delay=retry_delay, **kwargs)

    def cleanup(tables_to_cleanup: list[Any] | None = None, **kwargs: Any) -> CleanupOperator:
        """Drop temporary tables once they are needed no longer; without tables, those of the whole run."""
        operator = CleanupOperator(tables_to_cleanup=tables_to_cleanup, **kwargs)
        if not tables_to_cleanup and operator.has_dag():
            last = [task for task in operator.dag.tasks if task is not operator and not task.downstream_task_ids]
            operator.as_teardown()
            operator.set_upstream(last)
        return operator

    for public in (CleanupOperator, cleanup):
        public.__module__, public.__qualname__ = module.__name__, public.__name__
    vars(module).update(CleanupOperator=CleanupOperator, cleanup=cleanup)


def _temporary(values: Any) -> Iterator[Any]:
    """Yield the temporary tables among values, nested ones too, each once."""
    from astro.table import TempTable  # noqa: PLC0415 - astro is imported when it is used

    seen: set[tuple[str, str]] = set()
    pending = list(values)
    while pending:
        value = pending.pop(0)
        if isinstance(value, (list, tuple)):
            pending[:0] = value
        elif isinstance(value, TempTable) and (value.conn_id, value.name) not in seen:
            seen.add((value.conn_id, value.name))
            yield value
