"""One remote job for a task, whatever dies: real scheduler, cloud and SIGKILL; jobs are counted at the cloud."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from include.core.model_spec import load_model
from include.jobs.code_package import pack
from include.jobs.result import JobResult
from tests.pipeline.killing_proxy import Kill, KillingProxy
from tests.pipeline.running import training_request, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.laptop.airflow_rest import DagRun
    from tests.pipeline.running import Laptop

ROLE = "arn:aws:iam::123456789012:role/flightdeck-jobs"
# a job ends when a file of this machine is there
TRAIN = """
import os, time
while not os.path.exists({gate!r}): time.sleep(0.1)
open(os.path.join(os.environ["SM_MODEL_DIR"], "model"), "w").write("fitted")
"""
SERVE = """
import os, time
def model_fn(model_dir): return None
def transform_fn(model, body, content_type, accept):
    while not os.path.exists({gate!r}): time.sleep(0.1)
    return body, accept
"""
OPEN = Path("/")
KINDS = ("training", "transform")
# the task dies at this request, before or after it is carried out; whether its retry then meets a job
FAULTS = {
    "before-create": ("Create{}Job", "before", False),
    "after-create": ("Create{}Job", "after", True),
    "before-handed-on": ("AddTags", "before", True),
    "after-handed-on": ("AddTags", "after", True),
}


class Jobs:
    """Runs of the probes, and the jobs that they left at the cloud.

    A try more than the faults ask for is no failure: under load, Airflow's scheduler can take the end of a try's first
    part, which deferred, for the death of its second, and tries again. It costs no job, so jobs are what is counted.

    Args:
        laptop: Where they run.
        proxy: The way that their tasks take to the cloud.
    """

    def __init__(self, laptop: Laptop, proxy: KillingProxy) -> None:
        self.laptop = laptop
        self.proxy = proxy
        self.sagemaker = laptop.client("sagemaker")

    def start(self, kind: str, name: str, gate: Path = OPEN) -> DagRun:
        """Start a run whose job ends when the file ``gate`` is there."""
        make = self._training if kind == "training" else self._transform
        return self.laptop.rest.trigger(f"probe_job_{kind}", {"request": make(name, str(gate))})

    def ended(self, run: DagRun, seconds: float = 120) -> JobResult:
        """Wait for a run's success and return its job's result."""
        ended = wait_for(lambda: self._end(run), f"the end of {run.dag_id} {run.run_id}", seconds)
        task = self.laptop.rest.task_instance(run.dag_id, run.run_id, "job")
        assert "success" == ended, self.laptop.rest.log(task)
        return JobResult(**self.laptop.rest.xcom(run.dag_id, run.run_id, "job"))

    def tries(self, run: DagRun) -> int:
        """Return how often the task was tried."""
        return self.laptop.rest.task_instance(run.dag_id, run.run_id, "job").try_number

    def states(self, kind: str, name: str) -> dict[str, str]:
        """Return the state of each job of this kind whose name begins like this, by its whole name."""
        found = getattr(self.sagemaker, f"list_{kind}_jobs")(NameContains=f"probe-{name}")
        summaries = found[f"{kind.title()}JobSummaries"]
        return {job[f"{kind.title()}JobName"]: job[f"{kind.title()}JobStatus"] for job in summaries}

    def deferred(self, run: DagRun, tries: int = 1) -> None:
        """Wait until the task waits for its job, in this try."""

        def waits() -> bool | None:
            task = self.laptop.rest.task_instance(run.dag_id, run.run_id, "job")
            return True if (task.state, task.try_number) == ("deferred", tries) else None

        wait_for(waits, f"{run.run_id} to be deferred", 60)

    def _end(self, run: DagRun) -> str | None:
        state = self.laptop.rest.dag_run(run.dag_id, run.run_id).state
        return state if state in {"success", "failed"} else None

    def _training(self, name: str, gate: str) -> dict[str, Any]:
        return training_request(self.laptop.lake, name, TRAIN.format(gate=gate))

    def _transform(self, name: str, gate: str) -> dict[str, Any]:
        lake = self.laptop.lake
        lake.write_bytes(f"probe/{name}/model.tar.gz", pack({"nothing": b""}))
        lake.write_bytes(f"probe/{name}/code.tar.gz", pack({"serve.py": SERVE.format(gate=gate).encode()}))
        lake.write_bytes(f"probe/{name}/in/rows.csv", b"1\n2\n")
        self.sagemaker.create_model(
            ModelName=f"probe-{name}",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": load_model("flight_delay").image,
                "ModelDataUrl": lake.uri(f"probe/{name}/model.tar.gz"),
                "Environment": {
                    "SAGEMAKER_PROGRAM": "serve.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": lake.uri(f"probe/{name}/code.tar.gz"),
                },
            },
        )
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": lake.uri(f"probe/{name}/in/")}}
        return {
            "TransformJobName": f"probe-{name}",
            "ModelName": f"probe-{name}",
            "TransformInput": {"DataSource": source, "ContentType": "text/csv"},
            "TransformOutput": {"S3OutputPath": lake.uri("probe/predictions"), "Accept": "text/csv"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        }


@pytest.fixture(scope="module")
def jobs(laptop: Laptop) -> Iterator[Jobs]:
    """The probes' connection leads over the proxy."""
    with KillingProxy(laptop.cloud.endpoint) as proxy:
        connection = {"conn_type": "aws", "extra": {"region_name": "us-east-1", "endpoint_url": proxy.url}}
        laptop.client("secretsmanager").create_secret(
            Name="airflow/connections/probe_faults", SecretString=json.dumps(connection)
        )
        yield Jobs(laptop, proxy)


