"""Started inside the job's isolation, just before the user's program: ties it to the server's life and its limits.

Run as a script by the server's own interpreter: `launch.py <server pid> <host name> <offline> <bytes> <seconds>
<program> [arguments…]`. Asks Linux to kill the process when its parent (the server) dies, takes the host name (empty:
keeps the machine's), switches the loopback of an empty network on (`offline` is 1), limits the address space to so many
bytes and the processor time to so many seconds (0: no limit), then becomes the program. Where the first request is not
known, `localcloud.engine.orphans` alone cleans up.

Standard library only, few imports: this is paid by every job.
"""

import fcntl
import os
import resource
import socket
import struct
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9
# Linux's request to set an interface's flags, and the flags
SIOCSIFFLAGS = 0x8914
IFF_UP, IFF_RUNNING = 0x1, 0x40
COMMAND_NOT_FOUND = 127
COMMAND_NOT_EXECUTABLE = 126


def main() -> None:
    """Become the program that the arguments name."""
    server, host, offline, memory, seconds = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "1", *map(int, sys.argv[4:6])
    program = sys.argv[6:]
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - not needed elsewhere

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() != server:  # it died before the request was in place
            sys.exit(128 + SIGKILL)
    if host:
        socket.sethostname(host)
    if offline:
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))
    for kind, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds)):
        if limit:
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        os.execvp(program[0], program)  # noqa: S606 - running the user's program is the purpose
    except FileNotFoundError:
        sys.stderr.write(f"{program[0]}: no such program in the job's environment\n")
        sys.exit(COMMAND_NOT_FOUND)
    except OSError as error:
        sys.stderr.write(f"{program[0]}: {error.strerror}\n")
        sys.exit(COMMAND_NOT_EXECUTABLE)


main()
