"""The parts of the state on disk: SQLite for the parts, one file for each body of an S3 object.

A body's file is complete before a part names it, and goes when the last part that names it has gone; what a killed
server left half-written is named by no part and goes at the next start. Nothing waits for the disk: the state survives
the process, not a power cut.
"""

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import StateError

Address = tuple[str, str, str]
PartPath = tuple[str, ...]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (program TEXT PRIMARY KEY, version TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS parts (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL,
    path TEXT NOT NULL,
    data BLOB NOT NULL,
    bodies TEXT NOT NULL,
    UNIQUE (address, path)
);
CREATE TABLE IF NOT EXISTS problems (place TEXT PRIMARY KEY, why TEXT NOT NULL);
"""
_WRITE = """
INSERT INTO parts (address, path, data, bodies) VALUES (?, ?, ?, ?)
ON CONFLICT (address, path) DO UPDATE SET data = excluded.data, bodies = excluded.bodies
"""


@dataclass(frozen=True)
class Part:
    """A part as it is kept; `data` is None when it has to go. `bodies`: the files that the data refer to."""

    path: PartPath
    data: bytes | None
    bodies: tuple[str, ...] = ()


class Database:
    """What is kept in one folder. Its user must not use it from two threads at once."""

    def __init__(self, folder: Path, versions: Mapping[str, str]) -> None:
        """Open or create it.

        Raises:
            StateError: Other versions of the programs wrote it, or it cannot be read.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._folder, self._versions = folder, dict(versions)
        self._objects = folder / "objects"
        self._objects.mkdir(exist_ok=True)
        self.bytes_written = 0
        self._named: Counter[str] = Counter()
        self._bodies: dict[tuple[str, str], tuple[str, ...]] = {}
        try:
            self._connection = sqlite3.connect(folder / "parts.db", check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.executescript(_SCHEMA)
            self._check_versions()
        except sqlite3.DatabaseError as error:
            raise unreadable(folder, str(error)) from error

    def _check_versions(self) -> None:
        kept = dict(self._connection.execute("SELECT program, version FROM versions").fetchall())
        if kept and kept != self._versions:
            wrote, now = _shown(kept), _shown(self._versions)
            message = (
                f"state {self._folder}: was written by {wrote}, and this is {now}, which cannot read it. "
                "Nothing was changed. Start it with the versions that wrote it, choose another --root, or delete the "
                "folder to begin without what it holds."
            )
            raise StateError(message)
        self._connection.executemany("INSERT OR IGNORE INTO versions VALUES (?, ?)", self._versions.items())

    def parts(self) -> Iterator[tuple[Address, Part]]:
        """Return all parts in the order in which they were first written; drop files that no part names."""
        rows = self._connection.execute("SELECT address, path, data, bodies FROM parts ORDER BY id").fetchall()
        for address, path, data, written in rows:
            bodies = tuple(json.loads(written))
            self._name(address, path, bodies)
            account = json.loads(address)
            yield (account[0], account[1], account[2]), Part(tuple(json.loads(path)), data, bodies)
        for file in self._objects.iterdir():
            if file.name not in self._named:
                file.unlink()

    def write(self, address: Address, parts: Sequence[Part]) -> None:
        """Write parts, and remove those without data, all or none of them."""
        place = json.dumps(address)
        unnamed: list[str] = []
        self._connection.execute("BEGIN")
        try:
            for part in parts:
                path = json.dumps(part.path)
                if part.data is None:
                    self._connection.execute("DELETE FROM parts WHERE address = ? AND path = ?", (place, path))
                else:
                    self._connection.execute(_WRITE, (place, path, part.data, json.dumps(part.bodies)))
                    self.bytes_written += len(part.data)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        for part in parts:
            unnamed += self._name(place, json.dumps(part.path), part.bodies if part.data is not None else ())
        for name in unnamed:
            (self._objects / name).unlink(missing_ok=True)

    def _name(self, address: str, path: str, bodies: tuple[str, ...]) -> list[str]:
        """Note what a part refers to; return the bodies that nothing refers to any more."""
        before = self._bodies.pop((address, path), ())
        if bodies:
            self._bodies[address, path] = bodies
        self._named.update(bodies)
        self._named.subtract(before)
        gone = [name for name in dict.fromkeys(before) if self._named[name] <= 0]
        for name in gone:
            del self._named[name]
        return gone

    def problems(self) -> dict[str, str]:
        """Return what was noted as not kept, and why."""
        return dict(self._connection.execute("SELECT place, why FROM problems").fetchall())

    def note_problem(self, place: str, why: str | None) -> None:
        """Note that something cannot be kept, and why; None when it can."""
        self._connection.execute("DELETE FROM problems WHERE place = ?", (place,))
        if why is not None:
            self._connection.execute("INSERT INTO problems VALUES (?, ?)", (place, why))

    def write_body(self, name: str, body: bytes) -> None:
        """Write an object's body under a name that is new."""
        (self._objects / name).write_bytes(body)
        self.bytes_written += len(body)

    def read_body(self, name: str) -> bytes:
        """Return an object's body."""
        return (self._objects / name).read_bytes()

    def clear(self) -> None:
        """Remove everything."""
        self._connection.execute("DELETE FROM parts")
        self._connection.execute("DELETE FROM problems")
        self._named.clear()
        self._bodies.clear()
        shutil.rmtree(self._objects)
        self._objects.mkdir()


def _shown(versions: Mapping[str, str]) -> str:
    return " ".join(f"{name} {versions[name]}" for name in sorted(versions))


def unreadable(folder: Path, why: str) -> StateError:
    """Return the error of a state that cannot be read."""
    return StateError(
        f"state {folder}: cannot be read ({why}). Nothing was changed. Choose another --root, or delete the folder to "
        "begin without what it holds."
    )