@pytest.fixture(scope="module")
def killed(jobs: Jobs) -> dict[tuple[str, str], tuple[Kill, DagRun]]:
    """A run for each kind of job and each moment of its task's death, all beside each other."""
    started = {}
    for kind in KINDS:
        for name, (operation, when, _) in FAULTS.items():
            kill = Kill(operation.format(kind.title()), f"probe-{kind}-{name}-", when)
            jobs.proxy.planned.add(kill)
            started[kind, name] = kill, jobs.start(kind, f"{kind}-{name}")
    return started


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_was_killed_has_one_job(
    jobs: Jobs, killed: dict[tuple[str, str], tuple[Kill, DagRun]], kind: str, name: str
) -> None:
    """SIGKILL around the creation and around the result: the retry succeeds with the one job that completed."""
    kill, run = killed[kind, name]
    result = jobs.ended(run)
    assert kill in jobs.proxy.done
    assert {result.job_name: "Completed"} == jobs.states(kind, f"{kind}-{name}")
    assert jobs.tries(run) >= 2
    assert (FAULTS[name][2] or jobs.tries(run) > 2, 1) == (result.adopted, result.attempts)


def test_clearing_a_task_that_succeeded_asks_for_a_new_job(jobs: Jobs) -> None:
    """The user's way to a second job; the first one, which nothing disturbed, is left as it is."""
    run = jobs.start("training", "again")
    first = jobs.ended(run)
    assert (jobs.tries(run) > 1) == first.adopted
    assert {first.job_name: "Completed"} == jobs.states("training", "again")
    jobs.laptop.rest.clear(run.dag_id, run.run_id, ["job"])
    second = jobs.ended(run)
    assert (1, 2) == (first.attempts, second.attempts)
    assert {first.job_name: "Completed", second.job_name: "Completed"} == jobs.states("training", "again")


def test_clearing_a_task_that_waits_adopts_its_job(jobs: Jobs, tmp_path: Path) -> None:
    """The job that the cleared try was waiting for is the next try's."""
    runs = {kind: jobs.start(kind, f"{kind}-cleared", tmp_path / "gate") for kind in KINDS}
    for run in runs.values():
        jobs.deferred(run)
        jobs.laptop.rest.clear(run.dag_id, run.run_id, ["job"])
    for run in runs.values():
        jobs.deferred(run, tries=2)
    (tmp_path / "gate").touch()
    for kind, run in runs.items():
        result = jobs.ended(run)
        assert (True, 1) == (result.adopted, result.attempts)
        assert {result.job_name: "Completed"} == jobs.states(kind, f"{kind}-cleared")


def test_an_adopted_job_that_is_stopped_is_replaced(jobs: Jobs, tmp_path: Path) -> None:
    """Somebody stops the job that a retry has adopted: the same try creates the next one."""
    jobs.proxy.planned.add(Kill("CreateTrainingJob", "probe-stopped-", "after"))
    run = jobs.start("training", "stopped", tmp_path / "gate")
    jobs.deferred(run, tries=2)
    (first,) = jobs.states("training", "stopped")
    jobs.sagemaker.stop_training_job(TrainingJobName=first)
    wait_for(lambda: True if jobs.states("training", "stopped")[first] == "Stopped" else None, "the job's end", 60)
    (tmp_path / "gate").touch()
    result = jobs.ended(run)
    assert (jobs.tries(run) > 2, 2) == (result.adopted, result.attempts)
    assert {first: "Stopped", result.job_name: "Completed"} == jobs.states("training", "stopped")


def test_a_triggerer_that_was_killed_leaves_one_job(jobs: Jobs, tmp_path: Path) -> None:
    """SIGKILL of the triggerer while tasks wait: the next one goes on waiting for the same jobs."""
    runs = {kind: jobs.start(kind, f"{kind}-triggerer", tmp_path / "gate") for kind in KINDS}
    for run in runs.values():
        jobs.deferred(run)
    airflow = jobs.laptop.airflow
    os.killpg(airflow.pids["triggerer"], signal.SIGKILL)
    airflow.stop("triggerer")
    airflow.start("triggerer")
    (tmp_path / "gate").touch()
    for kind, run in runs.items():
        result = jobs.ended(run)
        assert (jobs.tries(run) > 1, 1) == (result.adopted, result.attempts)
        assert {result.job_name: "Completed"} == jobs.states(kind, f"{kind}-triggerer")
