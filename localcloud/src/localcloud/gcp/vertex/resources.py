"""All resources of Vertex AI, in SQLite: written before a call is answered, so that they survive the server.

A resource is a message with a name; it belongs to a collection (`customJobs`) below a parent. The file is the engine's
own, in a table beside its record of jobs.

What it does not do: know what a resource means, or wait for the disk (the state survives the process, not a power cut).
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.longrunning import operations_pb2

from localcloud.gcp.vertex.errors import AlreadyExistsError
from localcloud.gcp.vertex.messages import pb

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vertex_resources (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    parent TEXT NOT NULL,
    collection TEXT NOT NULL,
    type TEXT NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS vertex_resources_by_parent ON vertex_resources (collection, parent);
"""
_LOCK_SECONDS = 30.0


class Resources:
    """The resources of one root."""

    def __init__(self, path: Path) -> None:
        """Open or create the table."""
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=_LOCK_SECONDS)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def unchanging(self) -> Iterator[None]:
        """Keep others from changing anything while the block looks and decides."""
        with self._lock:
            yield

    def add(self, parent: str, collection: str, message: Any, key: str = "") -> None:
        """Store a new resource, under its own name unless `key` says otherwise.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        row = (key or message.name, parent, collection, message.DESCRIPTOR.name, message.SerializeToString())
        with self._lock:
            try:
                self._connection.execute(
                    "INSERT INTO vertex_resources (name, parent, collection, type, data) VALUES (?, ?, ?, ?, ?)", row
                )
            except sqlite3.IntegrityError as error:
                raise AlreadyExistsError(f"The resource {row[0]} already exists.") from error

    def get(self, name: str) -> Any:
        """Return a resource, or None."""
        with self._lock:
            row = self._connection.execute("SELECT type, data FROM vertex_resources WHERE name = ?", (name,)).fetchone()
        return None if row is None else _read(*row)

    def under(self, parent: str, collection: str) -> list[Any]:
        """Return the resources of a collection below a parent, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT type, data FROM vertex_resources WHERE collection = ? AND parent = ? ORDER BY id",
                (collection, parent),
            ).fetchall()
        return [_read(*row) for row in rows]

    def all(self, collection: str) -> list[Any]:
        """Return the resources of a collection below every parent, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT type, data FROM vertex_resources WHERE collection = ? ORDER BY id", (collection,)
            ).fetchall()
        return [_read(*row) for row in rows]

    @contextmanager
    def change(self, name: str) -> Iterator[Any]:
        """Lend a resource to a block and store what that has made of it; None when there is no such resource.

        Nothing is stored when the block raises.
        """
        with self._lock:
            message = self.get(name)
            yield message
            if message is not None:
                self._connection.execute(
                    "UPDATE vertex_resources SET data = ? WHERE name = ?", (message.SerializeToString(), name)
                )

    def remove(self, name: str) -> None:
        """Remove a resource; nothing happens when there is none."""
        with self._lock:
            self._connection.execute("DELETE FROM vertex_resources WHERE name = ?", (name,))

    def remove_ending(self, end: str) -> None:
        """Remove the resources whose keys end so."""
        with self._lock:
            self._connection.execute("DELETE FROM vertex_resources WHERE substr(name, -?) = ?", (len(end), end))

    def remove_below(self, name: str) -> None:
        """Remove all that lies below a resource, however deep, except for the operations on it."""
        with self._lock:
            self._connection.execute(
                "DELETE FROM vertex_resources WHERE substr(parent, 1, ?) IN (?, ?) AND collection != 'operations'",
                (len(name) + 1, name, f"{name}/"),
            )

    def remove_under(self, parent: str) -> None:
        """Remove what lies directly below a resource, except for the operations on it."""
        with self._lock:
            self._connection.execute(
                "DELETE FROM vertex_resources WHERE parent = ? AND collection != 'operations'", (parent,)
            )


def _read(kind: str, data: bytes) -> Any:
    made = operations_pb2.Operation() if kind == "Operation" else getattr(pb, kind)()
    made.ParseFromString(data)
    return made
