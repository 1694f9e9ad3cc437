"""A task instance's jobs on Vertex AI: looked up by label, adopted, or created, so that there is one.

How it works: as ``include.jobs.attempts`` does it on SageMaker, attempt by attempt, but Vertex AI has no unique names
and accepts the same request twice. So the identity is a label. What carries it is listed; the oldest job of an attempt
is that attempt, whatever else carries its number is cancelled. After a creation the list is read again: of two that
created at once, both find the same oldest job, and the other one is cancelled.

A new job on purpose: a custom job's labels cannot be changed once it is there, so the ``max_tries`` of the moment at
which a result is handed on is an object beside the job's output, ``handed-on``.

Known limitation (the window): a list that lags behind a creation does not show it. Two processes that create within the
lag both run a job until somebody looks again, which the waiting task does at its end and each retry at its beginning;
they write to folders of their own, and one result is handed on.

What it does not do: wait for a job, judge its artifacts (``include.jobs.vertex_completion``).
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import BadRequest, Forbidden, MethodNotImplemented, NotFound

from include.core.errors import RemoteJobInterrupted, RequestRefused
from include.jobs.differences import conflict
from include.jobs.ending import Ending
from include.jobs.identity import request_digest
from include.jobs.vertex_identity import TASK_LABEL, attempt_of, is_of_request, labels, task_label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.jobs.identity import TaskIdentity
    from include.jobs.vertex_completion import VertexCompletion
    from include.jobs.vertex_kinds import VertexKind

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VertexAttempt:
    """One job of a task instance.

    Args:
        number: Which one, from 1.
        name: Its resource name.
        adopted: Whether it was there already.
        job: What the cloud said of it when it was looked up.
    """

    number: int
    name: str
    adopted: bool
    job: Any


class VertexAttempts:
    """The jobs of one task instance.

    Args:
        client: A JobServiceClient.
        parent: ``projects/…/locations/…``.
        kind: What kind of job the task runs.
        request: The request; its display name is a prefix, its output gets a folder of the job's own.
        task: Whose jobs they are.
        turn: Airflow's ``max_tries`` of the task instance.
        completion: Judges what has ended.
    """

    def __init__(
        self,
        client: Any,
        parent: str,
        kind: VertexKind,
        request: Mapping[str, Any],
        task: TaskIdentity,
        *,
        turn: int,
        completion: VertexCompletion,
    ) -> None:
        self._client = client
        self._parent = parent
        self._kind = kind
        self._request = request
        self._task = task
        self._turn = turn
        self._completion = completion
        self._digest = request_digest(request, "display_name")

    def find_or_create(self) -> VertexAttempt:
        """Return the job that runs or succeeded for this task; create it when there is none.

        Raises:
            RequestConflict: a job of this task runs with another request.
            RequestRefused: the cloud refuses the request.
            RemoteJobInterrupted: a job that was created is not listed.
        """
        created: set[str] = set()
        for number in itertools.count(1):
            job = self._oldest(number)
            if job is None:
                created.add(self._create(number))
                job = self._oldest(number)
            if job is None:
                raise RemoteJobInterrupted(
                    f"attempt {number} of task {self._task.task}",
                    "it was created, and no list shows it",
                    rule="a job that exists is listed",
                    remedy="a retry looks again",
                )
            if job.name in created or self._is_wanted(job):
                log.info("%s is %s", job.name, self._kind.status(job))
                return VertexAttempt(number, job.name, adopted=job.name not in created, job=job)
            log.info("Passing over %s, which is %s", job.name, self._kind.status(job))
        raise AssertionError  # pragma: no cover - counting has no end

    def stop(self) -> list[str]:
        """Cancel what runs for this task, and return the resource names."""
        running = [job.name for job in self._all() if self._kind.ending(job) is None]
        for name in running:
            self._kind.cancel(self._client, name)
        return running

    def cancel_duplicates(self) -> None:
        """Cancel what runs beside the oldest job of each attempt."""
        for number in {attempt_of(job.labels) for job in self._all()}:
            self._oldest(number)

    def _all(self) -> list[Any]:
        return self._kind.labelled(self._client, self._parent, TASK_LABEL, task_label(self._task))

    def _oldest(self, number: int) -> Any | None:
        """Return the job of an attempt; cancel its duplicates."""
        jobs = [job for job in self._all() if attempt_of(job.labels) == number]
        for duplicate in jobs[1:]:
            if self._kind.ending(duplicate) is None:
                log.info("Cancelling %s, a duplicate of %s", duplicate.name, jobs[0].name)
                self._kind.cancel(self._client, duplicate.name)
        return jobs[0] if jobs else None

    def _create(self, number: int) -> str:
        name = self._task.name(self._request["display_name"], f"attempt {number}")
        try:
            found_by = labels(self._task, self._digest, number)
            request = self._kind.named(self._request, name, found_by)
            created: str = self._kind.create(self._client, self._parent, request).name
        except (BadRequest, Forbidden, NotFound, MethodNotImplemented, ValueError, TypeError, KeyError) as error:
            raise RequestRefused(
                f"the request of {name}",
                f"{type(error).__name__}: {error}",
                rule="the cloud accepts the request, which names the output's folder",
                remedy="correct the request or the account's permissions, then clear the task",
            ) from error
        log.info("Created %s as %s", name, created)
        return created

    def _is_wanted(self, job: Any) -> bool:
        ending = self._kind.ending(job)
        if ending in {Ending.FAILED, Ending.STOPPED}:
            return False
        same = is_of_request(job.labels, self._digest)
        if ending is None:
            if not same and self._kind.status(job) != "CANCELLING":
                raise conflict(job.name, self._kind.body(dict(self._request)), self._kind.body(job))
            return True
        if not same or self._completion.lacking(job) is not None:
            return False
        return self._completion.handed_on(job) in {None, self._turn}
