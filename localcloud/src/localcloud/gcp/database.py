"""Opens the SQLite files of the Google half: for their user alone, and only those that this version can read."""

import sqlite3
from pathlib import Path

from localcloud.errors import StateError


def opened(file: Path, schema: str, version: int) -> sqlite3.Connection:
    """Open or create a database for all threads of this process; its user makes sure that one at a time writes.

    A change survives the process as soon as it is made; nothing waits for the disk.

    Args:
        file: The file; its folder exists.
        schema: Statements that make what does not exist yet.
        version: The number of this schema. It changes with what is kept, not with what is done with it.

    Raises:
        StateError: It is no database, or one of another version.
    """
    file.touch(mode=0o600)
    try:
        connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON;")
        (kept,) = connection.execute("PRAGMA user_version").fetchone()
        if kept in {0, version}:
            connection.executescript(f"{schema}\nPRAGMA user_version={version};")
            return connection
    except sqlite3.DatabaseError as error:
        raise _unreadable(file, str(error)) from error
    connection.close()
    raise _unreadable(file, f"it has the version {kept}, and this localcloud reads version {version}")


def _unreadable(file: Path, why: str) -> StateError:
    return StateError(
        f"state {file}: cannot be read ({why}). Nothing was changed. Choose another --root, or delete the file's "
        "folder to begin without what it holds."
    )
