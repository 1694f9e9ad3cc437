"""The engine's parts, each by itself: archives, slots, environments, isolation, the record of jobs."""

import io
import subprocess
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcloud.engine.archives import ArchiveError, pack, unpack
from localcloud.engine.cluster import wait_for_cluster
from localcloud.engine.environments import EnvironmentBuildError, Environments, EnvironmentSpec
from localcloud.engine.isolation import PathIsolation, choose_isolation
from localcloud.engine.processes import Cause, JobProcess, StopRequest
from localcloud.engine.slots import Slots
from localcloud.engine.store import JobStatus, JobStore
from localcloud.engine.tree import JobTree


def test_archive_round_trip(tmp_path: Path) -> None:
    """What is packed comes out again, below the new folder."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a.txt").write_text("a")
    pack([tmp_path / "in"], tmp_path / "archive.tar.gz")
    unpack(tmp_path / "archive.tar.gz", tmp_path / "out")
    assert (tmp_path / "out" / "deep" / "a.txt").read_text() == "a"


@pytest.mark.parametrize("name", ["../escaped.txt", "deep/../../escaped.txt"])
def test_archive_that_leaves_its_folder(tmp_path: Path, name: str) -> None:
    """A member that would be written outside the folder is refused."""
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(ArchiveError, match="OutsideDestinationError"):
        unpack(tmp_path / "bad.tar", tmp_path / "out")
    assert not (tmp_path / "escaped.txt").exists()


def test_file_that_is_no_archive(tmp_path: Path) -> None:
    """A file that is no archive is refused."""
    (tmp_path / "text").write_text("not an archive")
    with pytest.raises(ArchiveError, match="ReadError"):
        unpack(tmp_path / "text", tmp_path / "out")


def test_slots_in_the_order_of_asking() -> None:
    """The slot goes to whoever asked first; a stopped waiter gets none and leaves the queue."""
    slots = Slots(1)
    assert slots.acquire(StopRequest())
    stopped, patient = StopRequest(), StopRequest()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(slots.acquire, stopped)
        second = pool.submit(slots.acquire, patient)
        stopped.request()
        assert first.result(timeout=10) is False
        assert not second.done()
        slots.release()
        assert second.result(timeout=10) is True


def test_stop_request_reaches_late_listeners() -> None:
    """Whoever listens after the request is told at once; asking twice tells once."""
    told = []
    stop = StopRequest()
    stop.on_request(lambda: told.append("early"))
    stop.request()
    stop.request()
    stop.on_request(lambda: told.append("late"))
    assert told == ["early", "late"]


def test_environment_is_built_once(tmp_path: Path) -> None:
    """Many askers at the same time get one environment, which holds pip and is marked as complete."""
    environments = Environments(tmp_path)
    start = threading.Barrier(4)

    def ask(_: int) -> str:
        start.wait()
        return environments.get(EnvironmentSpec("bare", ()), lambda _: None).python

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ask, range(4)))
    assert len(found) == 1
    assert [known.python for known in environments.known()] == [*found]
    assert (Path(found.pop()).parent / "pip").exists()


def test_environment_that_broke_is_built_again(tmp_path: Path) -> None:
    """A folder without its marker is the rest of a broken build: it is removed and built again."""
    spec = EnvironmentSpec("bare", ())
    place = Path(Environments(tmp_path).get(spec, lambda _: None).python).parents[1]
    (place / "environment.json").unlink()
    (place / "rubbish").touch()
    assert Path(Environments(tmp_path).get(spec, lambda _: None).python).parents[1] == place
    assert not (place / "rubbish").exists()


def test_requirements_that_are_no_requirements(tmp_path: Path) -> None:
    """What the installer refuses is an error that carries its words, and leaves no environment behind."""
    environments = Environments(tmp_path)
    with pytest.raises(EnvironmentBuildError, match=r"requirements\.txt"):
        environments.get(EnvironmentSpec("bare", (), "this is ! no requirement\n"), lambda _: None)
    assert [known.requirements_sha256 for known in environments.known()] == [
        EnvironmentSpec("bare", ()).requirements_sha256
    ]


def test_paths_are_rewritten_whole(tmp_path: Path) -> None:
    """The fallback rewrites /opt/ml as a path, not as the beginning of another name."""
    tree = JobTree(tmp_path / "tree")
    argv = ["/opt/ml", "--x=/opt/ml/model", "/opt/mlflow", '["/opt/ml/a","/opt/ml"]']
    ml = tree.ml
    expected = [str(ml), f"--x={ml}/model", "/opt/mlflow", f'["{ml}/a","{ml}"]']
    assert PathIsolation().command(tree, argv, "/opt/ml", mounts={}) == expected


@pytest.mark.parametrize("path", ["/etc", "/opt/ml/../x", "/opt/mlx"])
def test_path_outside_the_tree(tmp_path: Path, path: str) -> None:
    """A job's path outside /opt/ml has no place on the host."""
    tree = JobTree(tmp_path / "tree")
    with pytest.raises(ValueError, match="must lie below /opt/ml"):
        tree.host_path(path)


