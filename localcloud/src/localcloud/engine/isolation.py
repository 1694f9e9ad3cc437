"""How a job comes to see its tree as /opt/ml.

NamespaceIsolation: a user and mount namespace of its own, in which an overlay lends /opt the folder `ml` and the
tree is bound there. Needs user namespaces and overlay mounts without privileges (Linux >= 5.11, not forbidden by
seccomp); works with and without root, without Docker.

PathIsolation: the documented fallback. `/opt/ml` is replaced by the tree's real path in arguments and environment
values. A program that spells `/opt/ml` in its own source does not find it there; everything else behaves the same.

Neither hides the rest of the machine from the job: this is a private tree, not a sandbox.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from localcloud.engine.tree import JOB_BASE, JobTree
from localcloud.errors import IsolationUnavailableError

MODES = ("auto", "namespace", "paths")

# `exec` throughout, so that the process which was started is the process that runs the program: one pid, one signal
_MOUNT_AND_EXEC = """
mount -t overlay overlay -o "lowerdir=$1:/opt" /opt && mount --rbind "$2" /opt/ml && cd "$3" || exit 125
shift 3
exec "$@"
"""
_JOB_BASE_PATTERN = re.compile(re.escape(JOB_BASE) + r"(?=$|[^\w.-])")


class Isolation(Protocol):
    """One way to give a job its /opt/ml."""

    name: str

    def command(self, tree: JobTree, argv: Sequence[str], directory: str) -> list[str]:
        """Return the host's command that runs `argv` in `directory` (below /opt/ml) so that it sees `tree`."""

    def environment(self, tree: JobTree, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the variables as the job has to get them."""

    def job_path(self, tree: JobTree, path: str) -> str:
        """Return what the job has to call `path` (a path below /opt/ml)."""


class NamespaceIsolation:
    """A private mount of the tree at the literal /opt/ml."""

    name = "namespace"

    def command(self, tree: JobTree, argv: Sequence[str], directory: str) -> list[str]:
        """Wrap `argv` into a new user and mount namespace."""
        lower = str(tree.path / "mountpoint")
        return ["unshare", "-Urm", "sh", "-c", _MOUNT_AND_EXEC, "sh", lower, str(tree.ml), directory, *argv]

    def environment(self, tree: JobTree, environment: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - protocol
        """Return the variables unchanged: /opt/ml is real here."""
        return dict(environment)

    def job_path(self, tree: JobTree, path: str) -> str:  # noqa: ARG002 - protocol
        """Return the path unchanged."""
        return path


class PathIsolation:
    """The fallback: /opt/ml is rewritten to the tree's path in arguments and variables."""

    name = "paths"

    def command(self, tree: JobTree, argv: Sequence[str], directory: str) -> list[str]:  # noqa: ARG002 - protocol
        """Rewrite the arguments; the process is started in the folder anyway."""
        return [self._rewrite(tree, argument) for argument in argv]

    def environment(self, tree: JobTree, environment: Mapping[str, str]) -> dict[str, str]:
        """Rewrite the values."""
        return {name: self._rewrite(tree, value) for name, value in environment.items()}

    def job_path(self, tree: JobTree, path: str) -> str:
        """Return the tree's path."""
        return self._rewrite(tree, path)

    @staticmethod
    def _rewrite(tree: JobTree, text: str) -> str:
        return _JOB_BASE_PATTERN.sub(lambda _: str(tree.ml), text)


def choose_isolation(mode: str, scratch: Path) -> Isolation:
    """Return the isolation for `mode`; `auto` takes namespaces where a trial run with one succeeds."""
    if mode == "paths":
        return PathIsolation()
    problem = _namespace_problem(scratch)
    if problem is None:
        return NamespaceIsolation()
    if mode == "namespace":
        message = (
            f"--isolation namespace: a private mount of {JOB_BASE} does not work on this machine ({problem}). "
            "Allow unprivileged user namespaces, or use --isolation paths."
        )
        raise IsolationUnavailableError(message)
    return PathIsolation()


def _namespace_problem(scratch: Path) -> str | None:
    """Return why a job could not be isolated by a namespace, or None when a trial run worked."""
    if shutil.which("unshare") is None:
        return "the program `unshare` is missing"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        if any(character in folder for character in ":,\\"):
            return f"the path {folder} has a character that mount options cannot hold"
        tree = JobTree(Path(folder) / "trial")
        (tree.ml / "seen").touch()
        command = NamespaceIsolation().command(tree, ["test", "-e", f"{JOB_BASE}/seen"], JOB_BASE)
        trial = subprocess.run(command, capture_output=True, text=True, check=False)
    if trial.returncode == 0:
        return None
    return trial.stderr.strip() or f"exit code {trial.returncode}"
