"""The runs of the cases' DAGs, and the hand that intervenes while they run: stops, throttles, releases."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.contract.local_cloud import LocalCloud, until
from tests.contract.operators.cases import RUNS, Case
from tests.contract.operators.programs import prepare, release
from tests.contract.operators.resources import NOT_FINAL, create, describe, is_running, stop
from tests.pipeline.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.laptop.airflow_rest import TaskInstance
    from deploy.laptop.airflow_services import Airflow

DESCRIBES = {
    "training": "DescribeTrainingJob",
    "processing": "DescribeProcessingJob",
    "transform": "DescribeTransformJob",
    "tuning": "DescribeHyperParameterTuningJob",
    "endpoint": "DescribeEndpoint",
    "pipeline": "DescribePipelineExecution",
}
# botocore makes five attempts
THROTTLED_CALLS = 3
# generous, because it only matters for a run that breaks off
RUN_SECONDS = 400
ENDED = {"success", "failed", "skipped", "upstream_failed"}


@dataclass(frozen=True)
class Seen:
    """What came of a case.

    Args:
        state: The task's state.
        log: The task's log.
        value: What the task handed on.
        status: The resource's status when the task had ended.
        description: The resource's description at that time.
    """

    state: str | None
    log: str
    value: Any
    status: str | None
    description: dict[str, Any]


@dataclass
class Runs:
    """The runs, by the DAG's id; each is made when it is first asked for."""

    cloud: LocalCloud
    airflow: Airflow
    _seen: dict[str, dict[str, Seen]] = field(default_factory=dict)

    def of(self, case: Case) -> Seen:
        """Return what came of a case."""
        dag_id = next(dag_id for dag_id, cases in RUNS.items() if case in cases)
        if dag_id not in self._seen:
            # a run that broke off is not begun again for each of its cases
            self._seen[dag_id] = {}
            self._seen[dag_id] = self._run(dag_id, RUNS[dag_id])
        assert case.name in self._seen[dag_id], f"the run of {dag_id} broke off"
        return self._seen[dag_id][case.name]

    def task_run(self, dag_id: str, conf: dict[str, Any]) -> dict[str, TaskInstance]:
        """Run a DAG to its end; return its task instances by id."""
        run_id = self.start(dag_id, conf)
        rest = self.airflow.rest
        ended = {"success", "failed"}
        wait_for(lambda: rest.dag_run(dag_id, run_id).state in ended or None, f"the end of {dag_id}", RUN_SECONDS)
        return {task.task_id: task for task in rest.task_instances(dag_id, run_id)}

    def start(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run of a DAG as soon as Airflow knows the DAG; return the run's id."""
        rest = self.airflow.rest
        until(lambda: dag_id in rest.dag_ids(), f"{dag_id}; import errors: {rest.import_errors()}")
        rest.unpause(dag_id)
        return rest.trigger(dag_id, conf).run_id

    def _run(self, dag_id: str, cases: Sequence[Case]) -> dict[str, Seen]:
        prepare(self.cloud, cases)
        watched = {case.name: create(self.cloud, case) for case in cases if case.wait == "sensor"}
        run_id = self.start(dag_id, watched)
        if all(case.outcome == "throttled" for case in cases):
            self._throttle(dag_id, run_id, cases)
        stopped: set[Case] = set()
        seen: dict[str, Seen] = {}

        def progress() -> bool:
            tasks = self._tasks(dag_id, run_id)
            for case in cases:
                task = tasks[case.name]
                if case.outcome == "stopped" and case not in stopped and self._is_waiting(case, task):
                    stop(self.cloud, case)
                    stopped.add(case)
                if case.name not in seen and task.state in ENDED:
                    seen[case.name] = self._look(case, task)
                    release(self.cloud, case)
            return len(seen) == len(cases)

        wait_for(lambda: progress() or None, f"the tasks of {dag_id} to end", RUN_SECONDS)
        return seen

    def _tasks(self, dag_id: str, run_id: str) -> dict[str, TaskInstance]:
        return {task.task_id: task for task in self.airflow.rest.task_instances(dag_id, run_id)}

    def _all_wait(self, cases: Sequence[Case], dag_id: str, run_id: str) -> bool:
        tasks = self._tasks(dag_id, run_id)
        return all(self._is_waiting(case, tasks[case.name]) for case in cases)

    def _is_waiting(self, case: Case, task: TaskInstance) -> bool:
        expected = "deferred" if case.wait == "deferrable" else "running"
        return task.state == expected and is_running(self.cloud, case)

    def _look(self, case: Case, task: TaskInstance) -> Seen:
        rest = self.airflow.rest
        status, description = describe(self.cloud, case)
        if case.outcome == "stopped":
            status = until(
                lambda: now if (now := describe(self.cloud, case)[0]) not in NOT_FINAL else None, f"the end of {case}"
            )
        return Seen(
            state=task.state,
            log=rest.log(task),
            value=rest.xcom(task.dag_id, task.run_id, task.task_id),
            status=status,
            description=description,
        )

    def _throttle(self, dag_id: str, run_id: str, cases: Sequence[Case]) -> None:
        """Throttle the next calls once all wait, and release the programs when these calls have been made."""
        wait_for(lambda: self._all_wait(cases, dag_id, run_id) or None, f"all tasks of {dag_id} to wait", RUN_SECONDS)
        faults = [
            {
                "operation": DESCRIBES[case.kind],
                "kind": "error",
                "status": 400,
                "code": "ThrottlingException",
                "calls": THROTTLED_CALLS,
            }
            for case in cases
        ]
        with self.cloud.conditions(faults=faults):
            until(
                lambda: all(fault["calls"] <= 0 for fault in self._conditions()["faults"]), "all calls to be throttled"
            )
        for case in cases:
            release(self.cloud, case)

    def _conditions(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.cloud.endpoint}/_localcloud/conditions") as answer:  # noqa: S310 - loopback
            found: dict[str, Any] = json.load(answer)
        return found
