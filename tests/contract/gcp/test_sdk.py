"""The high-level SDK, unmodified, led to the local cloud by `localcloud env` alone."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.gcp.local_vertex import IMAGES
from tests.contract.gcp.serving_programs import ADDS
from tests.contract.local_cloud import LocalCloud

PROGRAM = Path(__file__).parent / "programs" / "uses_the_sdk.py"
Seen = Mapping[str, Mapping[str, Any]]
# the SDK looks every five seconds whether a job has ended
pytestmark = pytest.mark.verify


def environment_of(cloud: LocalCloud) -> dict[str, str]:
    """Return what `localcloud env` exports, and what Python itself needs."""
    command = [sys.executable, "-m", "localcloud.cli", "env", "--root", str(cloud.root)]
    exports = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    words = [shlex.split(line.removeprefix("export "))[0] for line in exports.splitlines()]
    return {"PATH": os.environ["PATH"], "HOME": str(cloud.root), **dict(word.split("=", 1) for word in words)}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, _environments: None) -> Iterator[LocalCloud]:
    """Return a running cloud with both halves."""
    folder = tmp_path_factory.mktemp("both")
    images = folder / "images.yaml"
    images.write_text(IMAGES)
    running = LocalCloud(folder / "root", "--google", "on", "--grace", "2", "--images", str(images))
    yield running
    running.end()


@pytest.fixture(scope="module")
def seen(both: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Run the program once; return what each of its flows has seen."""
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "serves.py").write_text(ADDS)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(folder / "serves.py")],
        capture_output=True,
        text=True,
        check=False,
        env=environment_of(both),
        cwd=folder,
        timeout=600,
    )
    lines = [json.loads(line.removeprefix("FLOW ")) for line in done.stdout.splitlines() if line.startswith("FLOW ")]
    sys.stderr.write(done.stderr[-20_000:])
    return {line["name"]: line["seen"] for line in lines}


def test_custom_job_from_local_script(seen: Seen) -> None:
    """`CustomJob.from_local_script` packs a script, runs it, and its model is in Cloud Storage."""
    assert {"state": "JOB_STATE_SUCCEEDED", "number": "0.25"} == seen["custom_job_from_local_script"]


def test_custom_training_job(seen: Seen) -> None:
    """`CustomTrainingJob.run` trains and returns the uploaded model."""
    expected = {"state": "PIPELINE_STATE_SUCCEEDED", "model": "trained", "version": "1"}
    assert expected == seen["custom_training_job"]


def test_versions(seen: Seen) -> None:
    """A second training adds a version; the registry moves aliases."""
    assert {"second": "2", "aliases": {"1": ["default"], "2": ["champion"]}, "default": "1"} == seen["versions"]


def test_upload(seen: Seen) -> None:
    """`Model.upload`, `list`, `update` and `export_model` do what they say."""
    assert {"listed": ["uploaded"], "description": "described", "exported": True} == seen["upload"]


def test_batch_predict(seen: Seen) -> None:
    """`Model.batch_predict` writes predictions that `iter_outputs` finds."""
    assert {"state": "JOB_STATE_SUCCEEDED", "predictions": [0.5, 1.5, 2.5]} == seen["batch_predict"]


def test_endpoint(seen: Seen) -> None:
    """`Endpoint.create`, `deploy`, `predict` and `delete` do what they say."""
    expected = {"predictions": [1.5, 2.5], "split": 100, "left": []}
    assert expected == seen["endpoint"]


def test_hyperparameter_tuning_job(seen: Seen) -> None:
    """`HyperparameterTuningJob.run` runs its trials."""
    assert {"state": "JOB_STATE_SUCCEEDED", "trials": ["SUCCEEDED"] * 3} == seen["hyperparameter_tuning_job"]


def test_experiment(seen: Seen) -> None:
    """An experiment keeps its runs' parameters, metrics, executions and artifacts."""
    assert {
        "runs": ["run-1", "run-2"],
        "rmse": {"run-1": 12.5, "run-2": 11.5},
        "depth": 3,
        "executions": ["train"],
        "artifacts": ["data"],
        "state": "COMPLETE",
    } == seen["experiment"]


def test_time_series(seen: Seen) -> None:
    """Metrics over time are kept in the TensorBoard that an experiment gets, and read again."""
    assert {"loss": [3.0, 2.0, 1.0], "steps": [1, 2, 3], "boards": 1} == seen["time_series"]


def test_dataset(seen: Seen) -> None:
    """A tabular dataset is created over a file, whose columns are read; it is listed and deleted."""
    assert {"columns": ["x", "y"], "listed": ["table"], "left": 0} == seen["dataset"]
