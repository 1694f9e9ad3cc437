"""Airflow's REST interface, typed: what the laptop's programs and the pipeline tests ask of a running Airflow.

How it works: logs in once for a token; every list is read to its end, page by page. A request that SQLite refused
because somebody else was writing is sent again, for nothing of it was done. What it does not do: wait, try again after
any other error, or decide what an answer means.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import httpx

from deploy.laptop.errors import RestFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PAGE = 100
# each refusal took the API server the seconds that airflow_local_settings lets it wait
_TURNS = 5
_REFUSED = "database is locked"
ACTIVE = frozenset({"queued", "running"})


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG."""

    dag_id: str
    run_id: str
    state: str
    run_type: str
    logical_date: datetime | None
    interval_start: datetime | None
    started: datetime | None
    ended: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it ran; None while it has not ended."""
        return _seconds(self.started, self.ended)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Read one of Airflow's answers."""
        return cls(
            dag_id=answer["dag_id"],
            run_id=answer["dag_run_id"],
            state=answer["state"],
            run_type=answer["run_type"],
            logical_date=_moment(answer["logical_date"]),
            interval_start=_moment(answer["data_interval_start"]),
            started=_moment(answer["start_date"]),
            ended=_moment(answer["end_date"]),
        )


@dataclass(frozen=True)
class TaskInstance:
    """A task of a DAG run; ``state`` is None before it is scheduled."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    started: datetime | None
    ended: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long its last try took; None while it has not ended."""
        return _seconds(self.started, self.ended)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Read one of Airflow's answers."""
        return cls(
            dag_id=answer["dag_id"],
            run_id=answer["dag_run_id"],
            task_id=answer["task_id"],
            map_index=answer["map_index"],
            state=answer["state"],
            try_number=answer["try_number"],
            started=_moment(answer["start_date"]),
            ended=_moment(answer["end_date"]),
        )


@dataclass(frozen=True)
class QueuedEvent:
    """An asset's event that has not yet become a run of the DAG that waits for it."""

    dag_id: str
    asset_id: int


