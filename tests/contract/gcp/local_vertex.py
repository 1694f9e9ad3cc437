"""A local Vertex AI and a Cloud Storage in processes of their own, and what a test needs to talk to them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1 as vertex
from google.cloud import storage

from tests.contract.local_cloud import until

PROJECT, REGION = "localcloud-project", "us-central1"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
BUCKET = "models"
# a program's image, one with what a Google client in a job needs, one with an entry point, and a model's; all but the
# second have the same packages, so that one environment serves them and a fresh clone builds it within seconds
PLAIN_IMAGE = "europe-docker.pkg.dev/local/images/plain:1"
CLIENT_IMAGE = "europe-docker.pkg.dev/local/images/client:1"
ENTRY_IMAGE = "europe-docker.pkg.dev/local/images/entry:1"
SERVING_IMAGE = "europe-docker.pkg.dev/local/images/serving:1"
IMAGES = f"""
images:
  - name: plain
    address: {PLAIN_IMAGE}
    packages: [setuptools==80.9.0, wheel==0.45.1]
  - name: client
    address: {CLIENT_IMAGE}
    packages: [google-cloud-storage==3.4.1]
  - name: entry
    address: {ENTRY_IMAGE}
    packages: [setuptools==80.9.0, wheel==0.45.1]
    entrypoint: [python, -c, "import sys; print('entry', sys.argv[1:])"]
  - name: serving
    address: {SERVING_IMAGE}
    packages: [setuptools==80.9.0, wheel==0.45.1]
    entrypoint: [python, /gcs/{BUCKET}/serving/server.py]
"""
FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}
_PROCESS = Path(__file__).with_name("vertex_process.py")


class Storage:
    """The local Cloud Storage over a folder."""

    def __init__(self, folder: Path) -> None:
        program = Path(__file__).with_name("storage_process.py")
        self.process = subprocess.Popen([sys.executable, str(program), str(folder)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.endpoint = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        self.client: Any = storage.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call] # Google's
            client_options={"api_endpoint": self.endpoint},
        )
        self.client.create_bucket(BUCKET)

    def put(self, key: str, body: str | bytes) -> str:
        """Write an object; return its address."""
        self.client.bucket(BUCKET).blob(key).upload_from_string(body)
        return f"gs://{BUCKET}/{key}"

    def get(self, key: str) -> bytes:
        """Read an object."""
        body: bytes = self.client.bucket(BUCKET).blob(key).download_as_bytes()
        return body

    def keys(self, prefix: str) -> list[str]:
        """List the names of the objects under a prefix."""
        return [blob.name for blob in self.client.list_blobs(BUCKET, prefix=prefix)]

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class LocalVertex:
    """One running Vertex AI over a root."""

    def __init__(self, root: Path, store: Storage) -> None:
        self.root, self.storage = root, store
        root.parent.mkdir(parents=True, exist_ok=True)
        images = root.parent / f"{root.name}.images.yaml"
        images.write_text(IMAGES)
        self.errors = root.parent / f"{root.name}.stderr"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(_PROCESS), str(root), store.endpoint, str(images)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        assert self.process.stdout is not None
        said = self.process.stdout.readline().split()
        assert said[:1] == ["ready"], self.errors.read_text(encoding="utf-8")
        self.address = f"127.0.0.1:{said[1]}"
        self._clients: dict[type, Any] = {}
        self._channel = grpc.insecure_channel(self.address, options=[("grpc.enable_http_proxy", 0)])

    def client(self, kind: type[Any]) -> Any:
        """Return a gapic client of a service, as in `vertex.JobServiceClient`."""
        if kind not in self._clients:
            transport = kind.get_transport_class("grpc")(channel=self._channel)
            self._clients[kind] = kind(transport=transport)
        return self._clients[kind]

    @property
    def jobs(self) -> Any:
        """JobService."""
        return self.client(vertex.JobServiceClient)

    def run(self, spec: Mapping[str, Any], name: str = "job", **fields: Any) -> Any:
        """Create a custom job of one job spec; return it as it was created."""
        return self.jobs.create_custom_job(parent=PARENT, custom_job={"display_name": name, "job_spec": spec, **fields})

    def finished(self, job: Any) -> Any:
        """Wait for a custom job's end."""
        return ended(lambda: self.jobs.get_custom_job(name=job.name), job.name)

    def log(self, job: Any, replica: str = "workerpool0-0") -> list[str]:
        """Return the lines of a replica."""
        path = self.root / "logs" / "vertex" / job.name.rsplit("/", 1)[1] / f"{replica}.log"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def log_line(self, job: Any, start: str) -> str:
        """Wait for a line of a replica that begins so."""

        def look() -> str | None:
            return next((line for line in self.log(job) if line.startswith(start)), None)

        return until(look, f"a line {start!r} of {job.name}")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """SIGTERM, and wait."""
        self._channel.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)
        if self.process.stdout is not None:
            self.process.stdout.close()


def ended(get: Callable[[], Any], what: str) -> Any:
    """Ask for a job until it has ended; return it."""

    def look() -> Any:
        job = get()
        return job if job.state.name.partition("_STATE_")[2] in FINAL else None

    return until(look, f"the end of {what}")


def state_of(job: Any) -> str:
    """Return a job's state without its prefix."""
    return str(job.state.name).partition("_STATE_")[2]


def pool(
    *command: str, image: str = PLAIN_IMAGE, replicas: int = 1, machine: str = "n1-standard-4", **container: Any
) -> dict[str, Any]:
    """Return a worker pool that runs a command."""
    return {
        "machine_spec": {"machine_type": machine},
        "replica_count": replicas,
        "container_spec": {"image_uri": image, "command": list(command), **container},
    }


def python(script: str, *arguments: str, **options: Any) -> dict[str, Any]:
    """Return a worker pool that runs a Python script."""
    return pool("python", "-c", script, *arguments, **options)


def spec(*pools: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a custom job's specification."""
    return {"worker_pool_specs": [dict(item) for item in pools], **fields}
