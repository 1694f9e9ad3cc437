"""One thread that does things when their time comes.

A thing is known by a key, has one time at which it is due, and is done in the timer's thread, one after the other. It
may set itself again. What is due while the timer is busy is done late, not left out.
"""

import threading
import traceback
from collections.abc import Callable
from datetime import datetime

from localcloud.aws.sagemaker.jobs.records import utc_now

# a clock that is put forward is noticed within this time
_LONGEST_WAIT_SECONDS = 30.0


class Timer:
    """The things to do, by key. Its thread begins with the first of them."""

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._due: dict[str, tuple[datetime, Callable[[datetime], None]]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def set(self, key: str, when: datetime, act: Callable[[datetime], None]) -> None:
        """Call `act` with `when` (UTC) when that time has come; it takes the place of what the key meant before."""
        with self._changed:
            self._due[key] = (when, act)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="timer", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, key: str) -> None:
        """Do not do it any more."""
        with self._changed:
            self._due.pop(key, None)

    def clear(self) -> None:
        """Do nothing of it any more."""
        with self._changed:
            self._due.clear()

    def next_of(self, key: str) -> datetime | None:
        """Return when it is due."""
        with self._changed:
            return self._due[key][0] if key in self._due else None

    def _run(self) -> None:
        while True:
            when, act = self._take()
            try:
                act(when)
            except Exception:  # noqa: BLE001 - one schedule's defect must not stop the others
                traceback.print_exc()

    def _take(self) -> tuple[datetime, Callable[[datetime], None]]:
        """Wait for the next thing that is due."""
        with self._changed:
            while True:
                key = min(self._due, key=lambda name: self._due[name][0], default=None)
                if key is None:
                    self._changed.wait()
                    continue
                wait = (self._due[key][0] - utc_now()).total_seconds()
                if wait <= 0:
                    return self._due.pop(key)
                self._changed.wait(min(wait, _LONGEST_WAIT_SECONDS))
