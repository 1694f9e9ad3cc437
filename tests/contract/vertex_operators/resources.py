"""The jobs of the cases as Google's own clients see them, and the processes that they run: prepare, find, cancel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.cloud import aiplatform_v1 as vertex

from tests.contract.gcp.local_vertex import SERVING_IMAGE
from tests.contract.gcp.serving_programs import ADDS
from tests.contract.local_cloud import archive
from tests.contract.vertex_operators.cases import (
    BUCKET,
    CASES,
    MODEL,
    PARENT,
    PROGRAM,
    PROJECT,
    REGION,
    TRAININGS,
    Case,
    rows,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.google_cloud.conftest import GoogleClients

HOST = f"{REGION}-aiplatform.googleapis.com"
_TELLS_PID = re.compile(r"^(?:at|loaded \S+) (\d+)$", re.MULTILINE)


class Vertex:
    """The Vertex AI and the Cloud Storage of a running cloud.

    Args:
        google: The cloud's Google half.
    """

    def __init__(self, google: GoogleClients) -> None:
        self.google = google
        self._channel = google.channel(HOST)
        self._clients: dict[type, Any] = {}

    def client(self, kind: type[Any]) -> Any:
        """Return a gapic client of a service, as in `vertex.JobServiceClient`."""
        if kind not in self._clients:
            transport = kind.get_transport_class("grpc")(channel=self._channel)
            self._clients[kind] = kind(transport=transport)
        return self._clients[kind]

    def put(self, key: str, body: str | bytes) -> str:
        """Write an object; return its address."""
        self.google.storage.bucket(BUCKET).blob(key).upload_from_string(body)
        return f"gs://{BUCKET}/{key}"

    def get(self, address: str) -> bytes:
        """Read an object."""
        bucket, _, key = address.removeprefix("gs://").partition("/")
        body: bytes = self.google.storage.bucket(bucket).blob(key).download_as_bytes()
        return body

    def keys(self, address: str) -> list[str]:
        """Return the addresses of the objects below one."""
        bucket, _, prefix = address.removeprefix("gs://").partition("/")
        return [f"gs://{bucket}/{blob.name}" for blob in self.google.storage.list_blobs(bucket, prefix=prefix)]

    def logs(self, name: str) -> str:
        """Return what the replicas of a job have written, by the job's name."""
        folder: Path = self.google.cloud.root / "logs" / "vertex" / name.rpartition("/")[2]
        return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.log")))

    def upload(self, model_id: str) -> str:
        """Upload a model that adds 0.5 to a row's x; return its name."""
        self.put(f"{model_id}/number.txt", "0.5")
        model = {
            "display_name": model_id,
            "artifact_uri": f"gs://{BUCKET}/{model_id}",
            "container_spec": {"image_uri": SERVING_IMAGE, "command": ["python", "-c", ADDS]},
        }
        request = {"parent": PARENT, "model": model, "model_id": model_id}
        made = self.client(vertex.ModelServiceClient).upload_model(request).result(timeout=30)
        return str(made.model)


def prepare(cloud: Vertex) -> None:
    """Make what the tasks of the cases find: a package, rows, a model."""
    cloud.google.storage.create_bucket(BUCKET, project=PROJECT)
    setup = "from setuptools import setup\nsetup(name='trainer', version='0.1', packages=['trainer'])\n"
    files = {"setup.py": setup, "trainer/__init__.py": "", "trainer/task.py": PROGRAM.read_text(encoding="utf-8")}
    cloud.put("trainer-0.1.tar.gz", archive({f"trainer-0.1/{name}": text for name, text in files.items()}))
    cloud.upload(MODEL)
    for case in CASES:
        if case.kind == "batch":
            cloud.put(f"{case.name}/rows.jsonl", rows(case))


def find(cloud: Vertex, case: Case) -> Any:
    """Return the job of a case, or None while there is none."""
    request = {"parent": PARENT, "filter": f'display_name="{case.name}"'}
    if case.kind in TRAININGS:
        listed = cloud.client(vertex.PipelineServiceClient).list_training_pipelines(request)
    elif case.kind == "batch":
        listed = cloud.client(vertex.JobServiceClient).list_batch_prediction_jobs(request)
    else:
        listed = cloud.client(vertex.JobServiceClient).list_hyperparameter_tuning_jobs(request)
    found = list(listed)
    assert len(found) <= 1, f"{case} has made {len(found)} jobs"
    return found[0] if found else None


def children(case: Case, job: Any) -> list[str]:
    """Return the names of the jobs whose programs a case's job runs."""
    if case.kind in TRAININGS:
        metadata = job.training_task_metadata
        return [metadata["backingCustomJob"]] if metadata else []
    return [trial.custom_job for trial in job.trials if trial.custom_job] if case.kind == "tuning" else [job.name]


def pids(cloud: Vertex, case: Case, job: Any) -> list[int]:
    """Return the process ids that a case's programs have told."""
    return [int(pid) for name in children(case, job) for pid in _TELLS_PID.findall(cloud.logs(name))]


def cancel(cloud: Vertex, case: Case, job: Any) -> None:
    """Cancel the job of a case."""
    if case.kind in TRAININGS:
        cloud.client(vertex.PipelineServiceClient).cancel_training_pipeline(name=job.name)
    elif case.kind == "batch":
        cloud.client(vertex.JobServiceClient).cancel_batch_prediction_job(name=job.name)
    else:
        cloud.client(vertex.JobServiceClient).cancel_hyperparameter_tuning_job(name=job.name)
