"""One remote job for a task, whatever dies: real scheduler, cloud and SIGKILL; jobs are counted at the cloud."""

from __future__ import annotations

import os
import signal
from functools import cache
from typing import TYPE_CHECKING

import pytest

from deploy.laptop.processes import Service, stop
from tests.pipeline.job_probes import KINDS, WAYS
from tests.pipeline.killing_proxy import Kill
from tests.pipeline.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deploy.laptop.airflow_services import Airflow
    from tests.pipeline.job_probes import Jobs, Probe

# the task dies at this request, before or after it is carried out; whether its retry then meets a job
FAULTS = {
    "before-create": ("Create{}Job", "before", False),
    "after-create": ("Create{}Job", "after", True),
    "before-handed-on": ("AddTags", "before", True),
    "after-handed-on": ("AddTags", "after", True),
}


EACH_KIND = pytest.mark.parametrize("kind", ["training", pytest.param("transform", marks=pytest.mark.verify)])


@pytest.fixture(scope="module")
def killed(jobs: Jobs) -> Callable[[str, str], tuple[Kill, Probe]]:
    """Runs for each moment of a task's death, all of one kind of job beside each other."""

    @cache
    def start(kind: str) -> dict[str, tuple[Kill, Probe]]:
        started = {}
        for name, (operation, when, _) in FAULTS.items():
            kill = Kill(operation.format(kind.title()), f"probe-{kind}-{name}-", when)
            jobs.proxy.planned.add(kill)
            started[name] = kill, jobs.start(kind, f"{kind}-{name}")
        return started

    return lambda kind, name: start(kind)[name]


@pytest.mark.parametrize("name", FAULTS)
@EACH_KIND
def test_a_task_that_was_killed_has_one_job(
    jobs: Jobs, killed: Callable[[str, str], tuple[Kill, Probe]], kind: str, name: str
) -> None:
    """SIGKILL around the creation and around the result: the retry succeeds with the one job that completed."""
    kill, probe = killed(kind, name)
    result = jobs.result(probe)
    tries = jobs.task(probe).try_number
    assert kill in jobs.proxy.done
    assert {result.job_name: "Completed"} == jobs.states(probe)
    assert tries >= 2
    assert (FAULTS[name][2] or tries > 2, 1) == (result.adopted, result.attempts)


@EACH_KIND
def test_a_task_that_was_killed_while_it_waits_has_one_job(jobs: Jobs, kind: str, tmp_path: Path) -> None:
    """SIGKILL at a look at the job, by a task that waits in the worker: the retry waits for the same job."""
    kill = Kill(f"Describe{kind.title()}Job", f"probe-{kind}-waits-", "before", skip=3)
    jobs.proxy.planned.add(kill)
    probe = jobs.start(kind, f"{kind}-waits", tmp_path / "gate", "running")
    wait_for(lambda: True if kill in jobs.proxy.done else None, "the task's death")
    (tmp_path / "gate").touch()
    result = jobs.result(probe)
    assert (True, 1) == (result.adopted, result.attempts)
    assert {result.job_name: "Completed"} == jobs.states(probe)


@pytest.mark.verify
def test_clearing_a_task_that_succeeded_asks_for_a_new_job(jobs: Jobs) -> None:
    """The user's way to a second job; the first one, which nothing disturbed, is left as it is."""
    probe = jobs.start("training", "again")
    first = jobs.result(probe)
    assert (jobs.task(probe).try_number > 1) == first.adopted
    assert {first.job_name: "Completed"} == jobs.states(probe)
    jobs.laptop.rest.clear(probe.run.dag_id, probe.run.run_id, ["job"])
    second = jobs.result(probe)
    assert (1, 2) == (first.attempts, second.attempts)
    assert {first.job_name: "Completed", second.job_name: "Completed"} == jobs.states(probe)


@EACH_KIND
def test_a_tasks_button_leads_to_its_job(jobs: Jobs, kind: str) -> None:
    """The page of the job in AWS's console, whatever its kind."""
    probe = jobs.start(kind, f"{kind}-button")
    page = {"training": "jobs", "transform": "transform-jobs"}[kind]
    home = "https://console.aws.amazon.com/sagemaker/home?region=us-east-1"
    expected = {"SageMaker job": f"{home}#/{page}/{jobs.result(probe).job_name}"}
    assert expected == jobs.laptop.rest.links(jobs.task(probe))


