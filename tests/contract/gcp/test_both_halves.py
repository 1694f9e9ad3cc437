"""Both clouds in one process: they share the engine and the root, and what ends one spares the other's state."""

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1 as vertex
from google.cloud import storage
from google.protobuf import json_format, struct_pb2

from localcloud.gcp.clients import google_environment
from localcloud.statefile import find_running
from tests.contract.gcp.local_vertex import (
    BUCKET,
    IMAGES,
    PARENT,
    PROJECT,
    SERVING_IMAGE,
    ended,
    python,
    spec,
    state_of,
)
from tests.contract.gcp.serving_programs import ADDS
from tests.contract.local_cloud import LocalCloud, until

# each start of both halves costs seconds
pytestmark = pytest.mark.verify
WAITS = "import os, time; print('at', os.getpid(), flush=True); time.sleep(600)"
StartBoth = Callable[[], LocalCloud]


@pytest.fixture
def start_both(tmp_path: Path, _environments: None) -> Iterator[StartBoth]:
    """Return a function that starts both halves, each time over the same root."""
    (tmp_path / "images.yaml").write_text(IMAGES)
    started: list[LocalCloud] = []

    def start() -> LocalCloud:
        options = ("--google", "on", "--grace", "2", "--images", str(tmp_path / "images.yaml"))
        started.append(_Again(tmp_path / "root", *options) if started else LocalCloud(tmp_path / "root", *options))
        return started[-1]

    yield start
    for running in started:
        running.end()


class _Again(LocalCloud):
    """A cloud over a root whose bucket is there already."""

    bucket = "data-again"


class Google:
    """Clients of the Google half of a cloud, through its door and its certificates."""

    def __init__(self, cloud: LocalCloud) -> None:
        found = find_running(cloud.root).google
        assert found is not None
        self.environment = google_environment(found)
        roots = Path(self.environment["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"]).read_bytes()
        self._channel = grpc.secure_channel(
            "us-central1-aiplatform.googleapis.com:443",
            grpc.ssl_channel_credentials(roots),
            options=[("grpc.http_proxy", self.environment["grpc_proxy"])],
        )
        self.storage = storage.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call] # Google's
            client_options={"api_endpoint": self.environment["STORAGE_EMULATOR_HOST"]},
        )

    def client(self, kind: type[Any]) -> Any:
        """Return a gapic client."""
        return kind(transport=kind.get_transport_class("grpc")(channel=self._channel))

    def predict(self, endpoint: str) -> list[Any]:
        """Ask an endpoint about 1."""
        instance = json_format.ParseDict({"x": 1}, struct_pb2.Value())
        answer = self.client(vertex.PredictionServiceClient).predict(endpoint=endpoint, instances=[instance])
        return list(answer.predictions)


def lives(google: Google) -> tuple[str, str]:
    """Start a job that waits and an endpoint that answers; return their names."""
    google.storage.create_bucket(BUCKET)
    google.storage.bucket(BUCKET).blob("adds/number.txt").upload_from_string("0.5")
    job = google.client(vertex.JobServiceClient).create_custom_job(
        parent=PARENT, custom_job={"display_name": "waits", "job_spec": spec(python(WAITS))}
    )
    model = {
        "display_name": "adds",
        "artifact_uri": f"gs://{BUCKET}/adds",
        "container_spec": {"image_uri": SERVING_IMAGE, "command": ["python", "-c", ADDS]},
    }
    made = google.client(vertex.ModelServiceClient).upload_model(parent=PARENT, model=model).result(timeout=30)
    endpoints = google.client(vertex.EndpointServiceClient)
    endpoint = endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "e"}).result(timeout=30)
    resources = {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1}
    endpoints.deploy_model(
        endpoint=endpoint.name,
        deployed_model={"model": made.model, "dedicated_resources": resources},
        traffic_split={"0": 100},
    ).result(timeout=60)
    assert [1.5] == google.predict(endpoint.name)
    return job.name, endpoint.name


def job_of(google: Google, name: str) -> Any:
    """Return a custom job."""
    return google.client(vertex.JobServiceClient).get_custom_job(name=name)


def test_sigkill_and_restart(start_both: StartBoth) -> None:
    """After SIGKILL the next cloud knows both halves' resources; jobs have failed, endpoints answer again."""
    first = start_both()
    job, endpoint = lives(Google(first))
    first.process.kill()
    first.process.wait()
    second = Google(start_both())
    found = job_of(second, job)
    assert ("FAILED", 13) == (state_of(found), found.error.code)
    assert [1.5] == second.predict(endpoint)
    assert b"0.5" == second.storage.bucket(BUCKET).blob("adds/number.txt").download_as_bytes()


def test_resetting_moto(start_both: StartBoth) -> None:
    """A reset of the AWS half ends what the engine runs: Vertex's jobs say so, and endpoints start again."""
    cloud = start_both()
    google = Google(cloud)
    job, endpoint = lives(google)
    request = urllib.request.Request(f"{cloud.endpoint}/moto-api/reset", method="POST")  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
        assert 200 == answer.status
    found = ended(lambda: job_of(google, job), job)
    assert ("FAILED", 13) == (state_of(found), found.error.code)

    def answers() -> list[Any]:
        try:
            return google.predict(endpoint)
        except exceptions.ServiceUnavailable:
            return []

    assert [1.5] == until(answers, "the endpoint to answer again")


def test_a_job_on_either_cloud(start_both: StartBoth) -> None:
    """One user's file of images serves both; a job of each cloud runs beside the other, each with its own variables."""
    cloud = start_both()
    google = Google(cloud)
    google.storage.create_bucket(BUCKET)
    tells = "import os; print(sorted(k for k in os.environ if k in ('AWS_ENDPOINT_URL', 'STORAGE_EMULATOR_HOST')))"
    made = google.client(vertex.JobServiceClient).create_custom_job(
        parent=PARENT, custom_job={"display_name": "tells", "job_spec": spec(python(tells))}
    )
    cloud.train("tells", tells)
    assert "SUCCEEDED" == state_of(ended(lambda: job_of(google, made.name), made.name))
    assert "Completed" == cloud.finished("Training", "tells")["TrainingJobStatus"]
    log = cloud.root / "logs" / "vertex" / made.name.rsplit("/", 1)[1] / "workerpool0-0.log"
    assert ["['STORAGE_EMULATOR_HOST']"] == log.read_text(encoding="utf-8").splitlines()
    assert ["['AWS_ENDPOINT_URL']"] == cloud.log("Training", "tells")
