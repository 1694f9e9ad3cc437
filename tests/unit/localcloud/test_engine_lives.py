"""What becomes of programs, trees and jobs in the engine when something goes wrong, without any cloud above it."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcloud.engine.engine import Engine, Host, Job, Outcome, Program
from localcloud.engine.environments import Environments
from localcloud.engine.isolation import PathIsolation
from localcloud.engine.processes import Cause, ProgramError, StopRequest
from localcloud.engine.store import JobStatus
from localcloud.engine.tree import JobTree
from tests.contract.local_cloud import is_alive, until


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the engine's folder."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def engine(root: Path, tmp_path: Path) -> Iterator[Engine]:
    """Return an engine with one slot."""
    running = Engine(
        root,
        environments=Environments(tmp_path / "environments"),
        isolation=PathIsolation(),
        slots=1,
        grace=60,
    )
    yield running
    running.close()


def lived(engine: Engine, work: Callable[[Job], Outcome], hosts: tuple[Host, ...] = (Host("algo-1"),)) -> str:
    """Run a job to its end; return its status and reason."""
    job = engine.prepare("training", "lives", hosts)
    engine.submit(job, work)

    def ended() -> str | None:
        row = engine.rows()[job.identity - 1]
        return f"{row.status} {row.reason}" if row.ended else None

    return until(ended, "the end of the job")


def shell(script: str) -> Program:
    """Return a program of the shell."""
    return Program(["/bin/sh", "-c", script])


def test_what_left_its_group_ends_with_its_program(engine: Engine) -> None:
    """A process in a session of its own that a program leaves behind is dead when the program's end is told."""
    lines: list[str] = []
    alive: list[bool] = []

    def work(job: Job) -> Outcome:
        ending = job.run(shell("setsid sleep 600 & echo $!; exit 0"), lines.append, limit=60)
        alive.append(is_alive(int(lines[0])))
        assert (ending.exit_code, ending.cause) == (0, Cause.EXITED)
        return Outcome(JobStatus.COMPLETED)

    assert lived(engine, work) == "completed None"
    assert alive == [False]


def test_programs_of_one_job_end_alone(engine: Engine) -> None:
    """The end of one program leaves the job's others running."""

    def work(job: Job) -> Outcome:
        longer = job.start(shell("setsid sleep 600 & wait"), lambda _: None)
        job.run(shell("exit 0"), lambda _: None, limit=60)
        assert not longer.ended
        longer.kill()
        return Outcome(JobStatus.COMPLETED)

    assert lived(engine, work) == "completed None"


def test_a_line_without_end(engine: Engine) -> None:
    """A very long line arrives in pieces, complete."""
    lines: list[str] = []

    def work(job: Job) -> Outcome:
        job.run(shell("head -c 1000000 /dev/zero | tr '\\0' x"), lines.append, limit=60)
        return Outcome(JobStatus.COMPLETED)

    lived(engine, work)
    assert (len("".join(lines)), max(map(len, lines)) < 100_000) == (1_000_000, True)


def test_a_cluster_that_cannot_start(engine: Engine) -> None:
    """When one host's program cannot be started, those of the hosts before it are ended."""
    hosts = (Host("algo-1"), Host("algo-2"))
    lines: list[str] = []

    def work(job: Job) -> Outcome:
        programs = [shell("echo $$; exec sleep 600"), Program(["/bin/true"], {"a\0b": "no name"})]
        job.run_cluster(programs, [lines.append] * 2, limit=60)
        return Outcome(JobStatus.COMPLETED)

    assert lived(engine, work, hosts) == "failed ProgramError: embedded null byte"
    assert not is_alive(engine.rows()[0].pid or 0)


def test_arguments_that_are_too_long(engine: Engine) -> None:
    """Arguments that Linux does not take are an error that says so."""

    def work(job: Job) -> Outcome:
        with pytest.raises(ProgramError, match="Argument list too long"):
            job.start(Program(["/bin/echo", "x" * 200_000]), lambda _: None)
        return Outcome(JobStatus.COMPLETED)

    assert lived(engine, work) == "completed None"


def test_a_defect_is_told(root: Path, engine: Engine) -> None:
    """Whoever submits a job learns that its work broke, or could not even begin, and the slot is free again."""
    told: list[str] = []

    def broken(_: Job) -> Outcome:
        message = "a defect"
        raise RuntimeError(message)

    for work in (broken, lambda _: Outcome(JobStatus.COMPLETED)):
        if told:  # no folder can be made where a file is
            until(lambda: not list((root / "jobs").iterdir()), "the end of the tree")
            (root / "jobs").rmdir()
            (root / "jobs").touch()
        job = engine.prepare("training", "breaks")
        engine.submit(job, work, on_defect=told.append)
        until(lambda: engine.rows()[-1].ended, "the end of the job")
    assert told[0] == "RuntimeError: a defect"
    assert told[1].startswith("NotADirectoryError: ")
    assert [row.status for row in engine.rows()] == ["failed", "failed"]
    (root / "jobs").unlink()
    assert lived(engine, lambda _: Outcome(JobStatus.COMPLETED)) == "completed None"


