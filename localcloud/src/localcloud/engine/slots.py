"""How many jobs run at once: slots, handed out in the order of asking. A waiting job can be stopped."""

import threading
from collections import deque

from localcloud.engine.processes import StopRequest


class Slots:
    """`count` slots and the queue before them."""

    def __init__(self, count: int) -> None:
        """Start with all slots free."""
        self._free = count
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    def acquire(self, stop: StopRequest) -> bool:
        """Wait for a slot; False when the stop request came first (then no slot is held)."""
        ticket = object()
        stop.on_request(self._notify)
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: stop.requested or (self._free > 0 and self._queue[0] is ticket))
            self._queue.remove(ticket)
            granted = not stop.requested
            if granted:
                self._free -= 1
            self._changed.notify_all()
            return granted

    def release(self) -> None:
        """Give a slot back."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
