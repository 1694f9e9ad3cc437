"""How a job comes to see its tree as /opt/ml, and nothing of the others.

NamespaceIsolation: user, mount and UTS namespaces of its own, in which an overlay lends /opt the folder `ml` and the
tree is bound there. The cloud's own folder (other jobs' trees, records, logs) is covered by an empty one; the job's own
tree and the environments stay where they are. /etc/hosts names the hosts of the job's cluster, the host name is its
own. Needs user namespaces and overlay mounts without privileges (Linux >= 5.11, not forbidden by seccomp); works with
and without root, without Docker.

PathIsolation: the documented fallback. `/opt/ml` is replaced by the tree's real path in arguments and environment
values. A program that spells `/opt/ml` in its own source does not find it there; the names of its cluster's hosts do
not resolve; a program that guesses the path of another job's tree can read it. Everything else behaves the same.

Further folders may be shown to a program (`mounts`), each at an absolute path that the machine need not have.
Namespaces give it a root of its own for that, made of the machine's folders and the new ones; paths are rewritten
otherwise.

Neither is a security boundary against hostile code: the rest of the machine is the user's own, with the user's rights.
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
tree=$1 hidden=$2 environments=$3 directory=$4 mounts=$5
shift 5
# the job's variables may say otherwise
path=$PATH
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
set -e
trap 'exit 125' EXIT
# below the tree, so that they stay when the cloud's folder is covered
number=0 places=
while [ "$number" -lt "$mounts" ]; do
    mkdir -p "$tree/mounts/$number"
    mount --rbind "$2" "$tree/mounts/$number"
    places="$places $1"
    number=$((number + 1))
    shift 2
done
mount -t overlay overlay -o "lowerdir=$tree/mountpoint:/opt" /opt
mount --rbind "$tree/ml" /opt/ml
if [ -e "$tree/hosts" ]; then mount --bind "$tree/hosts" /etc/hosts; fi
mount --rbind "$tree" /opt/tree
if [ -n "$environments" ]; then mount --rbind "$environments" /opt/environments; fi
mount -t tmpfs -o size=64k,mode=755 tmpfs "$hidden"
mkdir -p "$tree"
mount --rbind /opt/tree "$tree"
if [ -n "$environments" ]; then mkdir -p "$environments"; mount --rbind /opt/environments "$environments"; fi
if [ "$mounts" -eq 0 ]; then
    cd "$directory"
    PATH=$path
    exec "$@"
fi
root=$tree/scratch
mount -t tmpfs -o size=64k,mode=755 tmpfs "$root"
for entry in /* /.[!.]*; do
    if [ -L "$entry" ]; then cp -P "$entry" "$root$entry"
    elif [ -d "$entry" ]; then mkdir "$root$entry"; mount --rbind "$entry" "$root$entry"
    elif [ -e "$entry" ]; then : > "$root$entry"; mount --bind "$entry" "$root$entry"
    fi
done
number=0
for place in $places; do
    mkdir -p "$root$place"
    mount --rbind "$tree/mounts/$number" "$root$place"
    number=$((number + 1))
done
chroot=$(command -v chroot)
PATH=$path
exec "$chroot" "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$directory" "$@"
"""


# a path (without spaces) that a program is shown, and the host's folder behind it
Mounts = Mapping[str, Path]
_PATH_END = r"(?=$|[^\w.-])"


class Isolation(Protocol):
    """One way to give a job its /opt/ml."""

    name: str
    # whether a job has a host name and an /etc/hosts of its own
    names_hosts: bool
    # whether a job can be kept from the network
    cuts_network: bool

    def command(
        self, tree: JobTree, argv: Sequence[str], directory: str, *, mounts: Mounts, offline: bool = False
    ) -> list[str]:
        """Return the host's command that runs `argv` in `directory` (below /opt/ml) so that it sees `tree`."""

    def temporary_folder(self, tree: JobTree) -> str:
        """Return where the job finds the tree's folder for temporary files."""

    def environment(self, tree: JobTree, environment: Mapping[str, str], mounts: Mounts) -> dict[str, str]:
        """Return the variables as the job has to get them."""


