"""Run a command that ends when the process that started it ends, however that one ends.

How it works: asks Linux for SIGTERM at the parent's death, checks that the parent is not dead already, then becomes the
command. On other systems the command just runs: an orderly end of the parent stops it there.

Usage: ``python -I -S tied_to_parent.py PARENT_PID COMMAND [ARGUMENT …]``. Standard library only, imported by nobody.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent and become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - becoming the command is what this program is for


if __name__ == "__main__":
    main()
