"""End what ``up`` (or a demo) runs on this laptop, and wait until it has ended.

python -m deploy.laptop.down
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

from deploy.laptop.laptop import FOLDER, user_of

_DEADLINE_SECONDS = 60.0
_POLL_SECONDS = 0.1


def main() -> int:
    """Ask the process that runs the services to end; return the exit code."""
    pid = user_of(FOLDER)
    if pid is None:
        sys.stdout.write("nothing runs\n")
        return 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while user_of(FOLDER) == pid:
        if time.monotonic() > deadline:
            sys.stderr.write(
                f"process {pid} still runs {_DEADLINE_SECONDS:.0f} s after SIGTERM. Rule: it ends everything it "
                f"started within that time. Remedy: look at what it does, or end it with `kill -9 {pid}`.\n"
            )
            return 1
        time.sleep(_POLL_SECONDS)
    sys.stdout.write("everything is stopped\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