class NamespaceIsolation:
    """A private mount of the tree at the literal /opt/ml.

    Args:
        hidden: The cloud's folder, below which a job sees its own tree only.
        environments: The folder of the jobs' environments, which stay visible if they lie below `hidden`.
    """

    name = "namespace"
    names_hosts = True
    cuts_network = True

    def __init__(self, hidden: Path, environments: Path) -> None:
        """Hide one folder."""
        self._hidden = str(hidden)
        self._environments = str(environments) if environments.is_relative_to(hidden) else ""

    def command(
        self, tree: JobTree, argv: Sequence[str], directory: str, *, mounts: Mounts, offline: bool = False
    ) -> list[str]:
        """Wrap `argv` into new user, mount and UTS namespaces, and a network namespace with nothing in it."""
        places = [str(tree.path), self._hidden, self._environments, directory, str(len(mounts))]
        places += [part for place, folder in mounts.items() for part in (place, str(folder))]
        namespaces = "-Urmun" if offline else "-Urmu"
        return [
            shutil.which("unshare") or "unshare",
            namespaces,
            "/bin/sh",
            "-c",
            _MOUNT_AND_EXEC,
            "sh",
            *places,
            *argv,
        ]

    def temporary_folder(self, tree: JobTree) -> str:  # noqa: ARG002 - protocol
        """Return a short path, as the address of a local socket below it may have 107 characters only."""
        return "/opt/tree/tmp"

    def environment(
        self,
        tree: JobTree,  # noqa: ARG002 - protocol
        environment: Mapping[str, str],
        mounts: Mounts,  # noqa: ARG002 - protocol
    ) -> dict[str, str]:
        """Return the variables unchanged: /opt/ml is real here."""
        return dict(environment)


class PathIsolation:
    """The fallback: /opt/ml is rewritten to the tree's path in arguments and variables."""

    name = "paths"
    names_hosts = False
    cuts_network = False

    def command(
        self,
        tree: JobTree,
        argv: Sequence[str],
        directory: str,  # noqa: ARG002 - protocol
        *,
        mounts: Mounts,
        offline: bool = False,  # noqa: ARG002 - protocol
    ) -> list[str]:
        """Rewrite the arguments; the process is started in the folder anyway."""
        return [self._rewrite(tree, argument, mounts) for argument in argv]

    def temporary_folder(self, tree: JobTree) -> str:
        """Return its real path."""
        return str(tree.tmp)

    def environment(self, tree: JobTree, environment: Mapping[str, str], mounts: Mounts) -> dict[str, str]:
        """Rewrite the values."""
        return {name: self._rewrite(tree, value, mounts) for name, value in environment.items()}

    @staticmethod
    def _rewrite(tree: JobTree, text: str, mounts: Mounts) -> str:
        for place, folder in {JOB_BASE: tree.ml, **mounts}.items():
            text = str(folder).join(re.split(re.escape(place) + _PATH_END, text))
        return text


def choose_isolation(mode: str, root: Path, environments: Path) -> Isolation:
    """Return the isolation for `mode`; `auto` takes namespaces where a trial run with one succeeds.

    Args:
        mode: One of MODES.
        root: The cloud's folder, which jobs shall not see.
        environments: The folder of the jobs' environments, which they need.

    Raises:
        IsolationUnavailableError: `namespace` was asked for and does not work here.
    """
    if mode == "paths":
        return PathIsolation()
    environments.mkdir(parents=True, exist_ok=True)
    namespace = NamespaceIsolation(root, environments)
    problem = _problem_with(namespace, root / "jobs")
    if problem is None:
        return namespace
    if mode == "namespace":
        message = (
            f"--isolation namespace: a private mount of {JOB_BASE} does not work on this machine ({problem}). "
            "Allow unprivileged user namespaces, or use --isolation paths."
        )
        raise IsolationUnavailableError(message)
    return PathIsolation()


def _problem_with(namespace: NamespaceIsolation, scratch: Path) -> str | None:
    """Return why a job could not be isolated by a namespace, or None when a trial run worked."""
    if shutil.which("unshare") is None:
        return "the program `unshare` is missing"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        if any(character in folder for character in ":,\\"):
            return f"the path {folder} has a character that mount options cannot hold"
        tree = JobTree(Path(folder) / "trial")
        (tree.ml / "seen").touch()
        command = namespace.command(tree, ["test", "-e", f"{JOB_BASE}/seen"], JOB_BASE, mounts={})
        trial = subprocess.run(command, capture_output=True, text=True, check=False)
    if trial.returncode == 0:
        return None
    return trial.stderr.strip() or f"exit code {trial.returncode}"
