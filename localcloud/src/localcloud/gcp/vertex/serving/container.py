"""A prediction container as a local process: started, healthy, asked, ended.

How it works: the program gets AIP_HTTP_PORT, its routes and the artifact's address, and counts as started once its
health route answers 200. Prebuilt containers get the artifact as files.

What it does not do: scale, gRPC. Known limitation: the port is free one of this machine whatever `ports` says, so a
container that does not read AIP_HTTP_PORT is never healthy; Vertex copies the artifact, and AIP_STORAGE_URI is the
copy's address there and the original's here.

Source: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

import http.client
import queue
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from localcloud.engine.engine import Job, Program
from localcloud.engine.environments import EnvironmentSpec
from localcloud.gcp.vertex.jobs.access import access_variables
from localcloud.gcp.vertex.jobs.failures import JobCancelledError, JobFailedError
from localcloud.gcp.vertex.jobs.images import PREDICTION_SERVER
from localcloud.gcp.vertex.names import project_of
from localcloud.gcp.vertex.surroundings import Surroundings

STARTUP_SECONDS = 30 * 60.0
_LOOK_SECONDS = 0.02
_PROBE_SECONDS = 10.0
_OK = 200
_SERVER = Path(__file__).with_name("prebuilt.py")


class ContainerError(Exception):
    """The container did not answer: it died, or took too long."""


@dataclass(frozen=True)
class Answer:
    """What the container answered."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Placement:
    """Where a container serves: the ids in its default routes, its machine's type and its project's resource name."""

    name: str
    endpoint: str
    deployed_model: str
    machine: str = ""


class ModelContainer:
    """One running container on a host of a job. Use as a context manager: leaving kills it.

    Args of the constructor: `container` is the API's ModelContainerSpec, `artifact` the model's address or empty.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        job: Job,
        host: int,
        container: Any,
        artifact: str,
        placement: Placement,
        on_line: Callable[[str], None],
    ) -> None:
        """Start it; returns at once.

        Raises:
            ObjectError: A prebuilt container's artifact cannot be fetched.
        """
        self._job = job
        base = f"/v1/endpoints/{placement.endpoint}/deployedModels/{placement.deployed_model}"
        self._predict_route: str = container.predict_route or f"{base}:predict"
        self._health_route: str = container.health_route or base
        seconds: float = container.deployment_timeout.ToTimedelta().total_seconds()
        self._startup = seconds or STARTUP_SECONDS
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        self._port = _free_port()
        image = surroundings.images.find(container.image_uri)
        environment = surroundings.engine.environments.get(
            EnvironmentSpec(image.name, image.base, python=image.python), on_line
        )
        argv = [*(container.command or image.entrypoint), *container.args]
        tree = job.trees[host]
        if PREDICTION_SERVER in argv:
            shutil.copyfile(_SERVER, tree.host_path(PREDICTION_SERVER))
            folder = tree.ml / "model"
            folder.mkdir(exist_ok=True)
            if artifact:
                surroundings.objects(project_of(placement.name)).fetch_under(artifact, folder)
        variables = {
            **access_variables(surroundings.access, tree),
            **{item.name: item.value for item in container.env},
            "AIP_HTTP_PORT": str(self._port),
            "AIP_PREDICT_ROUTE": self._predict_route,
            "AIP_HEALTH_ROUTE": self._health_route,
            "AIP_STORAGE_URI": artifact,
            "AIP_MODE": "PREDICTION",
            "AIP_MODE_VERSION": "1.0.0",
            "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
            "AIP_PROJECT_NUMBER": project_of(placement.name),
            "AIP_ENDPOINT_ID": placement.endpoint,
            "AIP_DEPLOYED_MODEL_ID": placement.deployed_model,
            "AIP_MACHINE_TYPE": placement.machine,
        }
        program = Program(argv=argv, environment=variables, path=environment.programs)
        self._process = job.start(program, on_line, host=host)
        # from now on a wish to stop needs no further look: the dead process breaks whatever waits for it
        job.stop.on_request(self._process.kill)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return not self._process.ended

    def await_health(self) -> None:
        """Wait until the container is healthy.

        Raises:
            JobFailedError: It ended, or was not healthy in time; the caller knows its log.
            JobCancelledError: The job was stopped meanwhile.
        """
        deadline = time.monotonic() + self._startup
        while not self._healthy():
            if self._job.stop.requested:
                raise JobCancelledError
            if self._process.ended:
                self._process.kill()  # so that the last lines have arrived
                code = self._process.ending.shell_exit_code
                raise JobFailedError(f"Model server terminated: it exited with status {code} before it was healthy.")
            if time.monotonic() > deadline:
                raise JobFailedError(
                    f"Model server never became ready: {self._health_route} did not answer 200 at the port of "
                    f"AIP_HTTP_PORT within {self._startup:g} s."
                )
            time.sleep(_LOOK_SECONDS)

    def predict(self, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """Send one request to the predict route.

        Args:
            body: What the container gets.
            headers: Content-Type and whatever else it should see.
            timeout: Seconds to wait for the answer.

        Raises:
            ContainerError: There was no answer.
        """
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        try:
            connection.request("POST", self._predict_route, body=body, headers=dict(headers))
            response = connection.getresponse()
            answer = Answer(response.status, response.getheader("Content-Type") or "", response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            why = f"did not answer within {timeout:g} s" if isinstance(error, TimeoutError) else "broke the connection"
            raise ContainerError(f"The model server {why}.") from error
        if response.will_close:
            connection.close()
        else:
            self._idle.put(connection)
        return answer

    def close(self) -> None:
        """End the process group; doing it twice is doing it once."""
        while not self._idle.empty():
            self._idle.get().close()
        self._process.kill()

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PROBE_SECONDS)
        try:
            connection.request("GET", self._health_route)
            return connection.getresponse().status == _OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
