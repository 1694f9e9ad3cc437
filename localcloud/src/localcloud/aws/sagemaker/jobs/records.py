"""moto's record of a job, made to follow the job's life.

moto builds answers (Describe, List, Search) from a record's attributes and marks a job Completed in its constructor.
A Record puts that back and lets attributes change only in ways that a reader may see: the final status is set last,
and a stop request and the end of the job cannot overtake each other.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.persistence.reached import CHANGES, changing
from localcloud.aws.sagemaker.changes import job_changed
from localcloud.engine.store import JobStatus

# the engine's words in SageMaker's
FINAL_STATUS: Mapping[JobStatus, str] = {
    JobStatus.COMPLETED: "Completed",
    JobStatus.FAILED: "Failed",
    JobStatus.STOPPED: "Stopped",
}
IN_PROGRESS = "InProgress"
STOPPING = "Stopping"
_SECONDARY = "secondary_status"
# one lock for all records: several of them may wrap the same job, and a change of status takes microseconds
_CHANGES = threading.RLock()


def utc_now() -> datetime:
    """Return the time as moto's records hold it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


@contextlib.contextmanager
def unchanging() -> Iterator[None]:
    """Let no other thread change any record while the block runs, so that what is read belongs together."""
    with _CHANGES:
        yield


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """Let no other thread read, change or save any record while the block runs."""
    with _CHANGES, CHANGES:
        yield


class Record:
    """One job's record. `status_field` is the attribute that holds its status."""

    def __init__(self, stored: object, status_field: str) -> None:
        """Wrap what moto has stored."""
        self._stored = stored
        self._status_field = status_field
        self._tells = True

    def begin(self) -> None:
        """Put the status of what moto has just stored back to InProgress; `announce` tells of it."""
        self._tells = False
        self.set(failure_reason=None, **{self._status_field: IN_PROGRESS})

    def announce(self) -> None:
        """Tell of a job that has begun, now that its record is complete, and of each change from now on."""
        self._tells = True
        job_changed(self._stored, self._status_field)

    @property
    def status(self) -> str:
        """SageMaker's status of the job."""
        return str(self.get(self._status_field))

    def get(self, field: str) -> Any:
        """Return an attribute."""
        return getattr(self._stored, field)

    def set(self, **fields: object) -> None:
        """Set attributes, in their order, and the time of the last change."""
        with _CHANGES:
            told = {field: getattr(self._stored, field, None) for field in (self._status_field, _SECONDARY)}
            with changing(self._stored):
                vars(self._stored)["last_modified_time"] = utc_now()
                for field, value in fields.items():
                    setattr(self._stored, field, value)
            if self._tells and any(field in fields and fields[field] != before for field, before in told.items()):
                job_changed(self._stored, self._status_field)

    def begin_stopping(self) -> bool:
        """Mark the job as Stopping; False when it is no longer in progress."""
        with _CHANGES:
            if self.status not in {IN_PROGRESS, STOPPING}:
                return False
            self.set(**{self._status_field: STOPPING})
            return True

    def finish(self, status: JobStatus, **fields: object) -> None:
        """Set the last attributes, then the final status."""
        with _CHANGES:
            self.set(**fields, **{self._status_field: FINAL_STATUS[status]})
