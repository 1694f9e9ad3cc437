"""A replica's output: kept in a file below the cloud's root, and its last lines for the error of a failed job.

The folder is `logs/vertex/<id of the job>`, a file for each replica. Vertex AI writes to Cloud Logging instead.
"""

import threading
from collections import deque
from pathlib import Path

_TAIL_LINES = 60
_TRACEBACK = "Traceback (most recent call last)"
# of the error of a failed job
MESSAGE_LIMIT = 4000


class JobLog:
    """Callable for each line of output."""

    def __init__(self, path: Path) -> None:
        """Begin a file, or go on with it."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def __call__(self, line: str) -> None:
        """Take one line."""
        with self._lock:
            if not self._file.closed:  # a child that outlives its program may still hold the pipe
                self._file.write(f"{line}\n")
            self._tail.append(line)

    def close(self) -> None:
        """Take no more lines."""
        with self._lock:
            self._file.close()

    @property
    def message(self) -> str:
        """The end of the output that explains a failure: the last traceback, or what there is."""
        with self._lock:
            lines = list(self._tail)
        starts = [number for number, line in enumerate(lines) if line.startswith(_TRACEBACK)]
        text = "\n".join(lines[starts[-1] :] if starts else lines).strip()
        return text if len(text) <= MESSAGE_LIMIT else "…" + text[len(text) - MESSAGE_LIMIT + 1 :]
