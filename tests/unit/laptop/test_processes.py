from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, TypeVar

import psutil
import pytest

from deploy.laptop.errors import ServiceFailed
from deploy.laptop.processes import Service, require_free_port, stop
from deploy.laptop.profile import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Found = TypeVar("Found")

# starts a child in a group of its own, as Airflow's supervisor does with a task, and says its process id
_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
print(child.pid, flush=True)
time.sleep(600)
"""
_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def service(program: str, folder: Path) -> Service:
    """A service that runs a Python program."""
    return Service("probe", [sys.executable, "-c", program], environment={}, log=folder / "probe.log", folder=folder)


def until(look: Callable[[], Found], seconds: float = 10.0) -> Found:
    """Return what ``look`` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def gone(pid: int) -> bool:
    """Whether a process has ended (one that nobody has waited for yet has ended as well)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_what_a_service_started_ends_with_it(tmp_path: Path) -> None:
    """A grandchild in another process group is ended too."""
    parent = service(_PARENT, tmp_path)
    child = int(until(lambda: parent.log.read_text(encoding="utf-8").strip()))

    stop([parent])

    assert gone(parent.pid)
    assert gone(child)


def test_a_service_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """Stopping ends in time."""
    stubborn = service(_STUBBORN, tmp_path)
    until(lambda: stubborn.log.read_text(encoding="utf-8"))

    stop([stubborn], grace_seconds=0.2)

    assert -signal.SIGKILL == stubborn.process.returncode


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_service_does_not_outlive_its_starter(tmp_path: Path) -> None:
    """Even a SIGKILL of the starter leaves nothing running."""
    starter = (
        "import sys, time; from pathlib import Path; from deploy.laptop.processes import Service\n"
        "folder = Path(sys.argv[1])\n"
        "made = Service('probe', [sys.executable, '-c', 'import time; time.sleep(600)'],\n"
        "               environment={}, log=folder / 'probe.log', folder=folder)\n"
        "print(made.pid, flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", starter, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    )
    with process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)

    assert until(lambda: gone(pid))


def test_a_service_that_ended_says_why(tmp_path: Path) -> None:
    """The message carries the exit code and the end of the log."""
    failed = service("import sys; sys.exit('the database is missing')", tmp_path)
    failed.process.wait()

    with pytest.raises(ServiceFailed, match=r"probe: it ended with exit code 1(.|\n)*the database is missing"):
        failed.require_running()


def test_a_taken_port_is_named_with_the_way_out() -> None:
    """What, where, rule and remedy."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(
            ServiceFailed, match=rf"localcloud: port {port} on 127.0.0.1 cannot be bound .*CLOUD_PORT=<port>"
        ):
            require_free_port("localcloud", port, "CLOUD_PORT")
