"""Runs the tasks of a DAG one after another in this process, with XComs that pass through Airflow's own serialisation.

What is real: the operators, their rendering, the databases and files, and every XCom as the JSON that Airflow would
store. What is not: scheduler, supervisor and task processes; the matrix under a real scheduler is tests/pipeline's.
"""

from __future__ import annotations

import json
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk import serde
from airflow.sdk.bases.decorator import DecoratedMappedOperator
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.definitions.mappedoperator import MappedOperator

if TYPE_CHECKING:
    from airflow.sdk import DAG

RETURN = "return_value"


@dataclass
class Run:
    """One run of a DAG.

    Args:
        dag: The DAG.
        fails: Tasks that end as failed without being run.
    """

    dag: DAG
    fails: frozenset[str] = frozenset()
    stored: dict[tuple[str, int, str], str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    def all(self) -> Run:
        """Run every task, in an order that respects the dependencies."""
        for task in self.dag.topological_sort():
            self.task(task.task_id)
        return self

    def task(self, task_id: str) -> Any:
        """Run one task; return what XCom gives for its result."""
        operator: Any = self.dag.get_task(task_id)
        if task_id in self.fails:
            self.states[task_id] = "failed"
            return None
        try:
            if isinstance(operator, MappedOperator):
                ((name, values),) = operator._get_specified_expand_input().value.items()  # noqa: SLF001 - to map
                values = self.xcom(values.operator.task_id) if hasattr(values, "operator") else values
                for index, value in enumerate(values):
                    self._one(operator.unmap(_arguments(operator, {name: value})), index)
            else:
                self._one(operator.prepare_for_execution(), -1)
        except BaseException:
            self.states[task_id] = "failed"
            raise
        self.states[task_id] = "success"
        return self.xcom(task_id)

    def xcom(self, task_id: str, key: str = RETURN) -> Any:
        """Return what XCom gives for a task; for a mapped one a list."""
        found = {index: text for (task, index, of), text in self.stored.items() if (task, of) == (task_id, key)}
        values = [serde.deserialize(json.loads(found[index])) for index in sorted(found)]
        return values if any(index >= 0 for index in found) else (values or [None])[0]

    def _one(self, operator: Any, index: int) -> None:
        ti = _TaskInstance(self, operator.task_id, index)
        context = {
            "ti": ti,
            "task_instance": ti,
            "task": operator,
            "dag": self.dag,
            "dag_run": SimpleNamespace(dag_id=self.dag.dag_id, run_id="run"),
            "ds": "2026-01-01",
            "logical_date": datetime(2026, 1, 1, tzinfo=UTC),
        }

        def execute() -> Any:
            ExecutorSafeguard.tracker.set(operator)
            operator.render_template_fields(context)
            return operator.execute(context)

        ti.xcom_push(RETURN, copy_context().run(execute))


@dataclass
class _TaskInstance:
    """The part of a task instance that the SDK's operators use."""

    run: Run
    task_id: str
    map_index: int

    def xcom_push(self, key: str, value: Any) -> None:
        if value is not None:
            self.run.stored[self.task_id, self.map_index, key] = json.dumps(serde.serialize(value))

    def xcom_pull(self, task_ids: Any, key: str = RETURN, **_: Any) -> Any:
        if isinstance(task_ids, str):
            return self.run.xcom(task_ids, key)
        found = []
        for task in task_ids:
            value = self.run.xcom(task, key)
            found += value if isinstance(value, list) else [value]
        return found

    def get_task_states(self, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert [self.run.dag.dag_id] == [dag_id]
        return {run_ids[0]: dict(self.run.states)}


def _arguments(operator: Any, mapped: dict[str, Any]) -> dict[str, Any]:
    """Return what unmaps an operator: of a decorated function its arguments together."""
    if not isinstance(operator, DecoratedMappedOperator):
        return mapped
    return {"op_kwargs": {**operator.partial_kwargs.get("op_kwargs", {}), **mapped}}
