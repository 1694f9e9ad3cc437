"""The runs of the cases' DAGs, and the hand that lets jobs go on or cancels them while they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.contract.gcp.local_vertex import state_of
from tests.contract.local_cloud import until
from tests.contract.vertex_operators.cases import RUNS, Case
from tests.contract.vertex_operators.resources import Vertex, cancel, find, pids
from tests.pipeline.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.laptop.airflow_rest import TaskInstance
    from deploy.laptop.airflow_services import Airflow

# generous, because it only matters for a run that breaks off
RUN_SECONDS = 600
ENDED = {"success", "failed", "skipped", "upstream_failed"}


@dataclass(frozen=True)
class Seen:
    """What came of a case.

    Args:
        state: The task's state.
        log: The task's log.
        value: What the task handed on.
        job: The job as the cloud holds it when the task had ended.
        pids: The processes that its programs were.
    """

    state: str | None
    log: str
    value: Any
    job: Any
    pids: list[int]


@dataclass
class Runs:
    """The runs, by the DAG's id; each is made when it is first asked for."""

    cloud: Vertex
    airflow: Airflow
    _seen: dict[str, dict[str, Seen]] = field(default_factory=dict)
    _tasks: dict[str, dict[str, TaskInstance]] = field(default_factory=dict)

    def of(self, case: Case) -> Seen:
        """Return what came of a case."""
        dag_id = next(dag_id for dag_id, cases in RUNS.items() if case in cases)
        if dag_id not in self._seen:
            # a run that broke off is not begun again for each of its cases
            self._seen[dag_id] = {}
            self._run(dag_id)
        assert case.name in self._seen[dag_id], f"the run of {dag_id} broke off"
        return self._seen[dag_id][case.name]

    def tasks(
        self, dag_id: str, conf: Mapping[str, str] | None = None, releases: Mapping[str, str] | None = None
    ) -> dict[str, TaskInstance]:
        """Run a DAG to its end, once; return its task instances by id.

        Args:
            dag_id: The DAG's id.
            conf: The run's configuration.
            releases: Names of objects that the jobs of deferred tasks wait for, by task.
        """
        if dag_id not in self._tasks:
            run_id = self.start(dag_id, conf)
            left = dict(releases or {})

            def has_ended() -> bool:
                for task in self._of_run(dag_id, run_id).values():
                    if task.task_id in left and self._is_known_to_wait(task):
                        self.cloud.put(left.pop(task.task_id), "")
                return self.airflow.rest.dag_run(dag_id, run_id).state in {"success", "failed"}

            wait_for(lambda: has_ended() or None, f"the end of {dag_id}", RUN_SECONDS)
            self._tasks[dag_id] = self._of_run(dag_id, run_id)
        return self._tasks[dag_id]

    def value(self, task: TaskInstance, key: str = "return_value") -> Any:
        """Return what a task has handed on."""
        return self.airflow.rest.xcom(task.dag_id, task.run_id, task.task_id, key)

    def start(self, dag_id: str, conf: Mapping[str, str] | None = None) -> str:
        """Start a run of a DAG as soon as Airflow knows the DAG; return the run's id."""
        rest = self.airflow.rest
        until(lambda: dag_id in rest.dag_ids(), f"{dag_id}; import errors: {rest.import_errors()}")
        rest.unpause(dag_id)
        return rest.trigger(dag_id, dict(conf or {})).run_id

    def _run(self, dag_id: str) -> None:
        cases, seen = RUNS[dag_id], self._seen[dag_id]
        run_id = self.start(dag_id)
        acted: set[Case] = set()

        def progress() -> bool:
            tasks = self._of_run(dag_id, run_id)
            for case in cases:
                task = tasks[case.name]
                if case not in acted and self._waits(case, task) and self._act(case):
                    acted.add(case)
                if case.name not in seen and task.state in ENDED:
                    seen[case.name] = self._look(case, task)
            return len(seen) == len(cases)

        wait_for(lambda: progress() or None, f"the tasks of {dag_id} to end", RUN_SECONDS)

    def _of_run(self, dag_id: str, run_id: str) -> dict[str, TaskInstance]:
        return {task.task_id: task for task in self.airflow.rest.task_instances(dag_id, run_id)}

    def _waits(self, case: Case, task: TaskInstance) -> bool:
        return self._is_known_to_wait(task) if case.wait == "deferrable" else task.state == "running"

    def _is_known_to_wait(self, task: TaskInstance) -> bool:
        """Whether a task is deferred and the scheduler has heard that its process has ended."""
        heard = f"Received executor event with state success for task instance TaskInstanceKey(dag_id='{task.dag_id}'"
        log = self.airflow.component_log("scheduler").read_text(encoding="utf-8").splitlines()
        return task.state == "deferred" and any(heard in line and f"task_id='{task.task_id}'" in line for line in log)

    def _act(self, case: Case) -> bool:
        """Let a case's program go on, or cancel its job if its program runs; return whether it was done."""
        if case.release:
            self.cloud.put(case.release, "")
        if case.outcome != "cancelled":
            return True
        job = find(self.cloud, case)
        if job is None or state_of(job) != "RUNNING" or not pids(self.cloud, case, job):
            return False
        cancel(self.cloud, case, job)
        return True

    def _look(self, case: Case, task: TaskInstance) -> Seen:
        rest, job = self.airflow.rest, find(self.cloud, case)
        return Seen(
            state=task.state,
            log=rest.log(task),
            value=self.value(task),
            job=job,
            pids=pids(self.cloud, case, job) if job else [],
        )
