"""Takes jobs from a cloud's front and runs each to its end.

Purpose: one place that owns slots, trees, processes, the record of jobs and the cleaning up.

How it works: `submit` gives each job a thread that waits for a slot, calls the cloud's `work` with a `Job`, and
records its `Outcome`. `work` fetches inputs, runs programs by `Job.run` or `Job.start`, and uploads outputs.

What it does not do: know what an image, a bucket or a training job is.

Known limitation: a job that is interrupted by the server's end is not resumed; it is recorded as failed.
"""

import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.engine.cluster import ClusterEnding, wait_for_cluster
from localcloud.engine.environments import Environments
from localcloud.engine.indexes import index_settings, without_listings
from localcloud.engine.isolation import Isolation
from localcloud.engine.layers import search_path
from localcloud.engine.orphans import MARK, instance_mark, kill_marked, kill_rest, start_watchdog
from localcloud.engine.processes import Ending, JobProcess, LineSink, StopRequest
from localcloud.engine.slots import Slots
from localcloud.engine.store import JobRow, JobStatus, JobStore
from localcloud.engine.tree import JOB_BASE, JobTree, remove_folder

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# All that a job inherits from the server; the rest of its environment is built here and by its cloud.
INHERITED = ("LANG", "LC_ALL", "TZ")
_LAUNCH = str(Path(__file__).with_name("launch.py"))


@dataclass(frozen=True)
class Program:
    """What to run: arguments, variables and working folder, as the job sees them (paths below /opt/ml).

    Args:
        argv: The program and its arguments.
        environment: Its variables, beside those that every program gets.
        directory: Its working folder.
        path: The folder of its Python environment's programs.
        offline: Whether it has no network, where the isolation can cut it (`Isolation.cuts_network`).
        mounts: Further folders of the host that it sees, by the absolute paths at which it does.
    """

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = JOB_BASE
    path: str = ""
    offline: bool = False
    mounts: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """A host of a job's cluster: its name and what it has.

    Args:
        name: As the job's programs see it, as in `algo-1`.
        memory: Bytes of address space of each process; None is no limit.
        processors: How many processors' time a program may use up; None is no limit.
        type: What the cloud calls a machine of this kind.
    """

    name: str
    memory: int | None = None
    processors: int | None = None
    type: str = ""


ONE_HOST = (Host("algo-1"),)


@dataclass(frozen=True)
class Outcome:
    """How a job ended, in the engine's words."""

    status: JobStatus
    reason: str | None = None


class Job:
    """A running job, as its cloud's work function sees it: a cluster of hosts, each with a tree of its own."""

    def __init__(self, engine: "Engine", identity: int, kind: str, name: str, hosts: Sequence[Host]) -> None:
        """Create it without trees; the engine makes them when the slot is there."""
        self.kind = kind
        self.name = name
        self.hosts = tuple(hosts)
        self.stop = StopRequest()
        self.trees: tuple[JobTree, ...] = ()
        self.identity = identity
        self._engine = engine

    @property
    def tree(self) -> JobTree:
        """The tree of the first host."""
        return self.trees[0]

    @property
    def names_hosts(self) -> bool:
        """Whether the hosts' names resolve inside the job."""
        return self._engine.isolation.names_hosts

    def run(self, program: Program, on_line: LineSink, *, limit: float | None) -> Ending:
        """Run a program on the first host to its end, a stop request or `limit` seconds."""
        return self.start(program, on_line, limit=limit).wait(self.stop, limit=limit, grace=self._engine.grace)

    def run_cluster(
        self, programs: Sequence[Program], sinks: Sequence[LineSink], *, limit: float | None, led: bool = False
    ) -> ClusterEnding:
        """Run one program on each host until all have ended, one has failed, a stop request or `limit` seconds.

        `led`: the success of the first program is the success of all; the others are ended then.
        """
        processes: list[JobProcess] = []
        with contextlib.ExitStack() as started:
            for host, (program, on_line) in enumerate(zip(programs, sinks, strict=True)):
                processes.append(self.start(program, on_line, host=host, limit=limit))
                started.callback(processes[-1].kill)
            started.pop_all()  # all of them run
        return wait_for_cluster(processes, self.stop, limit=limit, grace=self._engine.grace, led=led)

    def start(
        self,
        program: Program,
        on_line: LineSink,
        *,
        host: int = 0,
        limit: float | None = None,
        pass_fds: Sequence[int] = (),
    ) -> JobProcess:
        """Start a program on a host and return at once; `limit` (seconds) only bounds the processor time."""
        return self._engine.start_process(self, host, program, on_line, limit=limit, pass_fds=pass_fds)

    def renew(self) -> None:
        """Replace the trees by empty ones: the job begins again on new hosts."""
        self._engine.make_trees(self)


Work = Callable[[Job], Outcome]


