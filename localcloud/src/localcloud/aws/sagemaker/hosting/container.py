"""A model container as a local process: artifact and code unpacked, requirements installed, model server started.

What it does not do: autoscaling, several models in one container. One process serves one model to any number of
requests at a time, as many as its model server takes.
"""

import http.client
import os
import queue
import select
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from localcloud.aws.objects import split_uri
from localcloud.aws.sagemaker.jobs.execution import Surroundings
from localcloud.aws.sagemaker.jobs.failures import JobFailedError, JobStoppedError
from localcloud.aws.sagemaker.jobs.images import find_image
from localcloud.engine.engine import Job, Program
from localcloud.engine.tree import JOB_BASE

if TYPE_CHECKING:
    from localcloud.aws.objects import ObjectStore
    from localcloud.engine.processes import JobProcess

# how long AWS lets a container load its model before it must answer GET /ping, if nobody says otherwise
STARTUP_SECONDS = 480.0
_SERVER = Path(__file__).with_name("model_server.py")


class ContainerError(JobFailedError):
    """A container cannot do its work. `container`: what AWS calls it, set by the instance that it is part of."""

    container = "primary"


class ModelDataError(ContainerError):
    """The model's artifact cannot be fetched. `uri`: its address."""

    def __init__(self, uri: str, message: str) -> None:
        """Keep the address for whoever words it otherwise."""
        super().__init__(message)
        self.uri = uri


class ContainerStartError(ContainerError):
    """The container ended, or did not answer in time, before it could be asked for anything."""


class InvocationTimeoutError(ContainerError):
    """The container did not answer one request in time."""


class ContainerDiedError(ContainerError):
    """The container ended while it served a request."""


@dataclass(frozen=True)
class Answer:
    """What the container answered to one invocation."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the model answered, as opposed to failing."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's range of successes

    @property
    def content_type(self) -> str:
        """The answer's media type; empty when the container names none."""
        return self.headers.get("content-type", "")


class ModelContainer:
    """One running model server inside a job. Use as a context manager: leaving kills it.

    Args of the constructor: `definition` is the API's ContainerDefinition, `extra` holds variables over the
    container's own, `startup` is how many seconds the model may take to load.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        job: Job,
        definition: Mapping[str, Any],
        extra: Mapping[str, str],
        on_line: Callable[[str], None],
        *,
        startup: float = STARTUP_SECONDS,
    ) -> None:
        """Fetch, install and start; returns when the model is loaded."""
        self._job = job
        # connections that wait for their next request; a request takes one or opens one
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        variables = {**(definition.get("Environment") or {}), **extra}
        ml = job.tree.ml
        _fetch_model(surroundings.connections.objects(), definition, variables, ml)
        requirements = next(
            (path for part in ("code", "model/code") if (path := ml / part / "requirements.txt").is_file()), None
        )
        text = requirements.read_text() if requirements else ""
        environment = surroundings.environment(find_image(definition["Image"]), text, on_line)
        if job.stop.requested:
            raise JobStoppedError
        # into the tree, as the job must not depend on where this package is installed
        server = ml / ".localcloud-model-server.py"
        shutil.copyfile(_SERVER, server)
        ready, write_end = os.pipe()
        program = Program(
            argv=["python3", f"{JOB_BASE}/{server.name}", JOB_BASE, str(write_end), environment.image],
            environment={**surroundings.variables(), **variables},
            path=environment.programs,
        )
        try:
            self._process: JobProcess = job.start(program, on_line, pass_fds=[write_end])
        finally:
            os.close(write_end)
        # from now on a stop request needs no further look: the dead server breaks whatever waits for it
        job.stop.on_request(self._process.kill)
        self._port = self._await_port(ready, startup)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process group."""
        self.close()

    def close(self) -> None:
        """End the process group; doing it twice is doing it once."""
        while not self._idle.empty():
            self._idle.get().close()
        self._process.kill()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return not self._process.ended

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """Send one request.

        Args:
            body: What the model gets.
            headers: Content-Type, Accept and whatever else the container should see.
            timeout: Seconds to wait for the answer.

        Raises:
            InvocationTimeoutError: no answer in time.
            ContainerDiedError: the server died; it was killed if it merely broke the connection.
            JobStoppedError: the server died because the job was stopped.
        """
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        try:
            connection.request("POST", "/invocations", body=body, headers=dict(headers))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, names, response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._broken(error, timeout) from error
        self._idle.put(connection)
        return answer

    def _await_port(self, ready: int, startup: float) -> int:
        with os.fdopen(ready) as pipe:
            readable, _, _ = select.select([pipe], [], [], startup)
            # the pipe ends with the process, if that ends first
            port = pipe.readline().strip() if readable else ""
        if port:
            return int(port)
        self._process.kill()
        if self._job.stop.requested:
            raise JobStoppedError
        message = "ClientError: the model container did not start: see the job's log for more information"
        raise ContainerStartError(message)

    def _broken(self, error: Exception, timeout: float) -> Exception:
        if self._job.stop.requested:
            return JobStoppedError()
        if isinstance(error, TimeoutError):
            return InvocationTimeoutError(f"ClientError: the model did not answer within {timeout:g} s")
        self._process.kill()
        ending = self._process.ending
        how = (
            f"was killed by {ending.signal_name}" if ending.signal_name else f"ended with exit code {ending.exit_code}"
        )
        message = f"AlgorithmError: the model container {how} (exit code {ending.shell_exit_code}) while serving"
        return ContainerDiedError(message)


def model_data(definition: Mapping[str, Any]) -> dict[str, str] | None:
    """Return a container's model data as the API's S3ModelDataSource, whichever way it was given."""
    source = (definition.get("ModelDataSource") or {}).get("S3DataSource")
    if source:
        return dict(source)
    uri = definition.get("ModelDataUrl")
    return {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"} if uri else None


def _fetch_model(objects: "ObjectStore", definition: Mapping[str, Any], variables: Mapping[str, str], ml: Path) -> None:
    """Fill /opt/ml/model and /opt/ml/code."""
    for folder in ("model", "code"):
        (ml / folder).mkdir()
    source = model_data(definition)
    if source:
        uri = source["S3Uri"]
        try:
            if source["CompressionType"] == "Gzip":
                objects.fetch_archive(uri, ml / "model")
            elif source["S3DataType"] == "S3Object":
                # an object is a prefix of itself; its folder is what its name is relative to
                _, key = split_uri(uri)
                (found,) = [item for item in objects.under(uri) if item.key == key]
                (ml / "model" / Path(key).name).write_bytes(objects.read(found))
            else:
                objects.fetch("S3Prefix", uri, ml / "model")
        except (JobFailedError, ValueError) as error:
            raise ModelDataError(uri, str(error)) from error
    submitted = variables.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if submitted.startswith("s3://"):
        objects.fetch_archive(submitted, ml / "code")
