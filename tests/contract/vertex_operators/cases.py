"""The matrix: each kind of Vertex AI job that the provider waits for, by how it waits and by what becomes of the job.

Read by the DAG file, which makes a task of each case, and by the tests, which prepare what the tasks use and say what
has to come of them. Everything of a case bears its name: the task, the job, the model, the objects in Cloud Storage.
"""

from __future__ import annotations

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
    def output(self) -> str:
        """Where its job writes, as an address."""
        return f"gs://{BUCKET}/{self.name}/out"


CASES = tuple(Case(*each) for each in product(KINDS, WAITS, OUTCOMES))
# what one run of a DAG runs, by the DAG's id
RUNS = {f"vertex_{wait}": tuple(case for case in CASES if case.wait == wait) for wait in WAITS}
# the rows that a batch prediction reads: what the model's container does is said by them
ROWS = {
    "succeeded": '{"x": 1}\n{"x": 2}\n',
    "failed": '{"x": "broken"}\n',
    "cancelled": '{"x": "sleep"}\n',
}


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
    return shared if case.kind == "tuning" else {**shared, "args": [f"--act={case.outcome}"]}
