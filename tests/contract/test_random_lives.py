"""Many jobs created, stopped, described and reset at once in random order: whatever happens, nothing is left over."""

import random
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import FINAL, LocalCloud, unpacked, until

MODEL = "import os, signal, subprocess, sys, time\nopen('/opt/ml/model/a.txt', 'w').write('model')\n"
PROGRAMS = {
    "quick": MODEL,
    "fails": f"{MODEL}sys.exit(1)\n",
    "leaves": f"{MODEL}subprocess.Popen(['setsid', 'sleep', '600'])\n",
    "works": f"{MODEL}time.sleep(0.4)\n",
    "tidies": f"{MODEL}signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\ntime.sleep(600)\n",
    "deaf": f"{MODEL}signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n",
}
# what may follow a status, and a secondary status, as AWS documents them
STATUSES: dict[str | None, set[str]] = {
    None: {"InProgress", "Stopping", *FINAL},
    "InProgress": {"InProgress", "Stopping", *FINAL},
    "Stopping": {"Stopping", *FINAL},
    **{status: {status} for status in FINAL},
}
SECONDARY: dict[str | None, set[str]] = {
    None: {"Starting"},
    "Starting": {"Downloading", "Stopping", "Stopped", "Failed"},
    "Downloading": {"Training", "Stopping", "Stopped", "Failed"},
    "Training": {"Uploading", "Stopping", "Stopped", "Failed"},
    "Uploading": {"Completed", "Stopping", "Stopped", "Failed"},
    # a program may have ended by itself just before it was asked to stop
    "Stopping": {"Stopped", "Completed", "Failed"},
    **{status: set() for status in FINAL},
}
LIVES, THREADS, STEPS = 50, 8, 40


def check(job: dict[str, Any]) -> None:
    """Check that what one description says belongs together."""
    told = [item["Status"] for item in job["SecondaryStatusTransitions"]]
    for before, after in zip([None, *told], told, strict=False):
        assert after in SECONDARY[before], told
    assert told[-1] == job["SecondaryStatus"]
    assert (job["TrainingJobStatus"] in FINAL) == (job["SecondaryStatus"] in FINAL), job
    assert ("TrainingEndTime" in job) == (job["TrainingJobStatus"] in FINAL)
    assert ("FailureReason" in job) == (job["TrainingJobStatus"] == "Failed")


def code_of(error: ClientError) -> str:
    """Return the code of an error."""
    return str(error.response["Error"]["Code"])


class Lives:
    """What one thread does: random steps with jobs that all threads share."""

    def __init__(self, cloud: LocalCloud, seed: int, *, resets: bool) -> None:
        self._cloud = cloud
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._resets = resets
        self._last: dict[str, str | None] = {}
        self.created: set[str] = set()

    def run(self) -> set[str]:
        """Take all steps; return the names that this thread has created."""
        steps = [self._create] * 4 + [self._stop] * 3 + [self._describe] * 5 + ([self._reset] if self._resets else [])
        for _ in range(STEPS):
            self._random.choice(steps)(self._name())
        return self.created

    def _name(self) -> str:
        number = self._random.randrange(LIVES)
        return f"{[*PROGRAMS][number % len(PROGRAMS)]}-{number}"

    def _create(self, name: str) -> None:
        try:
            self._cloud.train(name, PROGRAMS[name.partition("-")[0]])
        except ClientError as error:
            # with resets: the bucket may not be there (again)
            if code_of(error) != "ResourceInUse" and not (self._resets and code_of(error) == "NoSuchBucket"):
                raise
        else:
            self.created.add(name)

    def _stop(self, name: str) -> None:
        try:
            self._cloud.client("sagemaker").stop_training_job(TrainingJobName=name)
        except ClientError as error:
            refused = ("is in status Completed", "is in status Failed", "is in status Stopped", "resource not found")
            if not str(error).rstrip(".").endswith(refused):
                raise

    def _describe(self, name: str) -> None:
        try:
            job = self._cloud.describe("Training", name)
        except ClientError as error:
            if "Requested resource not found." not in str(error):
                raise
            return
        check(job)
        if not self._resets:
            assert job["TrainingJobStatus"] in STATUSES[self._last.get(name)]
            self._last[name] = job["TrainingJobStatus"]

    def _reset(self, _: str) -> None:
        if self._random.random() < 0.3:
            reset(self._cloud)


def reset(cloud: LocalCloud) -> None:
    """Reset the cloud; its bucket is there again at once."""
    request = urllib.request.Request(f"{cloud.endpoint}/moto-api/reset", method="POST")  # noqa: S310 - loopback
    urllib.request.urlopen(request).close()  # noqa: S310 - loopback
    cloud.client("s3").create_bucket(Bucket=cloud.bucket)


def held(cloud: LocalCloud) -> tuple[int, int]:
    """Return how many threads and open files the server has."""
    process = Path(f"/proc/{cloud.process.pid}")
    return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))


def processes(cloud: LocalCloud) -> list[str]:
    """Return the processes of the cloud's jobs."""
    mark = f"LOCALCLOUD_INSTANCE={cloud.root}:".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.verify
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.executes("CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob")
def test_random_lives(start_cloud: StartCloud, seed: int, resets: bool) -> None:  # noqa: FBT001 - pytest's argument
    """Every job becomes final by legal steps, every Completed one has its artifact, and nothing is left of any."""
    cloud = start_cloud("--slots", "4")
    cloud.finished("Training", cloud.train("warm", MODEL))
    before = held(cloud)
    with ThreadPoolExecutor(THREADS) as pool:
        lives = [Lives(cloud, seed * 100 + number, resets=resets) for number in range(THREADS)]
        created = set().union(*pool.map(Lives.run, lives))
    assert created
    if resets:
        reset(cloud)
    else:
        for name in sorted(created):
            Lives(cloud, 0, resets=False)._stop(name)  # noqa: SLF001 - this test's own class
        jobs = [cloud.finished("Training", name) for name in sorted(created)]
        for job in jobs:
            check(job)
            if job["TrainingJobStatus"] == "Completed":
                key = f"models/{job['TrainingJobName']}/output/model.tar.gz"
                assert unpacked(cloud.get(key)) == {"a.txt": b"model"}
            assert not job["TrainingJobName"].startswith("fails-") or job["TrainingJobStatus"] != "Completed"
    until(lambda: not list((cloud.root / "jobs").iterdir()), "the end of the last tree")
    assert processes(cloud) == []
    assert [row for row in cloud.status()["jobs"] if not row["ended"]] == []
    # connections of this test's clients are threads and files of the server while they are kept alive
    for client in cloud._clients.values():  # noqa: SLF001 - nobody else does that
        client.close()
    until(lambda: all(now <= then + 4 for now, then in zip(held(cloud), before, strict=True)), f"about {before}")
