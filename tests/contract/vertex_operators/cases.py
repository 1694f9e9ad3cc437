"""The matrix: each kind of Vertex AI job that the provider waits for, by how it waits and by what becomes of the job.

Read by the DAG file, which makes a task of each case, and by the tests, which prepare what the tasks use and say what
has to come of them. Everything of a case bears its name: the task, the job, the model, the objects in Cloud Storage.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

BUCKET = "operators"
PROJECT, REGION = "localcloud-project", "us-central1"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
# the id of the model that batch predictions ask
MODEL = "adds"
KINDS = ("script", "container", "package", "batch", "tuning")
WAITS = ("waiting", "deferrable")
OUTCOMES = ("succeeded", "failed", "cancelled")
TRAININGS = {"script", "container", "package"}
TRIALS = 2
PROGRAM = Path(__file__).parent / "programs" / "task.py"
# what the flow uses: two of Google's images, and one of a team's own with the same packages
FITS = PROGRAM.with_name("fits.py")
SKLEARN_TRAINS = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest"
SKLEARN_SERVES = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-6:latest"
TEAMS_IMAGE = "europe-docker.pkg.dev/local/images/fits:1"


@dataclass(frozen=True)
class Case:
    """One task.

    Args:
        kind: One of KINDS.
        wait: One of WAITS.
        outcome: One of OUTCOMES.
    """

    kind: str
    wait: str
    outcome: str

    @property
    def name(self) -> str:
        """The name of all that belongs to it."""
        return f"{self.kind}-{self.wait}-{self.outcome}"

    @property
    def release(self) -> str:
        """The name of the object that its program waits for; empty if it does not wait.

        A job that ends before the scheduler has heard that its task has deferred makes Airflow fail the task: "reported
        that the task instance finished with state success, but the task instance's state attribute is queued".
        """
        return f"{self.name}/released" if self.wait == "deferrable" and self.outcome != "cancelled" else ""

    @property
    def flags(self) -> list[str]:
        """What its program is called with."""
        after = [f"--after=gs://{BUCKET}/{self.release}"] if self.release else []
        return [f"--act={self.outcome}", *after]

    @property
    def output(self) -> str:
        """Where its job writes, as an address."""
        return f"gs://{BUCKET}/{self.name}/out"


CASES = tuple(Case(*each) for each in product(KINDS, WAITS, OUTCOMES))
# what one run of a DAG runs, by the DAG's id
RUNS = {f"vertex_{wait}": tuple(case for case in CASES if case.wait == wait) for wait in WAITS}
# the rows that a batch prediction reads: what the model's container does is said by them
ROWS: dict[str, list[Any]] = {"succeeded": [1, 2], "failed": ["broken"], "cancelled": ["sleep"]}


def flow_release(task_id: str) -> str:
    """Return the name of the object that a job of the deferred flow waits for."""
    return f"flow/{task_id}"


def rows(case: Case) -> str:
    """Return what the batch prediction of a case reads."""
    after = {"after": case.release} if case.release else {}
    return "".join(f"{json.dumps({'x': x, **after})}\n" for x in ROWS[case.outcome])


def arguments(case: Case) -> dict[str, Any]:
    """Return the arguments that an operator of this kind takes, beyond those that all take."""
    if case.kind == "batch":
        return {
            "job_display_name": case.name,
            "model_name": f"{PARENT}/models/{MODEL}",
            "gcs_source": f"gs://{BUCKET}/{case.name}/rows.jsonl",
            "gcs_destination_prefix": case.output,
            "machine_type": "n1-standard-2",
        }
    shared = {"display_name": case.name, "staging_bucket": f"gs://{BUCKET}", "base_output_dir": case.output}
    return shared if case.kind == "tuning" else {**shared, "args": case.flags}
