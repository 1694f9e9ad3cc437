"""A task instance's jobs on the remote platform: looked up by name, adopted, or created, so that there is one.

Purpose: whoever runs the task, after whatever crash, finds the job that an earlier process created.

How it works: the jobs of a task instance are its attempts 1, 2, 3 …, each under a name that follows from the task
instance and the number. They are looked at in turn: one that runs is adopted, one that completed is the result, one
that failed, was stopped or left no artifacts gives way to the next; the first name that nobody has used is created. A
name is taken once only, so a creation whose answer was lost, or that raced another, is found by looking again.

A new job on purpose: when a result is handed on, its job is marked with Airflow's ``max_tries`` of that moment. It is
the same for every retry, and clearing a task raises it. So a retry takes the marked result again, while a task that was
cleared after it had its result passes over it and creates the next attempt. A task that was cleared before it had its
result — running, deferred or failed — adopts.

What it does not do: wait for a job, judge its artifacts (``include.jobs.completion``).

Known limitation: a deployment whose metadata database was begun anew can meet jobs of an old run of the same id; give
it another deployment id. Lowering a task's ``retries`` between its success and a clear can leave ``max_tries`` as it
was: clear it again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ParamValidationError

from include.core.errors import RemoteJobInterrupted, RequestRefused
from include.jobs.differences import conflict
from include.jobs.ending import Ending
from include.jobs.identity import REQUEST_TAG, as_tag_list, request_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_sagemaker.client import SageMakerClient

    from include.jobs.identity import TaskIdentity
    from include.jobs.kinds import JobKind

HANDED_ON_TAG = "flightdeck:handed-on"
_TAKEN = {"ResourceInUse", "ResourceInUseException"}
_REFUSED = {"AccessDeniedException", "ResourceNotFound", "ValidationException"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One job of a task instance.

    Args:
        number: Which one, from 1.
        name: Its name.
        adopted: Whether it was there already.
        description: What the cloud said of it when it was looked up; None of one that was just created.
    """

    number: int
    name: str
    adopted: bool
    description: dict[str, Any] | None


class Attempts:
    """The jobs of one task instance.

    Args:
        client: A SageMaker client.
        kind: What kind of job the task runs.
        request: The request; its name is a prefix, its outputs get a folder of the job's name.
        task: Whose jobs they are.
        turn: Airflow's ``max_tries`` of the task instance.
        missing: Returns the address of an artifact that a completed job left out, None when all are there.
    """

    def __init__(
        self,
        client: SageMakerClient,
        kind: JobKind,
        request: Mapping[str, Any],
        task: TaskIdentity,
        *,
        turn: int,
        missing: Callable[[Mapping[str, Any]], str | None],
    ) -> None:
        self._client = client
        self._kind = kind
        self._request = request
        self._task = task
        self._turn = turn
        self._missing = missing
        self._digest = request_digest(request, kind.name_field)

    def find_or_create(self) -> Attempt:
        """Return the job that runs or completed for this task; create it when there is none.

        Raises:
            RequestConflict: a job of this task runs with another request.
            RequestRefused: the cloud refuses the request.
            RemoteJobInterrupted: the cloud says that a job exists and does not know it.
        """
        number = 1
        while True:
            name = self._name(number)
            description = self._kind.describe(self._client, name)
            if description is None:
                if self._create(name, number):
                    return Attempt(number, name, adopted=False, description=None)
                description = self._described_after_all(name)
            if self._is_wanted(name, description):
                log.info("Adopting %s, which is %s", name, self._kind.status(description))
                return Attempt(number, name, adopted=True, description=description)
            log.info("Passing over %s, which is %s", name, self._kind.status(description))
            number += 1

    def stop(self) -> list[str]:
        """Stop what runs for this task, and return the names."""
        stopped = []
        number = 1
        while (description := self._kind.describe(self._client, name := self._name(number))) is not None:
            if self._kind.ending(description) is None:
                self._kind.stop(self._client, name)
                stopped.append(name)
            number += 1
        return stopped

    def _name(self, number: int) -> str:
        return self._task.name(self._request[self._kind.name_field], f"attempt {number}", self._kind.max_name)

    def _create(self, name: str, number: int) -> bool:
        """Create a job; False when the name is taken, perhaps by this very call when its answer was lost."""
        request = self._kind.named(self._request, name)
        tags = {**self._task.tags(self._digest), "flightdeck:attempt": str(number)}
        request["Tags"] = [*request.get("Tags", []), *as_tag_list(tags)]
        log.info("Creating %s", name)
        try:
            self._kind.create(self._client, request)
        except (ClientError, ParamValidationError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else "ValidationException"
            if code in _TAKEN:
                return False
            if code in _REFUSED:
                raise RequestRefused(
                    f"the request of {name}",
                    str(error),
                    rule="the cloud accepts the request",
                    remedy="correct the request or the role's permissions, then clear the task",
                ) from error
            raise
        return True

    def _described_after_all(self, name: str) -> dict[str, Any]:
        description = self._kind.describe(self._client, name)
        if description is None:
            raise RemoteJobInterrupted(
                name,
                "the cloud says that it exists and that it does not",
                rule="a job that exists can be described",
                remedy="a retry looks again",
            )
        return description

    def _is_wanted(self, name: str, description: Mapping[str, Any]) -> bool:
        ending = self._kind.ending(description)
        if ending in {Ending.FAILED, Ending.STOPPED}:
            return False
        tags = self._tags(self._kind.arn(description))
        same = tags.get(REQUEST_TAG) == self._digest
        if ending is None:
            if not same and self._kind.status(description) != "Stopping":
                raise conflict(name, self._kind.named(self._request, name), description)
            return True
        handed_on = tags.get(HANDED_ON_TAG)
        return same and handed_on in {None, str(self._turn)} and self._missing(description) is None

    def _tags(self, arn: str) -> dict[str, str]:
        pages = self._client.get_paginator("list_tags").paginate(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def hand_on(client: SageMakerClient, arn: str, turn: int) -> None:
    """Mark a job's result as handed on in this turn, so that a clear from now on asks for a new job.

    Args:
        client: A SageMaker client.
        arn: The job's ARN.
        turn: Airflow's ``max_tries`` of the task instance.
    """
    client.add_tags(ResourceArn=arn, Tags=as_tag_list({HANDED_ON_TAG: str(turn)}))