class Engine:
    """Runs jobs. `grace`: seconds between SIGTERM and SIGKILL when a job is stopped."""

    def __init__(
        self, root: Path, *, environments: Environments, isolation: Isolation, slots: int, grace: float
    ) -> None:
        """Open the record, close what an earlier server left open, kill what it left running."""
        self.environments = environments
        self.isolation = isolation
        self.grace = grace
        self._mark = instance_mark(root, os.getpid())
        self._indexes = index_settings(os.environ)
        self._trees = root / "jobs"
        kill_marked(f"{root}:")
        remove_folder(self._trees)
        self._trees.mkdir(parents=True, exist_ok=True)
        self._store = JobStore(root / "state.db")
        self.interrupted = self._store.interrupt("stopped")
        self._watchdog = start_watchdog(self._mark)
        self._slots = Slots(slots)
        self._jobs: dict[int, Job] = {}
        self._programs = itertools.count(1)
        self._lock = threading.Lock()

    def prepare(self, kind: str, name: str, hosts: Sequence[Host] = ONE_HOST) -> Job:
        """Record a job; `submit` runs it."""
        job = Job(self, self._store.add(kind, name), kind, name, hosts)
        with self._lock:
            self._jobs[job.identity] = job
        return job

    def submit(
        self, job: Job, work: Work, *, needs_slot: bool = True, on_defect: Callable[[str], None] = lambda _: None
    ) -> None:
        """Queue a job; `work` is called in a thread of its own once a slot is free, or when it is stopped before.

        Args:
            job: What `prepare` returned.
            work: Carries it out.
            needs_slot: False for what lives long or only coordinates other jobs.
            on_defect: Called with the reason when the engine could not let `work` begin (a full disk), or `work` raised
                an error instead of returning an outcome.
        """
        arguments = (job, work, needs_slot, on_defect)
        threading.Thread(target=self._live, args=arguments, name=f"{job.kind}-{job.name}", daemon=True).start()

    def rows(self) -> list[JobRow]:
        """Return the record of all jobs."""
        return self._store.rows()

    def runs(self, job: Job) -> bool:
        """Whether a job waits or runs, and has not ended."""
        with self._lock:
            return job.identity in self._jobs

    def abandon(self, event: str) -> None:
        """End every job at once without waiting for its outcome; `event` says what became of the cloud above.

        No program of these jobs runs when it returns, and none is started any more.
        """
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.stop.abandon()
        self._store.interrupt(event)
        kill_rest(self._mark)

    def close(self) -> None:
        """End every job and the watchdog."""
        self.abandon("stopped")
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._watchdog.wait()

    def start_process(
        self,
        job: Job,
        host: int,
        program: Program,
        on_line: LineSink,
        *,
        limit: float | None,
        pass_fds: Sequence[int],
    ) -> JobProcess:
        """Start a job's program inside its isolation."""
        tree, machine = job.trees[host], job.hosts[host]
        mark = f"{self._mark}{next(self._programs)}:"
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment |= {
            "PATH": f"{self._search_path(program, tree)}:{SYSTEM_PATH}" if program.path else SYSTEM_PATH,
            "HOME": str(tree.home),
            "TMPDIR": self.isolation.temporary_folder(tree),
            "PYTHONUNBUFFERED": "1",
            # a job that takes every core of a laptop is slower than one that takes its share (spinning threads)
            "OMP_NUM_THREADS": "1",
            **self.isolation.environment(tree, program.environment, program.mounts),
            MARK: mark,
        }
        seconds = int((limit + self.grace) * machine.processors) + 1 if limit and machine.processors else 0
        bounds = [machine.name if self.isolation.names_hosts else "", str(int(program.offline))]
        bounds += [str(machine.memory or 0), str(seconds)]
        launch = [sys.executable, "-I", "-S", _LAUNCH, str(os.getpid()), *bounds, *program.argv]
        process = JobProcess(
            self.isolation.command(tree, launch, program.directory, mounts=program.mounts, offline=program.offline),
            directory=tree.host_path(program.directory),
            environment=environment,
            on_line=without_listings(on_line),
            kill_rest=lambda: kill_rest(mark),
            pass_fds=pass_fds,
        )
        if job.stop.abandoned:  # perhaps since its processes were looked for
            process.kill()
        self._store.set_pid(job.identity, process.pid)
        return process

    def _search_path(self, program: Program, tree: JobTree) -> str:
        return search_path(program.path, tree.path / "python", self._indexes)

    def make_trees(self, job: Job) -> None:
        """Give each host of a job an empty tree, and remove those that it has."""
        for tree in job.trees:
            tree.remove()
        # a short path: the address of a local socket below it must not be longer than 107 characters
        base = self._trees / str(job.identity)
        job.trees = tuple(JobTree(base / host.name) for host in job.hosts)
        # each host listens at an address of its own, so that all of them can use the same port
        network = f"127.{1 + job.identity // 256 % 254}.{job.identity % 256}"
        lines = [f"{network}.{number} {host.name}" for number, host in enumerate(job.hosts, 1)]
        for tree in job.trees:
            (tree.path / "hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]), encoding="utf-8")

    def _live(
        self,
        job: Job,
        work: Work,
        needs_slot: bool,  # noqa: FBT001 - the thread's arguments
        on_defect: Callable[[str], None],
    ) -> None:
        holds_slot = needs_slot and self._slots.acquire(job.stop)
        try:
            if holds_slot or not needs_slot:
                self._store.start(job.identity)
            self.make_trees(job)
            outcome = work(job)
        except Exception as error:  # noqa: BLE001 - whatever breaks in a cloud's front must still end the job
            outcome = Outcome(JobStatus.FAILED, f"{type(error).__name__}: {error}")
            on_defect(f"{type(error).__name__}: {error}")
        finally:
            if holds_slot:
                self._slots.release()
        try:
            self._store.finish(job.identity, outcome.status, outcome.reason)
        finally:
            with self._lock:
                self._jobs.pop(job.identity, None)
            remove_folder(self._trees / str(job.identity))
