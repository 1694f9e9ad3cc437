"""A service as a child process: started in a process group of its own, logged to a file, and ended with all it started.

How it works: the terminal's Ctrl-C reaches only this process, because a child has its own group; the child ends with
this process because it is tied to it (``tied_to_parent``). Airflow's tasks make groups of their own below the
scheduler's, so the end goes by the tree of descendants as well as by the group.

What it does not do: restart anything. Known limitation: a tie holds to the thread that started the child, so start
services from the main thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from deploy.laptop.errors import ServiceFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_TIE = Path(__file__).with_name("tied_to_parent.py")
_POLL_SECONDS = 0.05


class Service:
    """One child process.

    Args:
        name: What messages call it.
        command: The program (a path) and its arguments.
        environment: All of its environment.
        log: The file that takes both of its output streams, replaced at start.
        folder: Its working directory.
        separate_output: Whether standard output goes to the pipe ``process.stdout`` instead of the log.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        folder: Path,
        separate_output: bool = False,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_TIE), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if separate_output else output,
                stderr=output,
                env=dict(environment),
                cwd=folder,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """Its process id, which is also its group's."""
        return self.process.pid

    def require_running(self) -> None:
        """Return when it runs.

        Raises:
            ServiceFailed: it has ended; the message carries the end of its log.
        """
        code = self.process.poll()
        if code is not None:
            raise ServiceFailed(
                self.name,
                f"it ended with {describe_exit(code)}; the end of {self.log}:\n{end_of(self.log)}\n",
                rule="a service runs until it is asked to stop",
                remedy="correct what its log says, then start again",
            )


def stop(services: Iterable[Service], *, grace_seconds: float = 8.0) -> None:
    """End the services and everything they started: SIGTERM to all, after ``grace_seconds`` SIGKILL to what is left."""
    with _undisturbed():
        _stop(list(services), grace_seconds)


def _stop(services: Sequence[Service], grace_seconds: float) -> None:
    family = set[psutil.Process]()
    for service in services:
        family |= _descendants(service)
    for service in services:
        _signal_group(service, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline:
        for service in services:
            family |= _descendants(service)
        # what outlives the service that would have ended it has nobody left to ask it
        if not any(service.process.poll() is None for service in services):
            break
        time.sleep(_POLL_SECONDS)
    for service in services:
        _signal_group(service, signal.SIGKILL)
    for process in _living(family):
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(_living(family), timeout=grace_seconds)
    for service in services:
        service.process.wait()
        if service.process.stdout is not None:
            service.process.stdout.close()


def end_of(log: Path, lines: int = 30) -> str:
    """Return the last lines of a log, indented."""
    try:
        content = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "    (there is no such file)"
    return "\n".join(f"    {line}" for line in content.splitlines()[-lines:]) or "    (it is empty)"


def describe_exit(code: int) -> str:
    """Say how a process ended: ``exit code 1``, ``signal SIGKILL``."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def require_free_port(name: str, port: int, variable: str, host: str = "127.0.0.1") -> None:
    """Return when nothing listens on the port.

    Raises:
        ServiceFailed: it is taken. The message names ``variable``, the make variable that sets another port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServiceFailed(
                name,
                f"port {port} on {host} cannot be bound ({error.strerror})",
                rule="each service has a port of its own",
                remedy=f"stop what listens there (`make down` stops what `make up` left), or choose another port "
                f"with {variable}=<port>",
            ) from error


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port on which nothing listens now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let an impatient second Ctrl-C not keep services from being stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal_group(service: Service, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(service.pid, number)


def _descendants(service: Service) -> set[psutil.Process]:
    try:
        return set(psutil.Process(service.pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return set()


def _living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    living = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
    return living
