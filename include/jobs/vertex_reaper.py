"""Finds the Vertex AI jobs that run for nobody, by their labels, and cancels them.

How it works: as ``include.jobs.reaper`` does it on SageMaker; one list for each kind of job. What it does not do: touch
a job without these labels, or one of another deployment. Known limitation: a job whose ids were too long for labels is
left alone, and so is what runs in another project or region.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.jobs.reaper import Reaped
from include.jobs.vertex_identity import DEPLOYMENT_LABEL, deployment_label, task_of_labels
from include.jobs.vertex_kinds import VERTEX_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.jobs.identity import TaskIdentity

log = logging.getLogger(__name__)


def reap_vertex(
    client: Any, parent: str, deployment: str, abandoned: Callable[[TaskIdentity], str | None]
) -> list[Reaped]:
    """Cancel the jobs of this deployment that nobody waits for.

    Args:
        client: A JobServiceClient.
        parent: ``projects/…/locations/…``.
        deployment: This deployment, as in the labels.
        abandoned: Says why a task instance does not wait for a job any more; None when it does, or when that is not
            known.
    """
    reaped = []
    for kind in VERTEX_KINDS.values():
        for job in kind.labelled(client, parent, DEPLOYMENT_LABEL, deployment_label(deployment)):
            task = task_of_labels(job.labels)
            if kind.ending(job) is not None or task is None or task.deployment != deployment:
                continue
            reason = abandoned(task)
            if reason is not None:
                log.info("Cancelling %s: %s", job.name, reason)
                kind.cancel(client, job.name)
                reaped.append(Reaped(job=job.name, task=(task.dag, task.run, task.task, task.map_index), reason=reason))
    return reaped
