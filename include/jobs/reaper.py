"""Finds the remote jobs that run for nobody, by their tags, and stops them.

Purpose: a task that is marked while the triggerer is down, or whose worker is lost for good, leaves a job that no
callback sees and that is paid for until it ends.

How it works: every job that runs and carries this deployment's tags names its task instance; the caller says whether
that one still waits. What it does not do: touch a job without these tags, or one of another deployment. Known
limitation: a job whose tags were too long to be whole is left alone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import BaseModel

from include.jobs.identity import task_of
from include.jobs.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sagemaker.client import SageMakerClient

    from include.jobs.identity import TaskIdentity

log = logging.getLogger(__name__)


class Reaped(BaseModel, frozen=True):
    """A job that was stopped.

    Args:
        job: Its name.
        task: Whose it was: DAG, run, task and map index.
        reason: Why nobody waits for it.
    """

    job: str
    task: tuple[str, str, str, int]
    reason: str


def reap(client: SageMakerClient, deployment: str, abandoned: Callable[[TaskIdentity], str | None]) -> list[Reaped]:
    """Stop the jobs of this deployment that nobody waits for.

    Args:
        client: A SageMaker client.
        deployment: This deployment, as in the tags.
        abandoned: Says why a task instance does not wait for a job any more; None when it does, or when that is not
            known.
    """
    reaped = []
    for kind in KINDS:
        for summary in kind.running(client):
            name = summary[kind.name_field]
            pages = client.get_paginator("list_tags").paginate(ResourceArn=kind.arn(summary))
            task = task_of({tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]})
            if task is None or task.deployment != deployment:
                continue
            reason = abandoned(task)
            if reason is not None:
                log.info("Stopping %s: %s", name, reason)
                kind.stop(client, name)
                reaped.append(Reaped(job=name, task=(task.dag, task.run, task.task, task.map_index), reason=reason))
    return reaped
