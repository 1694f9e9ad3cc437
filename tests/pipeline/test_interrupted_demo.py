"""The demo, interrupted as a user interrupts it: whatever ran then, nothing is left, and the next start is a clean one.

Each run is a process group of its own, as a shell makes one, in a copy of the project. What is left is looked for in
/proc by every sign that a process of this copy carries: its arguments, its environment, its working directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.laptop.airflow_rest import AirflowRest
from deploy.laptop.cloud import running_cloud, s3_client
from deploy.laptop.processes import free_port
from deploy.laptop.profile import HOST, USER
from include.core.lake import Lake
from tests.pipeline.running import copy_of_the_project, training_request, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a /proc to look into")

INTERRUPTED = 130
END_SECONDS = 60.0
# what was asked to end and has nobody left who waits for it
FADING_SECONDS = 5.0
_JOBS_DAG = "probe_training"
_STAYS = """
import subprocess, sys, time
program = "import time; time.sleep(600)  # in a session of its own"
subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
time.sleep(600)
"""


class Demo:
    """One run of the demo in a copy of the project.

    Args:
        project: The copy.
        ports: Where its cloud and its Airflow listen.
    """

    def __init__(self, project: Path, ports: tuple[int, int]) -> None:
        self.project = project
        self.ports = ports
        self.home = project / ".local" / "demo" / "airflow"
        self._output = project / "output.txt"
        cloud, airflow = map(str, ports)
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.laptop.demo", "--cloud-port", cloud, "--airflow-port", airflow],
                cwd=project,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self._output.read_text(encoding="utf-8")

    def wait_until(self, look: Callable[[], bool], what: str) -> None:
        """Return when the look finds something; a demo that ends before fails the test."""

        def come() -> bool | None:
            assert self.process.poll() is None, self.output
            return look() or None

        wait_for(come, what)

    def runs(self, arguments: bytes) -> bool:
        """Return whether a process of this copy has these arguments."""
        return any(arguments in arguments_of(pid) for pid in left_of(self.project))

    def press_ctrl_c(self) -> None:
        """Signal as a terminal does: the whole group in the foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ask_to_end(self) -> None:
        """Signal as `kill` and `make down` do: the one process."""
        self.process.terminate()


def the_cloud_starts(demo: Demo) -> None:
    """Nothing but the local cloud is on its way."""
    demo.wait_until(lambda: demo.runs(b"localcloud\0up\0"), "the local cloud")


def airflow_starts(demo: Demo) -> None:
    """The database is migrated, the components are on their way."""
    demo.wait_until(lambda: demo.runs(b"airflow\0scheduler\0"), "the scheduler")


def months_land(demo: Demo) -> None:
    """Everything runs."""
    demo.wait_until(lambda: "Airflow is healthy" in demo.output, "a healthy Airflow")


def a_job_runs(demo: Demo) -> None:
    """A task's remote job has a process, which has one in a session of its own, as data loaders may have."""
    months_land(demo)
    environment = running_cloud(demo.project / ".local" / "cloud")
    request = training_request(Lake(s3_client(environment), "s3://flightdeck-lake"), "stays", _STAYS)
    password = json.loads((demo.home / "passwords.json").read_text(encoding="utf-8"))[USER]
    rest = AirflowRest(f"http://{HOST}:{demo.ports[1]}", USER, password)
    with contextlib.closing(rest):
        demo.wait_until(lambda: _JOBS_DAG in rest.dag_ids(), f"{_JOBS_DAG} to be parsed")
        rest.unpause(_JOBS_DAG)
        rest.trigger(_JOBS_DAG, {"request": request})
    demo.wait_until(lambda: demo.runs(b"in a session of its own"), "the job")


def left_of(project: Path) -> dict[int, str]:
    """Return what runs of a copy of the project: process ids, and the arguments to recognise them by."""
    sign, found = os.fsencode(project), {}
    for folder in Path("/proc").glob("[0-9]*"):
        # it may end at any time
        with contextlib.suppress(OSError):
            arguments = (folder / "cmdline").read_bytes()
            signs = (arguments, (folder / "environ").read_bytes(), os.fsencode((folder / "cwd").readlink()))
            if any(sign in each for each in signs):
                found[int(folder.name)] = arguments.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def arguments_of(pid: int) -> bytes:
    """Return a process's arguments, each ended by a zero byte; none when it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def descendants(pid: int) -> set[int]:
    """Return the living processes that a process has started, and those that they have."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # the name in brackets may hold anything; state and parent follow
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(folder.name))
    found, ahead = set[int](), [pid]
    while ahead:
        new = children.get(ahead.pop(), [])
        found |= {*new}
        ahead += new
    return found


def listens(port: int) -> bool:
    """Return whether somebody takes connections at a port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    """Two ports that nobody uses; every run gets the same."""
    return free_port(), free_port()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project; every run finds what the one before left."""
    copy = copy_of_the_project(tmp_path_factory.mktemp("interrupted") / "project")
    shutil.copy(Path(__file__).with_name("dags") / f"{_JOBS_DAG}.py", copy / "dags")
    return copy


@pytest.fixture
def demo(project: Path, ports: tuple[int, int]) -> Iterator[Demo]:
    """A run of the demo; what a failed test leaves of it is killed."""
    started = Demo(project, ports)
    yield started
    while left := left_of(project):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.process.wait(0.1)


def interrupt_and_look(demo: Demo, interrupt: Callable[[Demo], None]) -> None:
    """Interrupt the demo; fail unless it says so and is gone with all that it started."""
    started = {demo.process.pid} | descendants(demo.process.pid)
    hidden = started - {*left_of(demo.project)}
    assert set() == {pid for pid in hidden if arguments_of(pid)}, "processes that would not be found if they were left"

    interrupt(demo)

    assert INTERRUPTED == demo.process.wait(END_SECONDS), demo.output
    assert demo.output.rstrip().endswith("interrupted; everything is stopped")
    left = left_of(demo.project)
    wait_for(lambda: None if left_of(demo.project) else True, f"the end of what was left: {left}", FADING_SECONDS)
    assert [] == [port for port in demo.ports if listens(port)]


@pytest.mark.parametrize(
    ("reach", "interrupt"),
    [
        pytest.param(the_cloud_starts, Demo.press_ctrl_c, id="ctrl-c while the cloud starts"),
        pytest.param(airflow_starts, Demo.ask_to_end, id="sigterm while Airflow starts"),
    ],
)
def test_an_interrupted_demo_leaves_nothing(
    demo: Demo, reach: Callable[[Demo], None], interrupt: Callable[[Demo], None]
) -> None:
    """No process is left and no port taken; what an interrupted run left on the disk is no obstacle to the next."""
    reach(demo)

    interrupt_and_look(demo, interrupt)


@pytest.mark.verify
@pytest.mark.parametrize(
    ("reach", "interrupt"),
    [
        pytest.param(airflow_starts, Demo.press_ctrl_c, id="ctrl-c while Airflow starts"),
        pytest.param(months_land, Demo.press_ctrl_c, id="ctrl-c while months land"),
        pytest.param(a_job_runs, Demo.press_ctrl_c, id="ctrl-c while a job runs"),
        pytest.param(a_job_runs, Demo.ask_to_end, id="sigterm while a job runs"),
    ],
)
def test_nothing_is_left_at_other_moments_either(
    demo: Demo, reach: Callable[[Demo], None], interrupt: Callable[[Demo], None]
) -> None:
    """The same, at moments whose reaching costs as much again."""
    reach(demo)

    interrupt_and_look(demo, interrupt)