def test_jobs_of_a_dead_server(tmp_path: Path) -> None:
    """Jobs that were not final are closed as failed with what they were doing; final ones stay as they are."""
    store = JobStore(tmp_path / "state.db")
    done, running, _ = store.add("training", "done"), store.add("training", "running"), store.add("training", "queued")
    store.finish(done, JobStatus.COMPLETED, None)
    store.start(running)
    reopened = JobStore(tmp_path / "state.db")
    assert reopened.interrupt("stopped") == 2
    assert [(row.name, row.status, row.reason) for row in reopened.rows()] == [
        ("done", "completed", None),
        ("running", "failed", "the local cloud was stopped while the job was running"),
        ("queued", "failed", "the local cloud was stopped while the job was queued"),
    ]


def test_a_folder_at_a_path_that_the_machine_has_not(tmp_path: Path) -> None:
    """A program sees a mounted folder at its path, beside /opt/ml, and what it writes there is in the folder."""
    tree, shared = JobTree(tmp_path / "tree"), tmp_path / "shared"
    shared.mkdir()
    (shared / "given.txt").write_text("given")
    (tree.ml / "own.txt").write_text("own")
    isolation = choose_isolation("auto", tmp_path / "hidden", tmp_path / "environments")
    (tmp_path / "hidden").mkdir(exist_ok=True)
    script = "cat /gcs-of-a-test/given.txt /opt/ml/own.txt; pwd; echo made > /gcs-of-a-test/made.txt"
    mounts = {"/gcs-of-a-test": shared}
    command = isolation.command(tree, ["/bin/sh", "-c", script], "/opt/ml", mounts=mounts)
    done = subprocess.run(command, cwd=tree.ml, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.removesuffix(f"{tree.ml}\n").removesuffix("/opt/ml\n") == "givenown"
    assert (shared / "made.txt").read_text() == "made\n"
    assert not Path("/gcs-of-a-test").exists()


def test_mounted_folders_where_paths_are_rewritten(tmp_path: Path) -> None:
    """Without namespaces a mounted folder's path is replaced like /opt/ml, in arguments and in variables."""
    tree, shared = JobTree(tmp_path / "tree"), tmp_path / "shared"
    mounts = {"/gcs": shared}
    isolation = PathIsolation()
    argv = isolation.command(tree, ["cat", "/gcs/bucket/a", "/gcsx", "/opt/ml/b"], "/opt/ml", mounts=mounts)
    assert argv == ["cat", f"{shared}/bucket/a", "/gcsx", f"{tree.ml}/b"]
    variables = isolation.environment(tree, {"DATA": "/gcs/bucket", "OTHER": "gs://bucket"}, mounts)
    assert variables == {"DATA": f"{shared}/bucket", "OTHER": "gs://bucket"}


def test_one_program_leads_a_cluster(tmp_path: Path) -> None:
    """Where the first program leads, its success ends the others and is the cluster's; its failure is, too."""

    def start(script: str) -> JobProcess:
        return JobProcess(
            ["/bin/sh", "-c", script],
            directory=tmp_path,
            environment={"PATH": "/usr/bin:/bin"},
            on_line=lambda _: None,
            kill_rest=lambda: None,
        )

    ending = wait_for_cluster([start("exit 0"), start("sleep 600")], StopRequest(), limit=60, grace=1, led=True)
    assert (ending.cause, ending.failed) == (Cause.EXITED, None)
    ending = wait_for_cluster([start("sleep 600"), start("exit 3")], StopRequest(), limit=60, grace=1, led=True)
    assert ending.failed is not None
    assert (ending.failed[0], ending.failed[1].exit_code) == (1, 3)
