"""No remote job is left behind: what a user ends is stopped, what just dies is not; looked at in the cloud."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.job_probes import KINDS, WAYS
from tests.pipeline.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pipeline.job_probes import Jobs, Probe

CASES = [(kind, way) for kind in KINDS for way in WAYS]


def start_all(jobs: Jobs, name: str, gate: Path) -> dict[tuple[str, str], Probe]:
    """Start a probe of each kind of job and way to wait, and wait until all of them wait."""
    probes = {(kind, way): jobs.start(kind, f"{kind}-{way}-{name}", gate, way) for kind, way in CASES}
    for (_, way), probe in probes.items():
        jobs.wait_until_it_waits(probe, way)
    return probes


def mark_task(jobs: Jobs, probe: Probe) -> None:
    """Mark the task as failed."""
    jobs.laptop.rest.set_task_state(probe.run.dag_id, probe.run.run_id, "job", "failed")


def mark_run(jobs: Jobs, probe: Probe) -> None:
    """Mark the whole run as failed."""
    jobs.laptop.rest.set_run_state(probe.run.dag_id, probe.run.run_id, "failed")


@pytest.mark.parametrize("mark", [mark_task, pytest.param(mark_run, marks=pytest.mark.verify)])
def test_a_task_that_is_marked_failed_stops_its_job(
    jobs: Jobs, mark: Callable[[Jobs, Probe], None], tmp_path: Path
) -> None:
    """Whether the task or its run is marked, deferred or running: the job is Stopped, and no other one begins."""
    probes = start_all(jobs, mark.__name__.replace("_", "-"), tmp_path / "gate")
    for probe in probes.values():
        mark(jobs, probe)
    for probe in probes.values():
        jobs.wait_until_stopped(probe)
        assert "failed" == jobs.end(probe)
        assert ["Stopped"] == list(jobs.states(probe).values())


@pytest.mark.verify
def test_a_task_whose_time_is_up_stops_its_job(jobs: Jobs, tmp_path: Path) -> None:
    """``execution_timeout`` ends the wait, deferred or running, and the job."""
    probes = [jobs.start(kind, f"{kind}-{way}-timed", tmp_path / "gate", way, "_timed") for kind, way in CASES]
    for probe in probes:
        assert "failed" == jobs.end(probe)
        jobs.wait_until_stopped(probe)
        assert 1 == jobs.task(probe).try_number


@pytest.mark.verify
def test_a_task_that_is_cleared_has_one_job_in_the_end(jobs: Jobs, tmp_path: Path) -> None:
    """The next try adopts the job of the cleared one, or replaces it when it was stopped; none is left."""
    gate = tmp_path / "gate"
    probes = start_all(jobs, "cleared", gate)
    for probe in probes.values():
        jobs.laptop.rest.clear(probe.run.dag_id, probe.run.run_id, ["job"])
    for (_, way), probe in probes.items():
        jobs.wait_until_it_waits(probe, way, tries=2)
    gate.touch()
    for probe in probes.values():
        result = jobs.result(probe)
        states = jobs.states(probe)
        assert "Completed" == states.pop(result.job_name)
        assert {"Stopped"} >= {*states.values()}
        assert result.attempts == 1 + len(states)


@pytest.mark.verify
def test_the_reaper_stops_what_no_callback_saw(jobs: Jobs, tmp_path: Path) -> None:
    """Tasks that are marked while the triggerer is down: their jobs run on until the reaper looks, others stay."""
    rest = jobs.laptop.rest
    probes = [jobs.start(kind, f"{kind}-reaped", tmp_path / "gate") for kind in KINDS]
    waiting = jobs.start("training", "not-reaped", tmp_path / "gate")
    for probe in [*probes, waiting]:
        jobs.wait_until_it_waits(probe)
    airflow = jobs.laptop.airflow
    os.killpg(airflow.pids["triggerer"], signal.SIGKILL)
    for probe in probes:
        mark_task(jobs, probe)
    airflow.restart("triggerer")
    assert ["InProgress"] * 3 == [state for probe in [*probes, waiting] for state in jobs.states(probe).values()]

    tasks = jobs.laptop.run("reap_jobs")

    assert "success" == tasks["stop_abandoned_jobs"].state
    reaped = rest.xcom("reap_jobs", tasks["stop_abandoned_jobs"].run_id, "stop_abandoned_jobs")
    assert sorted(name for probe in probes for name in jobs.states(probe)) == sorted(each["job"] for each in reaped)
    assert {"its task instance is failed"} == {each["reason"] for each in reaped}
    for probe in probes:
        jobs.wait_until_stopped(probe)
    (tmp_path / "gate").touch()
    result = jobs.result(waiting)
    assert {result.job_name: "Completed"} == jobs.states(waiting)


@pytest.mark.verify
def test_the_reaper_stops_the_job_of_a_dag_whose_file_is_gone(jobs: Jobs, tmp_path: Path) -> None:
    """The task stays deferred for ever, so its state says nothing; that there is no file any more does."""
    laptop = jobs.laptop
    probe = jobs.start_other("probe_removed", "removed", tmp_path / "gate")
    jobs.wait_until_it_waits(probe)
    (laptop.airflow.profile.dags_folders["dags-folder"] / "probe_removed.py").unlink()
    wait_for(lambda: None if "probe_removed" in laptop.rest.dag_ids() else True, "Airflow to miss the file", 120)
    assert ["InProgress"] == list(jobs.states(probe).values())

    task = laptop.run("reap_jobs")["stop_abandoned_jobs"]

    assert "success" == task.state, laptop.rest.log(task)
    (reaped,) = laptop.rest.xcom("reap_jobs", task.run_id, "stop_abandoned_jobs")
    assert (next(iter(jobs.states(probe))), "the DAG's file probe_removed.py is gone") == (
        reaped["job"],
        reaped["reason"],
    )
    jobs.wait_until_stopped(probe)


@pytest.mark.verify
@pytest.mark.parametrize(
    ("component", "number"),
    [
        ("scheduler", signal.SIGTERM),
        ("scheduler", signal.SIGKILL),
        ("triggerer", signal.SIGTERM),
        ("api-server", signal.SIGKILL),
        ("all", signal.SIGTERM),
        ("all", signal.SIGKILL),
    ],
)
def test_a_component_that_ends_stops_no_job(jobs: Jobs, component: str, number: signal.Signals, tmp_path: Path) -> None:
    """A redeployment's SIGTERM, or a SIGKILL, of each component or of all: the jobs run on and are taken up again."""
    gate = tmp_path / "gate"
    airflow = jobs.laptop.airflow
    probes = start_all(jobs, f"{component}-{number.name.lower()}", gate)
    names = list(airflow.pids) if component == "all" else [component]
    for name in names:
        os.killpg(airflow.pids[name], number)
    airflow.restart(*names)
    assert ["InProgress"] * 4 == [state for probe in probes.values() for state in jobs.states(probe).values()]
    gate.touch()
    for probe in probes.values():
        # a task that ran is missed when its heartbeats are
        result = jobs.result(probe, 300)
        assert 1 == result.attempts
        assert {result.job_name: "Completed"} == jobs.states(probe)
