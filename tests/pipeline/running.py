"""A running pair of local cloud and Airflow as the pipeline tests see it, and the months that land on it."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import boto3

from deploy.laptop.cloud import LocalCloud, s3_client
from deploy.laptop.landing import LandedFile, files_of
from deploy.laptop.profile import PROJECT
from deploy.laptop.quiet import wait_until_quiet
from include.core.lake import Lake
from include.core.model_spec import MODELS_FOLDER, load_model
from include.core.months import Month
from include.jobs.code_package import pack
from include.jobs.requests import training_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deploy.laptop.airflow_rest import AirflowRest, DagRun, TaskInstance
    from deploy.laptop.airflow_services import Airflow

T = TypeVar("T")

MODEL_DAGS = ("ingest", "features", "train_flight_delay", "score_flight_delay")
JOB_DAGS = tuple(
    f"probe_job_{kind}{way}{time}"
    for kind in ("training", "transform")
    for way in ("", "_waiting")
    for time in ("", "_timed")
)
PROBE_DAGS = (
    "probe_secrets",
    "probe_training",
    "probe_endpoint",
    "probe_tuning",
    "probe_job_names",
    "probe_removed",
    "reap_jobs",
    *JOB_DAGS,
)
JANUARY, FEBRUARY, MARCH, APRIL, MAY, JUNE, JULY, AUGUST, SEPTEMBER, OCTOBER = (
    Month(2013, number) for number in range(1, 11)
)
LANDED = (JANUARY, FEBRUARY, MARCH, APRIL)
# the parts of the project that a running Airflow, the demo and the landing command need
_PARTS = ("dags", "include", "plugins", "deploy", "airflow_settings.yaml")


@dataclass(frozen=True)
class Laptop:
    """A running pair of local cloud and Airflow."""

    cloud: LocalCloud
    airflow: Airflow

    @property
    def rest(self) -> AirflowRest:
        """Airflow's REST interface."""
        return self.airflow.rest

    @property
    def lake(self) -> Lake:
        """The lake that the DAGs use."""
        return Lake(s3_client(self.cloud.environment), "s3://flightdeck-lake")

    def client(self, service: str) -> Any:
        """Return a boto3 client on the local cloud."""
        environment = self.cloud.environment
        return boto3.client(
            service,
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    def run(self, dag_id: str, conf: dict[str, Any] | None = None, seconds: float = 300) -> dict[str, TaskInstance]:
        """Trigger a DAG, wait for its end and return its task instances by id (of mapped ones the last)."""
        started = self.rest.trigger(dag_id, conf)
        self._wait_for_the_end(dag_id, started.run_id, seconds)
        return self.tasks(started)

    def ended(self, task: TaskInstance, seconds: float = 300) -> TaskInstance:
        """Wait for the end of a task's run and return the task as it is then."""
        self._wait_for_the_end(task.dag_id, task.run_id, seconds)
        return self.rest.task_instance(task.dag_id, task.run_id, task.task_id)

    def _wait_for_the_end(self, dag_id: str, run_id: str, seconds: float) -> None:
        ended = {"success", "failed"}
        wait_for(
            lambda: True if self.rest.dag_run(dag_id, run_id).state in ended else None,
            f"{dag_id} {run_id} to end",
            seconds,
        )

    def tasks(self, run: DagRun) -> dict[str, TaskInstance]:
        """Return a run's task instances by id."""
        return {task.task_id: task for task in self.rest.task_instances(run.dag_id, run.run_id)}

    def ingest_run(self, month: Month) -> DagRun:
        """Return the run of ingest for a month."""
        return next(run for run in self.rest.dag_runs("ingest") if run.interval_start == month.start)

    def runs(self) -> dict[str, int]:
        """Return the number of runs of each DAG."""
        return {dag_id: len(self.rest.dag_runs(dag_id)) for dag_id in MODEL_DAGS}

    def wait_until_quiet(self, landed: tuple[Month, ...], seconds: float = 300) -> None:
        """Wait until nothing more follows from the landed months; a failed run fails the test."""
        wait_until_quiet(self.rest, MODEL_DAGS, landed, deadline=time.monotonic() + seconds)


def training_request(lake: Lake, name: str, program: str) -> dict[str, Any]:
    """Return a training request for a program of one's own, for the DAG probe_training."""
    requirements = (MODELS_FOLDER / "flight_delay" / "requirements.txt").read_bytes()
    lake.write_bytes(f"probe/{name}.tar.gz", pack({"train.py": program.encode(), "requirements.txt": requirements}))
    return {
        "TrainingJobName": f"probe-{name}",
        "RoleArn": "arn:aws:iam::123456789012:role/flightdeck-jobs",
        "AlgorithmSpecification": {
            "TrainingImage": training_image(load_model("flight_delay")),
            "TrainingInputMode": "File",
        },
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": lake.uri(f"probe/{name}.tar.gz"),
        },
        "OutputDataConfig": {"S3OutputPath": lake.uri("probe/output")},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 120},
    }


def objects(lake: Lake) -> dict[str, str]:
    """Return key and digest of every object of a lake that is not a job's own."""
    found = {}
    for key in lake.keys(""):
        if not key.startswith("jobs/"):
            content = lake.read_bytes(key)
            assert content is not None
            found[key] = hashlib.sha256(content).hexdigest()
    return found


def wait_for(look: Callable[[], T | None], what: str, seconds: float = 180) -> T:
    """Return the first look that is not None."""
    deadline = time.monotonic() + seconds
    while (seen := look()) is None:
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)
    return seen


def copy_of_the_project(target: Path) -> Path:
    """Copy what runs of the project into a new folder, and return it."""
    target.mkdir()
    for name in _PARTS:
        part = PROJECT / name
        if part.is_dir():
            shutil.copytree(part, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif part.is_file():
            shutil.copy(part, target / name)
    return target


def truncated(month: Month) -> dict[str, LandedFile]:
    """Return a month whose flights arrived cut off in the middle."""
    files = files_of(month)
    flights = files["flights.csv.gz"]
    return files | {"flights.csv.gz": LandedFile(flights.content[: len(flights.content) // 2], flights.rows)}


def with_a_key_twice(month: Month) -> dict[str, LandedFile]:
    """Return a month whose first flight is there twice."""
    files = files_of(month)
    flights = files["flights.csv.gz"]
    header, first, rest = gzip.decompress(flights.content).split(b"\n", 2)
    content = gzip.compress(b"\n".join([header, first, first, rest]), mtime=0)
    return files | {"flights.csv.gz": LandedFile(content, flights.rows + 1)}
