"""How a remote job ended, in one vocabulary for all clouds.

What it does not do: know a cloud's words for it (``include.jobs.kinds``, ``include.jobs.vertex_kinds``).
"""

from __future__ import annotations

from enum import Enum


class Ending(Enum):
    """How a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
