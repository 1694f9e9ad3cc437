"""What the storage keeps: buckets, objects and unfinished uploads in SQLite, the bytes of objects in files.

How it works: bytes are written to a file under a name of its own before any object names it; one transaction then makes
the object appear whole. A file belongs to all objects that name it (a copy costs no bytes), and goes with the last one.
What a killed server left is named by nobody and goes at the next start. A generation is a number of microseconds that
has never been given out before, on whichever day the machine's clock thinks it is.

What it does not do: wait for the disk (the state survives the process, not a power cut), or keep what was overwritten.
"""

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from localcloud.gcp.database import opened

Resource = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, resource TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL REFERENCES buckets (name),
    name TEXT NOT NULL,
    resource TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (bucket, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bodies ON objects (body);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, request TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS generations (last INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class StoredObject:
    """An object: its resource as the JSON API shows it, and the name of the file of its bytes."""

    resource: Resource
    body: str


@dataclass(frozen=True)
class Upload:
    """An upload that has begun: where to, what was asked for at its beginning, and the file of its bytes so far."""

    identity: str
    bucket: str
    request: dict[str, Any]
    body: str


class Store:
    """A folder. `changing` is held around what reads and then writes."""

    def __init__(self, folder: Path) -> None:
        """Open or create it.

        Raises:
            StateError: It cannot be read.
        """
        self._bodies = folder / "bodies"
        self._bodies.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._unnamed: list[str] = []
        self._connection = opened(folder / "storage.db", _SCHEMA, version=1)
        self._drop_leftovers()

    def _drop_leftovers(self) -> None:
        named = {row[0] for row in self._rows("SELECT body FROM objects UNION SELECT body FROM uploads")}
        for file in self._bodies.iterdir():
            if file.name not in named:
                file.unlink()

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Let nobody else read or write until the block ends; keep all or nothing of what it wrote."""
        with self._lock:
            if self._depth:  # a part of a larger change
                yield
                return
            self._connection.execute("BEGIN")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                self._unnamed.clear()
                raise
            finally:
                self._depth -= 1
            self._connection.execute("COMMIT")
            self._drop_unnamed()

    def _drop_unnamed(self) -> None:
        for body in self._unnamed:
            if not self._rows("SELECT 1 FROM objects WHERE body = ? LIMIT 1", body):
                (self._bodies / body).unlink(missing_ok=True)
        self._unnamed.clear()

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def _write(self, statement: str, *values: object) -> None:
        with self._lock:
            self._connection.execute(statement, values)

    # Buckets

    def buckets(self) -> list[Resource]:
        """Return all buckets by name."""
        return [json.loads(row[0]) for row in self._rows("SELECT resource FROM buckets ORDER BY name")]

    def bucket(self, name: str) -> Resource | None:
        """Return a bucket."""
        rows = self._rows("SELECT resource FROM buckets WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else None

    def write_bucket(self, resource: Resource) -> None:
        """Create a bucket, or describe it anew."""
        self._write("INSERT OR REPLACE INTO buckets VALUES (?, ?)", resource["name"], json.dumps(resource))

    def delete_bucket(self, name: str) -> None:
        """Remove a bucket with its unfinished uploads."""
        with self.changing():
            for upload in self._rows("SELECT id FROM uploads WHERE bucket = ?", name):
                self.delete_upload(upload[0])
            self._write("DELETE FROM buckets WHERE name = ?", name)

    # Objects

    def object(self, bucket: str, name: str) -> StoredObject | None:
        """Return an object."""
        rows = self._rows("SELECT resource, body FROM objects WHERE bucket = ? AND name = ?", bucket, name)
        return StoredObject(json.loads(rows[0][0]), rows[0][1]) if rows else None

    def names(self, bucket: str, start: str, size: int) -> list[str]:
        """Return so many names of a bucket's objects from `start` on, in the order of their bytes in UTF-8."""
        statement = "SELECT name FROM objects WHERE bucket = ? AND name >= ? ORDER BY name LIMIT ?"
        return [row[0] for row in self._rows(statement, bucket, start, size)]

    def write_object(self, stored: StoredObject) -> None:
        """Create or replace an object; must be called within `changing`."""
        bucket, name = stored.resource["bucket"], stored.resource["name"]
        before = self.object(bucket, name)
        if before is not None and before.body != stored.body:
            self._unnamed.append(before.body)
        self._write(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", bucket, name, json.dumps(stored.resource), stored.body
        )

    def delete_object(self, stored: StoredObject) -> None:
        """Remove an object; must be called within `changing`."""
        bucket, name = stored.resource["bucket"], stored.resource["name"]
        self._write("DELETE FROM objects WHERE bucket = ? AND name = ?", bucket, name)
        self._unnamed.append(stored.body)

    def new_generation(self) -> int:
        """Return a generation that no object has had; must be called within `changing`."""
        last = (self._rows("SELECT last FROM generations") or [(0,)])[0][0]
        generation = max(time.time_ns() // 1000, last + 1)
        self._write("DELETE FROM generations")
        self._write("INSERT INTO generations VALUES (?)", generation)
        return int(generation)

    # Bytes

    def new_body(self) -> tuple[str, BinaryIO]:
        """Return the name of a new file, and the file to write to; the caller closes it."""
        name = uuid.uuid4().hex
        return name, (self._bodies / name).open("wb")

    def drop_body(self, name: str) -> None:
        """Remove a file that no object names."""
        (self._bodies / name).unlink(missing_ok=True)

    def open_body(self, name: str, *, appending: bool = False) -> BinaryIO:
        """Open a file to read it, or to write on at its end; what is open can be read although its object goes."""
        return (self._bodies / name).open("ab" if appending else "rb")

    # Uploads that take several requests

    def upload(self, identity: str) -> Upload | None:
        """Return an upload that has begun and not ended."""
        rows = self._rows("SELECT bucket, request, body FROM uploads WHERE id = ?", identity)
        return Upload(identity, rows[0][0], json.loads(rows[0][1]), rows[0][2]) if rows else None

    def begin_upload(self, bucket: str, request: dict[str, Any]) -> str:
        """Note an upload; return its identity."""
        body, file = self.new_body()
        file.close()
        identity = uuid.uuid4().hex
        self._write("INSERT INTO uploads VALUES (?, ?, ?, ?)", identity, bucket, json.dumps(request), body)
        return identity

    def finish_upload(self, upload: Upload) -> None:
        """Forget an upload whose bytes an object has taken over."""
        self._write("DELETE FROM uploads WHERE id = ?", upload.identity)

    def delete_upload(self, identity: str) -> None:
        """Forget an upload with its bytes."""
        upload = self.upload(identity)
        if upload is not None:
            self._write("DELETE FROM uploads WHERE id = ?", identity)
            self.drop_body(upload.body)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()
