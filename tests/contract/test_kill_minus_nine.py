"""The server is killed at random moments while ten jobs run: nothing that was said is lost, nothing is left half-done.

Each round kills the server with SIGKILL, starts it again on the same root, and compares with what a client saw before.
"""

import os
import random
import signal
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.engine.orphans import MARK
from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import FINAL, LocalCloud, unpacked, until

SEED = 20260101
JOBS = 10
# writes a model of random bytes and their sum, and takes its time; a child in a session of its own outlives it
TRAINS = """
import hashlib, os, random, subprocess, time
child = subprocess.Popen(["sleep", "30"], start_new_session=True)
data = os.urandom(300_000)
open("/opt/ml/model/data", "wb").write(data)
open("/opt/ml/model/sum", "w").write(hashlib.sha256(data).hexdigest())
time.sleep(random.random())
"""
PROCESSES = "import time, random; print('begins'); time.sleep(random.random()); print('ends')"


def marked(root: Path) -> Iterator[int]:
    """Return the processes of jobs of any server on a root."""
    start = f"{MARK}={root}:".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            state = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z" and any(variable.startswith(start) for variable in variables):
            yield int(folder.name)


class Watcher:
    """A client that looks at all jobs again and again, and remembers what it was told last of each."""

    def __init__(self, cloud: LocalCloud, names: dict[str, str]) -> None:
        self.seen: dict[str, dict[str, Any]] = {}
        self._cloud, self._names = cloud, names
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.is_set():
            for name, kind in list(self._names.items()):
                if self.seen.get(name, {}).get(f"{kind}JobStatus") in FINAL:
                    continue
                try:
                    self.seen[name] = self._cloud.describe(kind, name)
                except (ClientError, BotoCoreError):  # it is not there yet, or nobody is there any more
                    continue

    def end(self) -> dict[str, dict[str, Any]]:
        """Stop looking; return what was seen."""
        self._ended.set()
        self._thread.join()
        return self.seen


def begin_jobs(cloud: LocalCloud, number: int, names: dict[str, str]) -> None:
    """Create ten jobs, until the server is gone."""
    try:
        for job in range(JOBS):
            name, kind = f"job-{number}-{job}", "Processing" if job % 4 == 3 else "Training"
            names[name] = kind
            if kind == "Training":
                cloud.train(name, TRAINS)
            else:
                cloud.process_data(name, PROCESSES)
    except (ClientError, BotoCoreError):
        return


def told(description: dict[str, Any]) -> dict[str, Any]:
    """Return a description without what belongs to the answer."""
    return {field: value for field, value in description.items() if field != "ResponseMetadata"}


def check_after(cloud: LocalCloud, seen: dict[str, dict[str, Any]], names: dict[str, str]) -> None:
    """Compare a new server's jobs with what was seen before the kill."""
    for name, before in seen.items():
        kind = names[name]
        after = cloud.describe(kind, name)
        status = after[f"{kind}JobStatus"]
        assert status in FINAL
        if before[f"{kind}JobStatus"] in FINAL:
            assert told(before) == told(after)
        elif status == "Failed":
            assert "the local cloud was stopped while the job was InProgress" in after["FailureReason"]
    check_artifacts(cloud)


def check_artifacts(cloud: LocalCloud) -> None:
    """Open every model; it must be whole, and a Completed job must have one."""
    sagemaker = cloud.client("sagemaker")
    pages = sagemaker.get_paginator("list_training_jobs").paginate(StatusEquals="Completed")
    completed = {job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]}
    models = [key for key in cloud.keys("models/") if key.endswith("/model.tar.gz")]
    assert completed <= {key.split("/")[1] for key in models}
    for key in models:
        try:
            files = unpacked(cloud.get(key))
        except (tarfile.TarError, EOFError) as error:
            pytest.fail(f"{key} is not whole: {error}")
        assert {name.removeprefix("./") for name in files} >= {"data", "sum"}


def killed_once(
    cloud: LocalCloud, start_cloud: StartCloud, number: int, names: dict[str, str], seconds: float
) -> LocalCloud:
    """Kill a server some seconds after its first new job was seen; return the next server, which was compared."""
    watcher = Watcher(cloud, names)
    creator = threading.Thread(target=begin_jobs, args=(cloud, number, names))
    creator.start()
    until(lambda: any(name.startswith(f"job-{number}-") for name in watcher.seen), "a job")
    time.sleep(seconds)
    os.kill(cloud.process.pid, signal.SIGKILL)
    creator.join()
    seen = watcher.end()
    root = cloud.root
    cloud.end(signal.SIGKILL)
    until(lambda: not list(marked(root)), "the end of all processes of jobs")
    after = start_cloud("--slots", "4")
    check_after(after, seen, names)
    return after


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.verify)])
@pytest.mark.executes("CreateTrainingJob", "CreateProcessingJob", "DescribeTrainingJob", "DescribeProcessingJob")
def test_kills(start_cloud: StartCloud, kills: int) -> None:
    """After each kill: no process, no job in progress, no finished job lost or changed, no corrupt model."""
    chance = random.Random(SEED)  # noqa: S311 - no secret
    cloud = start_cloud("--slots", "4")
    names: dict[str, str] = {}
    for number in range(kills):
        cloud = killed_once(cloud, start_cloud, number, names, chance.uniform(0.0, 3.0))
    # a name that was never given is free, and the cloud works
    cloud.train("after", "print('works')")
    assert cloud.finished("Training", "after")["TrainingJobStatus"] == "Completed"
