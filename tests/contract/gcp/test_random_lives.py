"""Many jobs at once, cancelled and deleted at random moments: each ends as it should, and nothing is left."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.gcp.conftest import StartVertex
from tests.contract.gcp.local_vertex import PARENT, LocalVertex, python, spec, state_of
from tests.contract.local_cloud import until

LEAVES_A_CHILD = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
"""
ENDS = {
    "pass": "SUCCEEDED",
    LEAVES_A_CHILD: "SUCCEEDED",
    "raise SystemExit(3)": "FAILED",
    "import time; time.sleep(600)": "",
}
JOBS, AT_ONCE = 40, 10


def live(local: LocalVertex, number: int) -> tuple[str, bool]:
    """Live one job's life; return its state, and whether it was deleted."""
    chance = random.Random(number)  # noqa: S311 - repeatable, no secret
    script, end = chance.choice(sorted(ENDS.items()))
    job = local.run(spec(python(script)), f"life-{number}")
    cancelled = not end or chance.random() < 0.4
    if cancelled:
        local.jobs.cancel_custom_job(name=job.name)
    done = local.finished(job)
    allowed = {end, "CANCELLED"} - {""} if cancelled else {end}
    assert state_of(done) in allowed, (script, done)
    deleted = chance.random() < 0.5
    if deleted:
        local.jobs.delete_custom_job(name=job.name).result(timeout=60)
    return state_of(done), deleted


def marked(root: Path) -> list[str]:
    """Return the processes of jobs over a root."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"LOCALCLOUD_INSTANCE={root}:".encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


@pytest.mark.verify  # forty jobs
def test_random_lives(start_vertex: StartVertex) -> None:
    """Whatever happens to forty jobs at once, each ends, none leaves a process or a folder, and lists are right."""
    own = start_vertex()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lives = list(pool.map(lambda number: live(own, number), range(JOBS)))
    assert {"SUCCEEDED", "FAILED", "CANCELLED"} == set(Counter(state for state, _ in lives))
    # a job has ended for its client a moment before it is tidied up
    until(lambda: not marked(own.root) and not list((own.root / "jobs").iterdir()), "the last job to be tidied up")
    listed = list(own.jobs.list_custom_jobs(parent=PARENT))
    assert sum(not deleted for _, deleted in lives) == len(listed)
