"""What the engine remembers about jobs, in SQLite, so that it survives the server.

One row per job. A row that is not final when a server starts belongs to a server that is gone: `interrupt` closes it.
It does not keep requests, logs or artifacts.
"""

import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    pid INTEGER,
    created TEXT NOT NULL,
    started TEXT,
    ended TEXT,
    reason TEXT
)
"""


class JobStatus(StrEnum):
    """The engine's own words; each cloud translates them."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class JobRow:
    """One job. Times are ISO 8601 in UTC; `pid` is the user's program, None before it starts."""

    kind: str
    name: str
    status: str
    pid: int | None
    started: str | None
    ended: str | None
    reason: str | None


class JobStore:
    """The jobs of one root."""

    def __init__(self, path: Path) -> None:
        """Open or create the file."""
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # a laptop's record of jobs need not survive a power cut, so no commit has to wait for the disk
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute(_SCHEMA)

    def add(self, kind: str, name: str) -> int:
        """Record a queued job; return its id."""
        with self._lock:
            cursor = self._connection.execute(
                "INSERT INTO jobs (kind, name, status, created) VALUES (?, ?, ?, ?)",
                (kind, name, JobStatus.QUEUED, _now()),
            )
            return int(cursor.lastrowid or 0)

    def start(self, job: int) -> None:
        """Record that the job got its slot."""
        self._update("UPDATE jobs SET status = ?, started = ? WHERE id = ?", JobStatus.RUNNING, _now(), job)

    def set_pid(self, job: int, pid: int) -> None:
        """Record the process of the user's program."""
        self._update("UPDATE jobs SET pid = ? WHERE id = ?", pid, job)

    def finish(self, job: int, status: JobStatus, reason: str | None) -> None:
        """Record the end; a job that already ended keeps its first end."""
        self._update(
            "UPDATE jobs SET status = ?, ended = ?, reason = ? WHERE id = ? AND ended IS NULL",
            status,
            _now(),
            reason,
            job,
        )

    def interrupt(self, event: str) -> int:
        """Close every job that is not final as failed, as the cloud was `event`; return how many there were."""
        with self._lock:
            cursor = self._connection.execute(
                "UPDATE jobs SET reason = ? || status, status = ?, ended = ? WHERE ended IS NULL",
                (f"the local cloud was {event} while the job was ", JobStatus.FAILED, _now()),
            )
            return cursor.rowcount

    def rows(self) -> list[JobRow]:
        """Return all jobs, oldest first."""
        with self._lock:
            found = self._connection.execute(
                "SELECT kind, name, status, pid, started, ended, reason FROM jobs ORDER BY id"
            ).fetchall()
        return [JobRow(*row) for row in found]

    def _update(self, statement: str, *values: object) -> None:
        with self._lock:
            self._connection.execute(statement, values)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
