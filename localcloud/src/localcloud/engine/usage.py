"""What the programs of a host use of the machine, read from /proc.

The processes of a host are those whose HOME lies in its tree, whatever process group they are in. Linux only: elsewhere
nothing is found.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcloud.engine.tree import JobTree


@dataclass(frozen=True)
class Usage:
    """What one host uses at a moment.

    Args:
        processor: Seconds of processor time that its processes have used so far.
        memory: Bytes of memory that they hold.
        disk: The used part of the file system that holds the tree, from 0 to 1.
    """

    processor: float
    memory: int
    disk: float


def usages(trees: Iterable[JobTree]) -> list[Usage]:
    """Return the usage of each tree's host; /proc is read once for all of them."""
    folders = list(trees)
    needles = [f"HOME={tree.path}/".encode() for tree in folders]
    processor, memory = [0.0] * len(folders), [0] * len(folders)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            number = next(n for n, needle in enumerate(needles) if any(item.startswith(needle) for item in variables))
            # the name may hold spaces and parentheses; the numbers follow its end
            numbers = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (OSError, StopIteration):  # ended meanwhile, another user's, or none of theirs
            continue
        # utime, stime and those of children that have ended
        processor[number] += sum(int(ticks) for ticks in numbers[11:15]) / os.sysconf("SC_CLK_TCK")
        memory[number] += int(numbers[21]) * os.sysconf("SC_PAGE_SIZE")
    return [Usage(processor[n], memory[n], _disk(tree.path)) for n, tree in enumerate(folders)]


def _disk(path: Path) -> float:
    try:
        found = os.statvfs(path)
    except OSError:  # the job has just ended
        return 0.0
    return 1 - found.f_bavail / found.f_blocks if found.f_blocks else 0.0
