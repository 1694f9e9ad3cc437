"""What the cloud does to a job, or to those who ask for it, and what becomes of its task."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.job_probes import WAYS
from tests.pipeline.running import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline.job_probes import Jobs, Probe

OUTAGE_SECONDS = 60


def test_ids_that_differ_beyond_a_names_length_have_their_own_jobs(jobs: Jobs) -> None:
    """Two tasks whose ids share their first 200 characters: two jobs."""
    probe = jobs.start_other("probe_job_names", "names")
    assert "success" == jobs.end(probe)
    assert ["Completed", "Completed"] == list(jobs.states(probe).values())


def test_a_job_that_somebody_stops_fails_its_task(jobs: Jobs, tmp_path: Path) -> None:
    """Nobody of this deployment asked for it, so it is not begun again: the task fails at once and says so."""
    probes = [jobs.start("training", f"{way}-halted", tmp_path / "gate", way) for way in WAYS]
    for probe, way in zip(probes, WAYS, strict=True):
        jobs.wait_until_it_waits(probe, way)
        (name,) = jobs.states(probe)
        jobs.sagemaker.stop_training_job(TrainingJobName=name)
    for probe in probes:
        assert "failed" == jobs.end(probe)
        assert "RemoteJobFailed" in jobs.log(probe)
        assert "it ended as Stopped" in jobs.log(probe)
        assert 1 == jobs.task(probe).try_number
        assert ["Stopped"] == list(jobs.states(probe).values())


@pytest.mark.verify
def test_an_outage_of_the_cloud_fails_no_task(jobs: Jobs, tmp_path: Path) -> None:
    """For 60 s every request is throttled, broken or cut off: what waits goes on, what begins begins later."""
    gate = tmp_path / "gate"
    probes = [jobs.start("training", f"{way}-outage", gate, way) for way in WAYS]
    for probe, way in zip(probes, WAYS, strict=True):
        jobs.wait_until_it_waits(probe, way)
    with jobs.proxy.failing() as calls:
        until = time.monotonic() + OUTAGE_SECONDS
        probes.append(jobs.start("training", "begun-in-an-outage"))
        wait_for(lambda: True if time.monotonic() > until else None, "the outage's end", 2 * OUTAGE_SECONDS)
    gate.touch()
    assert {"CreateTrainingJob", "DescribeTrainingJob", "ListTrainingJobs"} >= {*calls}
    assert calls["ListTrainingJobs"] in range(2, 10)
    assert calls.total() <= OUTAGE_SECONDS
    for probe in probes:
        result = jobs.result(probe, 300)
        assert (1, 1) == (jobs.task(probe).try_number, result.attempts)
        assert {result.job_name: "Completed"} == jobs.states(probe)


@pytest.mark.verify
def test_what_is_missing_when_the_task_looks(jobs: Jobs, tmp_path: Path) -> None:
    """An artifact that is gone or empty fails the task; a job that was deleted is created again by its retry."""
    probes = {what: jobs.start("training", what, tmp_path / "gate") for what in ("missing", "empty", "deleted")}
    for probe in probes.values():
        jobs.wait_until_it_waits(probe)
    airflow = jobs.laptop.airflow
    airflow.stop("triggerer")
    (tmp_path / "gate").touch()
    for probe in probes.values():
        wait_for(lambda probe=probe: True if "Completed" in jobs.states(probe).values() else None, "the job's end")
    (deleted,) = jobs.states(probes["deleted"])
    jobs.sagemaker.delete_training_job(TrainingJobName=deleted)
    lake = jobs.laptop.lake
    lake.write_bytes(artifact(jobs, probes["empty"]), b"")
    jobs.laptop.client("s3").delete_object(Bucket="flightdeck-lake", Key=artifact(jobs, probes["missing"]))
    airflow.restart("triggerer")
    for what in ("missing", "empty"):
        assert "failed" == jobs.end(probes[what])
        assert "ArtifactError" in jobs.log(probes[what])
        assert 1 == jobs.task(probes[what]).try_number
        assert ["Completed"] == list(jobs.states(probes[what]).values())
    result = jobs.result(probes["deleted"])
    assert 2 == jobs.task(probes["deleted"]).try_number
    assert {result.job_name: "Completed"} == jobs.states(probes["deleted"])


def artifact(jobs: Jobs, probe: Probe) -> str:
    """Return the key of a training job's artifact."""
    (name,) = jobs.states(probe)
    return f"probe/output/{name}/output/model.tar.gz"
