"""Leaves no process behind, whatever happens to the server.

Every job process carries the variable LOCALCLOUD_INSTANCE=<root>:<server pid>:<program>:, and its children inherit it.
Whoever carries it can be found and killed, in whatever process group or session it hides:
- when the program ends, as a container's end is the end of all that runs in it;
- at the end of `up`, and at the next `up` on the same root (`kill_marked`);
- at once when the server itself is killed: a watchdog, a tiny process of its own session, reads a pipe that only the
  server holds open and kills the marked processes when the pipe closes.

What gives itself an empty environment is not found. Linux only, as it reads /proc; elsewhere `kill_marked` finds
nothing and the process groups alone are ended.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_LOOKS, _LOOK_SECONDS = 500, 0.01
MARK = "LOCALCLOUD_INSTANCE"


def instance_mark(root: Path, server: int) -> str:
    """Return the mark of the jobs of one server."""
    return f"{root}:{server}:"


def kill_marked(prefix: str) -> list[int]:
    """Kill every process whose mark starts with `prefix`; return their process ids."""
    needle = f"\0{MARK}={prefix}".encode()
    killed = []
    # not by pathlib: this is paid at each program's end, and there may be many processes
    names = os.listdir("/proc") if sys.platform == "linux" else []  # noqa: PTH208 - see above
    for name in filter(str.isdigit, names):
        try:
            with open(f"/proc/{name}/environ", "rb", buffering=0) as variables:  # noqa: PTH123 - see above
                marked = needle in b"\0" + variables.read()
            if marked:
                os.kill(int(name), signal.SIGKILL)
                killed.append(int(name))
        except OSError:  # ended meanwhile, or another user's
            continue
    return killed


def kill_rest(prefix: str) -> None:
    """Kill as `kill_marked` until nothing is left: a dying process may have started another during the look.

    Gives up after some seconds, which only a process that waits for a broken device outlives.
    """
    for _ in range(_LOOKS):
        if not kill_marked(prefix):
            return
        time.sleep(_LOOK_SECONDS)


def start_watchdog(mark: str) -> "subprocess.Popen[bytes]":
    """Start the watchdog of this server; it ends by itself when the returned process's stdin closes."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={},
    )


def _watch() -> None:
    sys.stdin.buffer.read()
    # a second look catches what a dying process started during the first
    while kill_marked(sys.argv[1]):
        pass


if __name__ == "__main__":
    _watch()
