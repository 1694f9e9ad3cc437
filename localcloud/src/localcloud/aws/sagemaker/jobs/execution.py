"""What the kinds of SageMaker job share: their surroundings, and how a flow's end becomes an outcome."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.aws.connections import Connections
from localcloud.aws.sagemaker.conditions import Conditions
from localcloud.aws.sagemaker.instancemetrics import InstanceMetrics
from localcloud.aws.sagemaker.jobs.failures import (
    REASON_LIMIT,
    JobFailedError,
    JobStoppedError,
    install_failure,
    keep_end,
)
from localcloud.clients import client_environment
from localcloud.engine.engine import Engine, Job, Outcome
from localcloud.engine.environments import EnvironmentBuildError, EnvironmentSpec, JobEnvironment
from localcloud.engine.processes import ProgramError
from localcloud.engine.store import JobStatus
from localcloud.images import Image

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Surroundings:
    """Where a job runs: the engine, connections to its own cloud, its request's region, the conditions, the metrics."""

    engine: Engine
    connections: Connections
    region: str
    conditions: Conditions
    metrics: InstanceMetrics

    def environment(self, image: Image, requirements: str, on_line: Callable[[str], None]) -> JobEnvironment:
        """Return the Python environment that stands in for an image with a requirements file installed over it."""
        try:
            return self.engine.environments.get(
                EnvironmentSpec(image.name, image.base, requirements, image.python), on_line
            )
        except EnvironmentBuildError as error:
            raise JobFailedError(install_failure(error)) from error

    def variables(self) -> dict[str, str]:
        """Return what every job gets: the way to its own cloud, with made-up credentials."""
        return client_environment(self.connections.endpoint, self.region)

    def offline_variables(self) -> dict[str, str]:
        """Return what a job with network isolation gets: it has no credentials on AWS either."""
        return {name: value for name, value in self.variables().items() if name.endswith("REGION")}


def conclude(job: Job, flow: Callable[[], JobStatus]) -> Outcome:
    """Call a job's flow and turn its end, whatever it is, into an outcome with AWS's kind of reason."""
    try:
        if job.stop.requested:
            return Outcome(JobStatus.STOPPED)
        return Outcome(flow())
    except JobStoppedError:
        return Outcome(JobStatus.STOPPED)
    except JobFailedError as error:
        reason = str(error)
    except ProgramError as error:
        reason = f"AlgorithmError: the program cannot be started: {error}"
    except Exception as error:  # noqa: BLE001 - a defect here must end the job, not leave it in progress for ever
        reason = f"InternalServerError: localcloud: {type(error).__name__}: {error}"
    if job.stop.requested:  # what broke after a stop request broke because of it
        return Outcome(JobStatus.STOPPED)
    return Outcome(JobStatus.FAILED, keep_end(reason, REASON_LIMIT))


def stream_suffix() -> str:
    """Return what makes a log stream's name unique."""
    return str(int(time.time()))