class AirflowRest:
    """A client that is logged in.

    Args:
        url: Where the API server answers.
        user: Who logs in.
        password: The user's password.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        # trust_env: the server is on loopback, where no proxy of the user's shell has any business
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=30)
        token = self._send("POST", "/auth/token", json={"username": user, "password": password})["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def dag_ids(self) -> list[str]:
        """Return the DAGs that were parsed."""
        return [dag["dag_id"] for dag in self._pages("/api/v2/dags", "dags")]

    def import_errors(self) -> dict[str, str]:
        """Return the traceback of each DAG file that does not import, by file name."""
        found = self._pages("/api/v2/importErrors", "import_errors")
        return {error["filename"]: error["stack_trace"] for error in found}

    def unpause(self, dag_id: str) -> None:
        """Let a DAG be scheduled."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Keep a DAG from being scheduled."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": True})

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        *,
        logical_date: datetime | None = None,
        run_id: str | None = None,
    ) -> DagRun:
        """Start a run of a DAG by hand."""
        body: dict[str, Any] = {
            "conf": dict(conf or {}),
            "logical_date": logical_date.isoformat() if logical_date else None,
        }
        if run_id is not None:
            body["dag_run_id"] = run_id
        return DagRun.parse(self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body))

    def dag_run(self, dag_id: str, run_id: str) -> DagRun:
        """Return one run."""
        return DagRun.parse(self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"))

    def dag_runs(self, dag_id: str = "~") -> list[DagRun]:
        """Return the runs of one DAG, or of all, oldest first."""
        found = self._pages(f"/api/v2/dags/{dag_id}/dagRuns", "dag_runs", order_by="id")
        return [DagRun.parse(run) for run in found]

    def task_instances(self, dag_id: str = "~", run_id: str = "~") -> list[TaskInstance]:
        """Return the task instances of one run, or of all."""
        found = self._pages(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")
        return [TaskInstance.parse(task) for task in found]

    def task_instance(self, dag_id: str, run_id: str, task_id: str) -> TaskInstance:
        """Return one task instance (not of a mapped task)."""
        return TaskInstance.parse(self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"))

    def clear(
        self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None, *, only_failed: bool = False
    ) -> int:
        """Let tasks of a run (all, when none are named) run again; return how many."""
        body: dict[str, Any] = {"dry_run": False, "dag_run_id": run_id, "only_failed": only_failed}
        if task_ids is not None:
            body["task_ids"] = list(task_ids)
        answer = self._send("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body)
        return int(answer["total_entries"])

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task as ``success``, ``failed`` or ``skipped``, as a user does."""
        self._send(
            "PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", json={"new_state": state}
        )

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run as ``success`` or ``failed``, as a user does."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    def queued_events(self, dag_ids: Sequence[str]) -> list[QueuedEvent]:
        """Return the asset events that wait to become a run of one of these DAGs."""
        events = []
        for dag_id in dag_ids:
            answer = self._send("GET", f"/api/v2/dags/{dag_id}/assets/queuedEvents")
            events += [QueuedEvent(dag_id, event["asset_id"]) for event in answer["queued_events"]]
        return events

    def drop_queued_events(self, dag_id: str) -> None:
        """Forget the asset events that wait to become a run of a DAG."""
        self._send("DELETE", f"/api/v2/dags/{dag_id}/assets/queuedEvents", missing={})

    def emit_event(self, asset: str) -> None:
        """Make an event of the asset of that name, as a system outside Airflow does."""
        found = self._send("GET", "/api/v2/assets", params={"name_pattern": asset})["assets"]
        ids = [each["id"] for each in found if each["name"] == asset]
        self._send("POST", "/api/v2/assets/events", json={"asset_id": ids[0], "extra": {}})

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return what a task handed on, None when it handed on nothing."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self._send("GET", path, missing={"value": None}, params={"deserialize": True})["value"]

    def links(self, task: TaskInstance) -> dict[str, str | None]:
        """Return where a task instance's buttons lead, by their names."""
        path = f"/api/v2/dags/{task.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.task_id}/links"
        found: dict[str, str | None] = self._send("GET", path)["extra_links"]
        return found

    def log(self, task: TaskInstance) -> str:
        """Return the log of a task instance's last try, one event a line."""
        answer = self._send(
            "GET",
            f"/api/v2/dags/{task.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.task_id}/logs/{task.try_number}",
            missing={"content": []},
            params={"full_content": True, "map_index": task.map_index},
            headers={"Accept": "application/json"},
        )
        return "\n".join(_log_lines(answer["content"]))

    def create_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool, or give the one of that name these slots."""
        pool = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        action = {"action": "create", "entities": [pool], "action_on_existence": "overwrite"}
        self._send("PATCH", "/api/v2/pools", json={"actions": [action]})

    def _pages(self, path: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = self._send("GET", path, params={**parameters, "limit": _PAGE, "offset": offset})
            yield from answer[key]
            offset += len(answer[key])
            if not answer[key] or offset >= answer["total_entries"]:
                return

    def _send(
        self, method: str, path: str, *, missing: dict[str, Any] | None = None, **arguments: Any
    ) -> dict[str, Any]:
        for _turn in range(_TURNS):
            response = self._client.request(method, path, **arguments)
            if not (response.is_server_error and _REFUSED in response.text):
                break
        if response.status_code == httpx.codes.NOT_FOUND and missing is not None:
            return missing
        if response.is_error:
            raise RestFailed(
                f"{method} {response.url}",
                f"status {response.status_code}: {response.text[:500]}",
                rule="Airflow answers a request of its administrator with success",
                remedy="check that the DAG, run or task exists; the API server's log tells more",
            )
        answer: dict[str, Any] = response.json() if response.content else {}
        return answer


def _log_lines(content: Sequence[Any]) -> Iterator[str]:
    """Yield the lines of a structured log; an exception's frames stay out, its type and message stay in."""
    for event in content:
        if isinstance(event, str):
            yield event
            continue
        yield " ".join(str(event[key]) for key in ("timestamp", "level", "event") if event.get(key))
        for detail in event.get("error_detail") or []:
            yield f"{detail.get('exc_type')}: {detail.get('exc_value')}"


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _seconds(started: datetime | None, ended: datetime | None) -> float | None:
    return None if started is None or ended is None else (ended - started).total_seconds()