def test_an_abandoned_job_starts_nothing(engine: Engine) -> None:
    """A program that an abandoned job starts all the same is killed at once, however long the grace is."""
    began, abandoned = threading.Event(), threading.Event()
    endings: list[str | None] = []

    def work(job: Job) -> Outcome:
        began.set()
        abandoned.wait(60)
        program = shell("trap '' TERM; sleep 600")
        endings.append(job.run(program, lambda _: None, limit=600).signal_name)
        return Outcome(JobStatus.STOPPED)

    job = engine.prepare("training", "late")
    engine.submit(job, work)
    began.wait(60)
    engine.abandon("reset")
    abandoned.set()
    until(lambda: endings, "the end of the program")
    assert endings == ["SIGKILL"]
    assert engine.rows()[0].reason == "the local cloud was reset while the job was running"


def test_a_listener_that_fails() -> None:
    """A stop request reaches everybody although one of them fails, and the failure is not hidden."""
    stop, told = StopRequest(), []

    def fail() -> None:
        message = "cannot"
        raise RuntimeError(message)

    stop.on_request(lambda: told.append("first"))
    stop.on_request(fail)
    stop.on_request(lambda: told.append("last"))
    with pytest.raises(RuntimeError, match="cannot"):
        stop.request()
    assert told == ["first", "last"]


def test_nothing_is_left_of_many_jobs(root: Path, engine: Engine) -> None:
    """After many jobs there are no more threads, files and trees than before them."""

    def work(job: Job) -> Outcome:
        job.run(shell("echo done"), lambda _: None, limit=60)
        return Outcome(JobStatus.COMPLETED)

    lived(engine, work)
    before = (threading.active_count(), len(list(Path("/proc/self/fd").iterdir())))
    for _ in range(20):
        lived(engine, work)
    until(
        lambda: (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) <= before,
        f"no more than {before}",
    )
    until(lambda: not list((root / "jobs").iterdir()), "the end of the last tree")


def test_links_are_followed_as_the_job_follows_them(tmp_path: Path) -> None:
    """A link counts as what it leads to inside /opt/ml, by either name; one that leads out does not."""
    tree = JobTree(tmp_path / "tree")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    model, data = tree.ml / "model", tree.ml / "output" / "data"
    for folder in (model / "deep", data):
        folder.mkdir(parents=True)
    (data / "real.txt").write_text("mine")
    links = {
        "absolute": "/opt/ml/output/data/real.txt",
        "relative": "../output/data/real.txt",
        "by-tree": f"{data}/real.txt",
        "out-and-in": "../../../opt/ml/output/data/real.txt",
        "out": str(outside / "secret.txt"),
        "up": "../../../outside/secret.txt",
        "nowhere": "/opt/ml/model/missing",
        "folder": str(outside),
        "loop": "loop",
    }
    for name, target in links.items():
        (model / name).symlink_to(target)
    os.mkfifo(model / "pipe")
    (model / "deep" / "own.txt").write_text("own")
    found = {name: path.read_text() for name, path in tree.files("/opt/ml/model").items()}
    mine = dict.fromkeys(("absolute", "relative", "by-tree", "out-and-in"), "mine")
    assert found == {**mine, "deep/own.txt": "own"}
    assert tree.read_text("/opt/ml/model/out", 100) == ""
    assert tree.read_text("/opt/ml/model/absolute", 2) == "mi"
    (tree.ml / "moved").symlink_to(outside)
    (tree.ml / "checkpoints").symlink_to("/opt/ml/output/data")
    assert (tree.folder("/opt/ml/moved"), tree.folder("/opt/ml/checkpoints")) == (None, data)
    assert tree.folder("/opt/ml/gone") is None


def test_read_only_folders_are_removed(tmp_path: Path) -> None:
    """A tree whose folders nobody may write to is removed, also by a server that is not root."""
    script = (
        "from pathlib import Path; from localcloud.engine.tree import JobTree\n"
        f"tree = JobTree(Path({str(tmp_path / 'tree')!r}))\n"
        "(tree.ml / 'a' / 'b').mkdir(parents=True); (tree.ml / 'a' / 'b' / 'c').touch()\n"
        "(tree.ml / 'a' / 'b').chmod(0o500); (tree.ml / 'a').chmod(0)\n"
        "tree.remove()\n"
    )
    tmp_path.chmod(0o777)
    ordinary = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
    python = [sys.executable, "-c", script]
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([*ordinary, *python], check=True, env=environment)
    assert not (tmp_path / "tree").exists()
