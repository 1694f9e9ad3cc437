"""How `env`, `status` and `down` find the cloud that runs on a root: a small file, and a lock that tells the truth.

The running server holds `<root>/lock`; the lock ends with the process, however that ends. `<root>/cloud.json` says
where it answers. A file without a held lock is a leftover and counts as nothing.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from pathlib import Path

from localcloud.errors import NotRunningError, RootInUseError
from localcloud.gcp.clients import GoogleEndpoints

_STATE, _LOCK = "cloud.json", "lock"


@dataclass(frozen=True)
class RunningCloud:
    """Where a running cloud answers; `google` is None when its Google half does not run."""

    endpoint: str
    pid: int
    root: str
    google: GoogleEndpoints | None = None


def lock_root(root: Path) -> TextIOWrapper:
    """Take the root for this process; keep the returned file open for as long as it is needed."""
    root.mkdir(parents=True, exist_ok=True)
    file = (root / _LOCK).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        message = (
            f"root {root}: another local cloud runs on it, and a root serves one at a time. "
            f"End it with `localcloud down --root {root}`, or choose another --root."
        )
        raise RootInUseError(message) from error
    return file


def publish(root: Path, endpoint: str, google: GoogleEndpoints | None = None) -> None:
    """Say where this process answers."""
    part = root / f"{_STATE}.part"
    part.write_text(json.dumps(asdict(RunningCloud(endpoint, os.getpid(), str(root), google))))
    part.rename(root / _STATE)


def withdraw(root: Path) -> None:
    """Remove what `publish` wrote."""
    (root / _STATE).unlink(missing_ok=True)


def is_locked(root: Path) -> bool:
    """Whether a server holds the root."""
    try:
        with (root / _LOCK).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def find_running(root: Path) -> RunningCloud:
    """Return the cloud that runs on `root`."""
    try:
        written = json.loads((root / _STATE).read_text())
        google = GoogleEndpoints(**written["google"]) if written.get("google") else None
        state = RunningCloud(**{**written, "google": google})
    except FileNotFoundError:
        state = None
    if state is None or not is_locked(root):
        message = f"root {root}: no local cloud runs on it. Start one with `localcloud up --root {root}`."
        raise NotRunningError(message)
    return state
