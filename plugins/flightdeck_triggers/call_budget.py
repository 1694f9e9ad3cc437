"""A budget of calls: so many a second on average, saved up while nothing is asked (a token bucket).

What it does not do: know what is called, or repeat a call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class CallBudget:
    """Spaces calls out; for one event loop.

    Args:
        per_second: Calls a second on average.
        saved: How many calls may be made at once after a quiet time.
        clock: Seconds that only grow.
    """

    def __init__(self, per_second: float, saved: int, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._saved = saved
        self._clock = clock
        # a start has nothing saved: a triggerer that restarts again and again stays within its share, too
        self._left = 0.0
        self._counted_at = clock()

    def wait_seconds(self) -> float:
        """Take one call from the budget and return how many seconds to wait before making it."""
        now = self._clock()
        self._left = min(self._saved, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        self._left -= 1
        return max(0.0, -self._left / self._per_second)

    async def take(self) -> None:
        """Wait until a call may be made."""
        await asyncio.sleep(self.wait_seconds())
