"""Says where a job that runs has another request than the one that a task wants, for the error that refuses it.

What it does not do: decide that they differ; that is the requests' digests' (``include.jobs.identity``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.core.errors import RequestConflict

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMED_DIFFERENCES = 5


def conflict(job: str, wanted: Any, running: Any) -> RequestConflict:
    """Return the error of a task whose job runs with another request, the first differences named.

    Args:
        job: The job.
        wanted: The task's request.
        running: The cloud's description of the job.
    """
    found = list(_differences(wanted, running, ""))
    named = "; ".join(found[:_NAMED_DIFFERENCES]) or "a part of the request that its description does not show"
    more = f"; and {len(found) - _NAMED_DIFFERENCES} more" if len(found) > _NAMED_DIFFERENCES else ""
    return RequestConflict(
        job,
        f"it runs for this task with another request: {named}{more}",
        rule="a task has one job at a time, of its own request",
        remedy="wait for its end or stop it, then clear the task",
    )


def _differences(wanted: Any, running: Any, path: str) -> Iterator[str]:
    """Yield where a description shows another value than a request; what it does not show is no difference."""
    if isinstance(wanted, dict) and isinstance(running, dict):
        for key in sorted(wanted.keys() & running.keys()):
            yield from _differences(wanted[key], running[key], f"{path}.{key}" if path else key)
    elif isinstance(wanted, list) and isinstance(running, list) and len(wanted) == len(running):
        for index, (one, other) in enumerate(zip(wanted, running, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif wanted != running:
        yield f"{path} is {running!r} there and {wanted!r} here"
