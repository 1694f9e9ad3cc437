"""Who a Vertex AI resource belongs to: labels that a task instance finds again, whichever process asks.

How it works: a label's value has 63 characters of [a-z0-9_-], too few and too narrow for the ids of Airflow. So what is
looked for is a digest: of the deployment, of the task instance, of the request. The ids themselves, for whoever has
only the labels, stand in numbered labels, in base 32, as many as they need.
https://cloud.google.com/vertex-ai/docs/general/labels

What it does not do: call a cloud, name a resource (``include.jobs.identity``). Known limitation: a resource has 64
labels at most; ids that would need more than 40 are left out, and nobody can tell their task from the labels.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from include.jobs.identity import TaskIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LABEL = 63
DEPLOYMENT_LABEL = "flightdeck_deployment"
TASK_LABEL = "flightdeck_task"
REQUEST_LABEL = "flightdeck_request"
ATTEMPT_LABEL = "flightdeck_attempt"
_IDS_LABEL = "flightdeck_ids_"
_MOST_IDS_LABELS = 40
_DIGEST_LENGTH = 40


def labels(task: TaskIdentity, request: str, attempt: int) -> dict[str, str]:
    """Return the labels of one attempt of a task instance.

    Args:
        task: Whose it is.
        request: Digest of the request that it is made from.
        attempt: Which of the task instance's it is, from 1.
    """
    ids = [task.deployment, task.dag, task.run, task.task, task.map_index]
    # a base-32 text may end in "=", which no label holds
    text = base64.b32encode(json.dumps(ids).encode()).decode().rstrip("=").lower()
    parts = [text[begin : begin + MAX_LABEL] for begin in range(0, len(text), MAX_LABEL)]
    numbered = {f"{_IDS_LABEL}{number}": part for number, part in enumerate(parts)}
    return {
        DEPLOYMENT_LABEL: deployment_label(task.deployment),
        TASK_LABEL: task_label(task),
        REQUEST_LABEL: request[:_DIGEST_LENGTH],
        ATTEMPT_LABEL: str(attempt),
        **(numbered if len(parts) <= _MOST_IDS_LABELS else {}),
    }


def deployment_label(deployment: str) -> str:
    """Return the label by which all resources of a deployment are found."""
    return _digest(deployment)


def task_label(task: TaskIdentity) -> str:
    """Return the label by which a task instance's resources are found."""
    return _digest([task.deployment, task.dag, task.run, task.task, task.map_index])


def is_of_request(found: Mapping[str, str], request: str) -> bool:
    """Whether a resource with these labels was made from the request of this digest."""
    return found.get(REQUEST_LABEL) == request[:_DIGEST_LENGTH]


def attempt_of(found: Mapping[str, str]) -> int:
    """Return which attempt carries these labels; 1 when they do not say."""
    number = found.get(ATTEMPT_LABEL, "")
    return int(number) if number.isdecimal() else 1


def task_of_labels(found: Mapping[str, str]) -> TaskIdentity | None:
    """Return whose resource carries these labels; None when it is nobody's, or when they do not tell it."""
    parts: list[str] = []
    while (part := found.get(f"{_IDS_LABEL}{len(parts)}")) is not None:
        parts.append(part)
    text = "".join(parts).upper()
    try:
        ids = json.loads(base64.b32decode(text + "=" * (-len(text) % 8)))
        task = TaskIdentity(*ids)
    except (ValueError, TypeError):
        return None
    return task if found.get(TASK_LABEL) == task_label(task) else None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:_DIGEST_LENGTH]
