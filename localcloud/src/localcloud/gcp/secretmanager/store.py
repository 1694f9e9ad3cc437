"""What Secret Manager keeps, in SQLite: each secret and each version as the message that describes it, and payloads.

A change is written before its answer leaves, so that a client never sees what a SIGKILL could take back; nothing waits
for the disk, so a power cut may. The file is its user's alone (mode 0600); what it holds is not encrypted, as no value
of a local cloud is a secret.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.cloud.secretmanager_v1.types import Secret, SecretVersion

from localcloud.gcp.database import opened
from localcloud.gcp.secretmanager.names import SecretName

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    secret TEXT NOT NULL,
    described BLOB NOT NULL,
    UNIQUE (project, secret)
);
CREATE TABLE IF NOT EXISTS versions (
    secret INTEGER NOT NULL REFERENCES secrets (number) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    described BLOB NOT NULL,
    payload BLOB,
    PRIMARY KEY (secret, version)
);
"""


@dataclass(frozen=True)
class KeptSecret:
    """A secret and the number that its versions are kept under."""

    number: int
    described: Secret


@dataclass(frozen=True)
class KeptVersion:
    """A version and its payload; None when it was destroyed."""

    number: int
    described: SecretVersion
    payload: bytes | None


class Store:
    """The file. `changing` is held around what reads and then writes."""

    def __init__(self, file: Path) -> None:
        """Open or create it.

        Raises:
            StateError: It cannot be read.
        """
        self._lock = threading.RLock()
        self._connection = opened(file, _SCHEMA, version=1)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Let nobody else read or write until the block ends; keep all or nothing of what it wrote."""
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def secrets(self, project: str) -> list[KeptSecret]:
        """Return a project's secrets, the newest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT number, described FROM secrets WHERE project = ? ORDER BY number DESC", (project,)
            ).fetchall()
        return [KeptSecret(number, Secret.deserialize(described)) for number, described in rows]

    def secret(self, name: SecretName) -> KeptSecret | None:
        """Return a secret."""
        with self._lock:
            row = self._connection.execute(
                "SELECT number, described FROM secrets WHERE project = ? AND secret = ?", (name.project, name.secret)
            ).fetchone()
        return KeptSecret(row[0], Secret.deserialize(row[1])) if row else None

    def write_secret(self, name: SecretName, described: Secret) -> None:
        """Create a secret, or describe it anew."""
        with self._lock:
            self._connection.execute(
                "INSERT INTO secrets (project, secret, described) VALUES (?, ?, ?) "
                "ON CONFLICT (project, secret) DO UPDATE SET described = excluded.described",
                (name.project, name.secret, Secret.serialize(described)),
            )

    def delete_secret(self, secret: KeptSecret) -> None:
        """Remove a secret with all its versions."""
        with self._lock:
            self._connection.execute("DELETE FROM secrets WHERE number = ?", (secret.number,))

    def versions(self, secret: KeptSecret) -> list[KeptVersion]:
        """Return a secret's versions, the newest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT version, described, payload FROM versions WHERE secret = ? ORDER BY version DESC",
                (secret.number,),
            ).fetchall()
        return [KeptVersion(number, SecretVersion.deserialize(described), data) for number, described, data in rows]

    def write_version(self, secret: KeptSecret, version: KeptVersion) -> None:
        """Add a version, or describe it anew."""
        with self._lock:
            self._connection.execute(
                "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?)",
                (secret.number, version.number, SecretVersion.serialize(version.described), version.payload),
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
