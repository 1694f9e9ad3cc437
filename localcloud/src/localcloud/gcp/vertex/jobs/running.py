"""The jobs of this server that have not ended, by their resources' names: start, cancel, wait.

How it works: a job's work is called by the engine and returns how it ended; whatever it raises is turned into an end as
well, so that no record stays open. A job that asks to be cancelled enters CANCELLING and ends as CANCELLED, whatever
broke because of it. When the cloud itself ends or is reset, its jobs fail; what a killed server leaves open, the next
one closes in the same words.
"""

import threading
from collections.abc import Callable, Sequence

from localcloud.engine.engine import ONE_HOST, Engine, Host, Job, Outcome
from localcloud.engine.environments import EnvironmentBuildError
from localcloud.engine.processes import ProgramError
from localcloud.engine.store import JobStatus
from localcloud.gcp.objects import MissingError, ObjectError
from localcloud.gcp.vertex.jobs import records
from localcloud.gcp.vertex.jobs.failures import (
    CANCELED,
    INTERNAL,
    INVALID_ARGUMENT,
    NOT_FOUND,
    JobCancelledError,
    JobEnd,
    JobFailedError,
)
from localcloud.gcp.vertex.names import id_of
from localcloud.gcp.vertex.resources import Resources

Work = Callable[[Job], JobEnd]
_STATUS = {"SUCCEEDED": JobStatus.COMPLETED, "CANCELLED": JobStatus.STOPPED}


class RunningJobs:
    """The jobs that run or wait."""

    def __init__(self, engine: Engine, resources: Resources) -> None:
        """Start without jobs."""
        self._engine = engine
        self._resources = resources
        self._jobs: dict[str, Job] = {}
        self._ended: dict[str, threading.Event] = {}

    def start(
        self, kind: str, name: str, work: Work, hosts: Sequence[Host] = ONE_HOST, *, needs_slot: bool = True
    ) -> None:
        """Hand a stored job to the engine; one that only coordinates others needs no slot."""
        ended = threading.Event()

        def until_end(job: Job) -> Outcome:
            end = _conclude(job, work)
            if job.stop.abandoned:
                records.close_one(self._resources, name)
            self._end(name, end)
            return Outcome(_STATUS.get(end.state, JobStatus.FAILED), end.message or None)

        def on_defect(reason: str) -> None:
            self._end(name, JobEnd("FAILED", INTERNAL, f"Internal error: localcloud: {reason}"))

        job = self._engine.prepare(kind, id_of(name), hosts)
        self._jobs[name], self._ended[name] = job, ended
        self._engine.submit(job, until_end, needs_slot=needs_slot, on_defect=on_defect)

    def cancel(self, name: str) -> None:
        """Ask a job to end, if it has not ended."""
        with self._resources.change(name) as record:
            if record is None or records.state_of(record) in records.FINAL:
                return
            records.set_state(record, "CANCELLING")
        job = self._jobs.get(name)
        if job is not None:
            job.stop.request()

    def wait(self, name: str) -> None:
        """Wait until a job has ended."""
        ended = self._ended.get(name)
        if ended is not None:
            ended.wait()

    def _end(self, name: str, end: JobEnd) -> None:
        records.finish(self._resources, name, end)
        self._jobs.pop(name, None)
        ended = self._ended.pop(name, None)
        if ended is not None:
            ended.set()


def _conclude(job: Job, work: Work) -> JobEnd:
    try:
        if job.stop.requested:
            return CANCELED
        end = work(job)
    except JobCancelledError:
        return CANCELED
    except JobFailedError as error:
        end = JobEnd("FAILED", error.code, str(error))
    except MissingError as error:
        end = JobEnd("FAILED", NOT_FOUND, str(error))
    except (ObjectError, ProgramError) as error:
        end = JobEnd("FAILED", INVALID_ARGUMENT, str(error))
    except EnvironmentBuildError as error:
        message = f"The packages that stand in for the container image cannot be installed: {error.output}"
        end = JobEnd("FAILED", INTERNAL, message)
    except Exception as error:  # noqa: BLE001 - a defect here must end the job, not leave it running for ever
        end = JobEnd("FAILED", INTERNAL, f"Internal error: localcloud: {type(error).__name__}: {error}")
    # what broke after a wish to cancel broke because of it
    return CANCELED if job.stop.requested and end.state != "SUCCEEDED" else end
