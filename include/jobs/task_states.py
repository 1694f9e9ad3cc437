"""The states of a task instance after which nobody waits for its job.

In every other state the task waits, or will run again and adopt the job.
"""

from __future__ import annotations

ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
