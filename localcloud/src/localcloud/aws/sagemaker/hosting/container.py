"""A model container as a local process: artifact and code unpacked, requirements installed, model server started.

What it does not do: autoscaling, several containers, multi-model. One process serves one model.
"""

import http.client
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from localcloud.aws.sagemaker.jobs.execution import Surroundings
from localcloud.aws.sagemaker.jobs.failures import JobFailedError, JobStoppedError
from localcloud.aws.sagemaker.jobs.images import find_image
from localcloud.engine.engine import Job, Program
from localcloud.engine.tree import JOB_BASE

if TYPE_CHECKING:
    from localcloud.engine.processes import JobProcess

_SERVER = Path(__file__).with_name("model_server.py")


@dataclass(frozen=True)
class Answer:
    """What the container answered to one invocation."""

    status: int
    content_type: str
    body: bytes


class ModelContainer:
    """One running model server inside a job. Use as a context manager: leaving kills it."""

    def __init__(
        self,
        surroundings: Surroundings,
        job: Job,
        container: Mapping[str, Any],
        extra: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> None:
        """Fetch, install and start; returns when the model is loaded. `extra`: variables over the container's own."""
        self._job = job
        variables = {**(container.get("Environment") or {}), **extra}
        ml = job.tree.ml
        for folder in ("model", "code"):
            (ml / folder).mkdir()
        objects = surroundings.connections.objects()
        if container.get("ModelDataUrl"):
            objects.fetch_archive(container["ModelDataUrl"], ml / "model")
        submitted = variables.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if submitted.startswith("s3://"):
            objects.fetch_archive(submitted, ml / "code")
        requirements = next(
            (path for part in ("code", "model/code") if (path := ml / part / "requirements.txt").is_file()), None
        )
        text = requirements.read_text() if requirements else ""
        environment = surroundings.environment(find_image(container["Image"]), text, on_line)
        if job.stop.requested:
            raise JobStoppedError
        # into the tree, as the job must not depend on where this package is installed
        server = ml / ".localcloud-model-server.py"
        shutil.copyfile(_SERVER, server)
        ready, write_end = os.pipe()
        program = Program(
            argv=["python3", f"{JOB_BASE}/{server.name}", JOB_BASE, str(write_end)],
            environment={**surroundings.variables(), **variables},
            path=environment.programs,
        )
        try:
            self._process: JobProcess = job.start(program, on_line, pass_fds=[write_end])
        finally:
            os.close(write_end)
        # from now on a stop request needs no further look: the dead server breaks whatever waits for it
        job.stop.on_request(self._process.kill)
        with os.fdopen(ready) as pipe:
            port = pipe.readline().strip()  # ends with the process, if that ends first
        if not port:
            self._process.kill()
            if job.stop.requested:
                raise JobStoppedError
            message = "ClientError: the model container did not start: see the job's log for more information"
            raise JobFailedError(message)
        self._connection = http.client.HTTPConnection("127.0.0.1", int(port))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process group."""
        self._connection.close()
        self._process.kill()

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """Send one request; a server that dies or does not answer in time fails the job."""
        self._connection.timeout = timeout
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        try:
            self._connection.request("POST", "/invocations", body=body, headers=dict(headers))
            response = self._connection.getresponse()
            return Answer(response.status, response.headers.get("Content-Type", ""), response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._broken(error, timeout) from error

    def _broken(self, error: Exception, timeout: float) -> Exception:
        if self._job.stop.requested:
            return JobStoppedError()
        if isinstance(error, TimeoutError):
            return JobFailedError(f"ClientError: the model did not answer within {timeout:g} s")
        self._process.kill()
        name = self._process.ending.signal_name
        how = f"was killed by {name}" if name else f"ended with exit code {self._process.ending.exit_code}"
        return JobFailedError(f"AlgorithmError: the model container {how} (exit code {self._exit_code}) while serving")

    @property
    def _exit_code(self) -> int:
        return self._process.ending.shell_exit_code
