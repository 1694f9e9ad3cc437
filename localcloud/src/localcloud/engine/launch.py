"""Started inside the job's isolation, just before the user's program: ties the process to the server's life.

Run as a script by the server's own interpreter: `launch.py <server pid> <program> [arguments…]`. Asks Linux to kill
the process when its parent (the server) dies, then becomes the program. Elsewhere the request is skipped and
`localcloud.engine.orphans` alone cleans up.

Standard library only, few imports: this is paid by every job.
"""

import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9
COMMAND_NOT_FOUND = 127
COMMAND_NOT_EXECUTABLE = 126


def main() -> None:
    """Become the program that the arguments name."""
    server, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - not needed elsewhere

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() != server:  # it died before the request was in place
            sys.exit(128 + SIGKILL)
    try:
        os.execvp(program[0], program)  # noqa: S606 - running the user's program is the purpose
    except FileNotFoundError:
        sys.stderr.write(f"{program[0]}: no such program in the job's environment\n")
        sys.exit(COMMAND_NOT_FOUND)
    except OSError as error:
        sys.stderr.write(f"{program[0]}: {error.strerror}\n")
        sys.exit(COMMAND_NOT_EXECUTABLE)


main()
