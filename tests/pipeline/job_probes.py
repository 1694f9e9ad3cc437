"""Runs of the DAGs probe_job_<kind>, whose jobs end when a file appears, and what is left of them at the cloud."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.core.model_spec import load_model
from include.jobs.code_package import pack
from include.jobs.requests import serving_image
from include.jobs.result import JobResult
from tests.pipeline.running import training_request, wait_for

if TYPE_CHECKING:
    from deploy.laptop.airflow_rest import DagRun, TaskInstance
    from tests.pipeline.killing_proxy import KillingProxy
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
WAYS = {"deferred": "", "running": "_waiting"}
_TRIGGER_STARTS = re.compile(r"trigger .* \(ID \d+\) starting")


@dataclass(frozen=True)
class Probe:
    """A started run.

    Args:
        run: The run of a probe DAG.
        kind: Its kind of job.
        name: What its jobs' names hold.
    """

    run: DagRun
    kind: str
    name: str


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

    def start(self, kind: str, name: str, gate: Path = OPEN, way: str = "deferred", time: str = "") -> Probe:
        """Start a run whose job ends when the file ``gate`` is there.

        Args:
            kind: training or transform.
            name: What tells its jobs from those of others.
            gate: The file.
            way: How the task waits: deferred or running.
            time: ``_timed`` gives the task 10 s and no second try.
        """
        make = self._training if kind == "training" else self._transform
        run = self.laptop.rest.trigger(f"probe_job_{kind}{WAYS[way]}{time}", {"request": make(name, str(gate))})
        return Probe(run, kind, name)

    def start_other(self, dag_id: str, name: str, gate: Path = OPEN) -> Probe:
        """Start a run of another DAG that runs the training request of its conf."""
        request = self._training(name, str(gate))
        return Probe(self.laptop.rest.trigger(dag_id, {"request": request}), "training", name)

    def result(self, probe: Probe, seconds: float = 180) -> JobResult:
        """Wait for a run's success and return its job's result."""
        assert "success" == self.end(probe, seconds), self.log(probe)
        return JobResult(**self.laptop.rest.xcom(probe.run.dag_id, probe.run.run_id, "job"))

    def end(self, probe: Probe, seconds: float = 180) -> str:
        """Wait for a run's end and return its state."""

        def ended() -> str | None:
            state = self.laptop.rest.dag_run(probe.run.dag_id, probe.run.run_id).state
            return state if state in {"success", "failed"} else None

        return wait_for(ended, f"the end of {probe.run.dag_id} {probe.run.run_id}", seconds)

    def task(self, probe: Probe) -> TaskInstance:
        """Return the task instance that has the job."""
        return self.laptop.rest.task_instance(probe.run.dag_id, probe.run.run_id, "job")

    def log(self, probe: Probe) -> str:
        """Return the log of its last try."""
        return self.laptop.rest.log(self.task(probe))

    def states(self, probe: Probe) -> dict[str, str]:
        """Return the state of each job of a probe, by its whole name."""
        word = probe.kind.title()
        found = getattr(self.sagemaker, f"list_{probe.kind}_jobs")(NameContains=f"probe-{probe.name}-")
        return {job[f"{word}JobName"]: job[f"{word}JobStatus"] for job in found[f"{word}JobSummaries"]}

    def wait_until_it_waits(self, probe: Probe, way: str = "deferred", tries: int = 1) -> None:
        """Wait until the task, or the trigger that it left to the triggerer, waits for a job that runs, in this try."""

        def waits() -> bool | None:
            task = self.task(probe)
            there = (task.state, task.try_number) == (way, tries) and "InProgress" in self.states(probe).values()
            return True if there and (way == "running" or _TRIGGER_STARTS.search(self.log(probe))) else None

        wait_for(waits, f"{probe.run.run_id} to wait {way}", 90)

    def wait_until_stopped(self, probe: Probe, seconds: float = 30) -> None:
        """Wait until every job of a probe is Stopped, of which there is one."""
        wait_for(
            lambda: True if ["Stopped"] == list(self.states(probe).values()) else None,
            f"the job of {probe.name} to be stopped; it is {self.states(probe)}",
            seconds,
        )

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
                "Image": serving_image(load_model("flight_delay")),
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