@pytest.mark.verify
def test_an_adopted_job_that_is_stopped_is_replaced(jobs: Jobs, tmp_path: Path) -> None:
    """Somebody stops the job that a retry has adopted: the same try creates the next one."""
    jobs.proxy.planned.add(Kill("CreateTrainingJob", "probe-stopped-", "after"))
    probe = jobs.start("training", "stopped", tmp_path / "gate")
    jobs.wait_until_it_waits(probe, tries=2)
    (first,) = jobs.states(probe)
    jobs.sagemaker.stop_training_job(TrainingJobName=first)
    wait_for(lambda: True if jobs.states(probe)[first] == "Stopped" else None, "the job's end", 60)
    (tmp_path / "gate").touch()
    result = jobs.result(probe)
    assert (jobs.task(probe).try_number > 2, 2) == (result.adopted, result.attempts)
    assert {first: "Stopped", result.job_name: "Completed"} == jobs.states(probe)


@pytest.mark.verify
def test_a_triggerer_that_was_killed_leaves_one_job(jobs: Jobs, tmp_path: Path) -> None:
    """SIGKILL of the triggerer while tasks wait: the next one goes on waiting for the same jobs."""
    probes = [jobs.start(kind, f"{kind}-triggerer", tmp_path / "gate") for kind in KINDS]
    for probe in probes:
        jobs.wait_until_it_waits(probe)
    airflow = jobs.laptop.airflow
    os.killpg(airflow.pids["triggerer"], signal.SIGKILL)
    airflow.restart("triggerer")
    (tmp_path / "gate").touch()
    for probe in probes:
        result = jobs.result(probe)
        assert (jobs.task(probe).try_number > 1, 1) == (result.adopted, result.attempts)
        assert {result.job_name: "Completed"} == jobs.states(probe)


def another(airflow: Airflow, component: str) -> Service:
    """Start a second one of an Airflow's components."""
    return Service(
        f"second {component}",
        [str(airflow.profile.python), "-m", "airflow", component, "--skip-serve-logs"],
        environment=airflow.profile.environment(component),
        log=airflow.home / "logs" / f"second-{component}.log",
        folder=airflow.profile.project,
    )


def taken_over(jobs: Jobs, probe: Probe) -> bool | None:
    """Return True when a probe's trigger has started twice."""
    return True if jobs.log(probe).count(") starting") == 2 else None


@pytest.mark.verify
def test_a_trigger_that_two_triggerers_run_leaves_one_job(jobs: Jobs, tmp_path: Path) -> None:
    """A triggerer that froze wakes up when another one has its triggers: no event counts twice, nothing is stopped."""
    airflow = jobs.laptop.airflow
    early, late = (jobs.start("training", f"twice-{name}", tmp_path / name) for name in ("early", "late"))
    for probe in (early, late):
        jobs.wait_until_it_waits(probe)
    os.killpg(airflow.pids["triggerer"], signal.SIGSTOP)
    second = another(airflow, "triggerer")
    try:
        for probe in (early, late):
            wait_for(
                lambda probe=probe: True if jobs.log(probe).count(") starting") == 2 else None,
                "the second trigger",
                120,
            )
        (tmp_path / "early").touch()
        results = [jobs.result(early)]
        os.killpg(airflow.pids["triggerer"], signal.SIGCONT)
        wait_for(lambda: True if "is deferred" in jobs.log(late) else None, "the first trigger's end")
        assert ["InProgress"] == list(jobs.states(late).values())
        (tmp_path / "late").touch()
        results.append(jobs.result(late))
    finally:
        stop([second])
    for probe, result in zip((early, late), results, strict=True):
        assert 1 == result.attempts
        assert {result.job_name: "Completed"} == jobs.states(probe)


@pytest.mark.verify
def test_two_schedulers_give_each_task_one_job(jobs_on_postgres: Jobs, tmp_path: Path) -> None:
    """Both schedule and hear of the same events, then one is killed with its tasks: the other one goes on."""
    jobs = jobs_on_postgres
    airflow = jobs.laptop.airflow
    second = another(airflow, "scheduler")
    try:
        first_ones = [jobs.start(kind, f"{kind}-two-{number}") for kind in KINDS for number in range(3)]
        results = {probe: jobs.result(probe) for probe in first_ones}
        probes = [jobs.start(kind, f"{kind}-one-{way}", tmp_path / "gate", way) for kind in KINDS for way in WAYS]
        for probe, way in zip(probes, [*WAYS, *WAYS], strict=True):
            jobs.wait_until_it_waits(probe, way)
        os.killpg(airflow.pids["scheduler"], signal.SIGKILL)
        (tmp_path / "gate").touch()
        results |= {probe: jobs.result(probe, 300) for probe in probes}
        airflow.restart("scheduler")
    finally:
        stop([second])
    for probe, result in results.items():
        assert 1 == result.attempts
        assert {result.job_name: "Completed"} == jobs.states(probe)
