"""One process group: start, lines of output, wait with a limit, stop with grace, kill.

Waiting never polls: the end of the process, a stop request and the time limit wake the same event.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

LineSink = Callable[[str], None]
# A stray child may keep the pipe open after its group has been killed; do not wait for it for ever.
DRAIN_SECONDS = 5.0
# A longer line is delivered in pieces, as container runtimes do, so that no program fills the server's memory with one.
_LINE_CHARACTERS = 60_000


class ProgramError(Exception):
    """A program cannot be started: its arguments and variables are too long, or no text that a program can get."""


class StopRequest:
    """A wish to stop, made once, heard by everyone who waits for something.

    `abandoned` is the stronger wish: nobody is interested in what becomes of it any more.
    """

    def __init__(self) -> None:
        """Start without a wish."""
        self._lock = threading.Lock()
        self._requested = False
        self._listeners: list[Callable[[], None]] = []
        self.abandoned = False

    @property
    def requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self._requested

    def request(self) -> None:
        """Ask to stop; asking twice is asking once."""
        with self._lock:
            if self._requested:
                return
            self._requested = True
            listeners = list(self._listeners)
        with contextlib.ExitStack() as told:
            # a listener that fails must not keep the wish from the others; its error is raised after them
            for listener in reversed(listeners):
                told.callback(listener)

    def abandon(self) -> None:
        """Ask to stop at once and leave nothing."""
        self.abandoned = True
        self.request()

    def on_request(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the wish is made, or now if it already was."""
        with self._lock:
            self._listeners.append(listener)
            late = self._requested
        if late:
            listener()


class Cause(Enum):
    """Why a process ended."""

    EXITED = "exited"
    STOPPED = "stopped"
    TIMED_OUT = "timed out"


@dataclass(frozen=True)
class Ending:
    """How a process ended. `exit_code` is negative when a signal killed it."""

    exit_code: int
    cause: Cause

    @property
    def signal_name(self) -> str | None:
        """The signal that killed the process, if one did."""
        if self.exit_code >= 0:
            return None
        try:
            return signal.Signals(-self.exit_code).name
        except ValueError:
            return f"signal {-self.exit_code}"

    @property
    def shell_exit_code(self) -> int:
        """The exit code as a shell and a container runtime show it: 128 + n for signal n."""
        return 128 - self.exit_code if self.exit_code < 0 else self.exit_code


class JobProcess:
    """A program in a process group of its own."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        on_line: LineSink,
        kill_rest: Callable[[], None],
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start it.

        Args:
            argv: The program and its arguments.
            directory: Its working folder.
            environment: All its variables.
            on_line: Gets every line of its output.
            kill_rest: Called when the program has ended: kills what it started and is no longer in its group.
            pass_fds: File descriptors that it inherits.

        Raises:
            ProgramError: It cannot be started.
        """
        self._on_line = on_line
        self._kill_rest = kill_rest
        try:
            self._process = subprocess.Popen(
                list(argv),
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        except OSError as error:
            raise ProgramError(error.strerror) from error
        except ValueError as error:  # a zero byte, or a variable whose name holds a `=`
            raise ProgramError(str(error)) from error
        self.pid = self._process.pid
        self._exited = threading.Event()
        self._woken = threading.Event()
        self._reader = threading.Thread(target=self._read, name=f"lines-{self.pid}", daemon=True)
        self._waiter = threading.Thread(target=self._await_exit, name=f"exit-{self.pid}", daemon=True)
        self._reader.start()
        self._waiter.start()

    def wait(self, stop: StopRequest, *, limit: float | None, grace: float) -> Ending:
        """Wait for the end; on a stop request or after `limit` seconds end the group, with `grace` seconds to tidy."""
        stop.on_request(self._woken.set)
        in_time = self._woken.wait(limit)
        cause = Cause.EXITED
        if not self._exited.is_set():
            cause = Cause.STOPPED if in_time else Cause.TIMED_OUT
            self._signal_group(signal.SIGTERM)
            if not self._exited.wait(grace):
                self._signal_group(signal.SIGKILL)
                self._exited.wait()
        self._reader.join(DRAIN_SECONDS)
        return Ending(self._process.returncode, cause)

    def kill(self) -> None:
        """End the whole group at once and wait for it."""
        self._signal_group(signal.SIGKILL)
        self._exited.wait()
        self._reader.join(DRAIN_SECONDS)

    @property
    def ended(self) -> bool:
        """Whether the program has ended."""
        return self._exited.is_set()

    @property
    def ending(self) -> Ending:
        """How the program ended by itself; only valid once it has."""
        return Ending(self._process.returncode, Cause.EXITED)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._exited.is_set():  # the pid may belong to somebody else by now
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: stdout=PIPE above
        with self._process.stdout as lines:
            while line := lines.readline(_LINE_CHARACTERS):
                self._on_line(line.rstrip("\r\n"))

    def _await_exit(self) -> None:
        # Look without reaping: while the dead leader is still a zombie, its group id cannot be given to anyone else,
        # so its children that are left over (data loaders) can be killed by it safely.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        self._kill_rest()
        self._exited.set()
        self._woken.set()
