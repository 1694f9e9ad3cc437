"""Training jobs that end badly: the task fails, and says why."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from deploy.laptop.cloud import status
from tests.pipeline.running import training_request, wait_for

if TYPE_CHECKING:
    from tests.pipeline.running import Laptop


@pytest.mark.parametrize(
    ("name", "program", "reasons"),
    [
        (
            "raises",
            "def fit():\n    raise ValueError('the label has one class only')\n\nfit()\n",
            ("RemoteJobFailed", "it ended as Failed: AlgorithmError", "ValueError: the label has one class only"),
        ),
        pytest.param(
            "writes-nothing",
            "print('done, it says')\n",
            ("ArtifactError", "it ended as Completed and left nothing at s3://flightdeck-lake/probe/output/"),
            marks=pytest.mark.verify,
        ),
    ],
)
def test_the_task_fails_with_the_reason(laptop: Laptop, name: str, program: str, reasons: tuple[str, ...]) -> None:
    """A script that raises fails with the end of its traceback; one that writes no artifact is not believed."""
    task = laptop.run("probe_training", {"request": training_request(laptop.lake, name, program)})["train"]
    assert "failed" == task.state
    log = laptop.rest.log(task)
    assert [] == [reason for reason in reasons if reason not in log]
    assert [] == [key for key in laptop.lake.keys(f"probe/output/probe-{name}") if key.endswith("model.tar.gz")]


def test_a_killed_job_fails_its_task_and_says_so(laptop: Laptop) -> None:
    """The running job is listed with its process; SIGKILL to it becomes the task's reason."""
    program = "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n"
    run = laptop.rest.trigger("probe_training", {"request": training_request(laptop.lake, "killed", program)})

    def running() -> int | None:
        jobs = [job for job in status(laptop.cloud.root)["jobs"] if job["name"].startswith("probe-killed")]
        return jobs[0]["pid"] if jobs and jobs[0]["pid"] else None

    os.kill(wait_for(running, "the job to run"), signal.SIGKILL)
    wait_for(lambda: True if laptop.rest.dag_run(run.dag_id, run.run_id).state == "failed" else None, "the failure")
    log = laptop.rest.log(laptop.rest.task_instance(run.dag_id, run.run_id, "train"))
    assert "it ended as Failed: " in log
    assert "SIGKILL" in log
