"""The states of a task instance after which nobody waits for its job, and how a task asks for its own.

In every other state the task waits, or will run again and adopt the job.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
# a process that a user ends has 5 s
_ASKING_SECONDS = 3

log = logging.getLogger(__name__)


def was_ended(instance: Any) -> bool:
    """Whether a task is known to have been ended; one that runs or will run again wants its job.

    The answer comes through a channel that the interrupted code may be using: a thread waits for it, not for ever.
    """
    states: list[Any] = []

    def ask() -> None:
        found = instance.get_task_states(
            dag_id=instance.dag_id,
            task_ids=[instance.task_id],
            run_ids=[instance.run_id],
            map_index=-1 if instance.map_index is None else instance.map_index,
        )
        states.extend(found.get(instance.run_id, {}).values() or ["removed"])

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_ASKING_SECONDS)
    log.info("The task's state is %s", states[0] if states else "unknown")
    return bool(states) and states[0] in ENDED
