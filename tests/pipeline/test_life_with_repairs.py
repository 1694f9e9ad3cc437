"""What was broken and is put right: a month, an artifact, a training."""

from __future__ import annotations

import os
import signal

import pytest

from deploy.laptop.cloud import s3_client, status
from deploy.laptop.landing import land
from include.core.lake import predictions_prefix
from include.core.snapshots import months_below
from include.registry.promotions import current_champion, promotion_records
from tests.pipeline.running import APRIL, AUGUST, MAY, Laptop, wait_for


@pytest.fixture(scope="module")
def repaired(trouble: Laptop) -> Laptop:
    """May is delivered again, whole."""
    land(s3_client(trouble.cloud.environment), MAY)
    wait_for(
        lambda: True if MAY in months_below(trouble.lake, "predictions/flight_delay") else None,
        "May to flow through",
        300,
    )
    return trouble


def test_a_corrected_month_flows_through_by_itself(repaired: Laptop) -> None:
    """Its rows are in the lake, have features and predictions; its run ends well; its quarantine is kept."""
    rows = {
        name: months_below(repaired.lake, f"{name}")[MAY].files[file].rows
        for name, file in (
            ("raw/flights", "flights"),
            ("features/flight_delay", "features"),
            ("predictions/flight_delay", "predictions"),
        )
    }
    assert {"raw/flights": 28_796, "features/flight_delay": 28_796, "predictions/flight_delay": 28_796} == rows
    run = repaired.ingest_run(MAY)
    states = {task.task_id: task.state for task in repaired.rest.task_instances("ingest", run.run_id)}
    assert {
        "wait_for_flights": "success",
        "ingest_flights": "failed",
        "wait_for_correction_of_flights": "success",
        "repair_flights": "success",
    } == states
    assert "success" == wait_for(
        lambda: state if (state := repaired.ingest_run(MAY).state) != "running" else None, "the run to end"
    )
    assert any(repaired.lake.keys(f"quarantine/flights/month={MAY}/"))


@pytest.mark.verify
def test_a_damaged_champion_is_noticed_before_it_scores(repaired: Laptop) -> None:
    """With another artifact in the champion's place no model is created and no job runs; restored, it scores."""
    lake = repaired.lake
    champion = current_champion(lake, "flight_delay")
    assert champion is not None
    key, manifest = lake.key(champion.artifact), f"{predictions_prefix('flight_delay', AUGUST)}/manifest.json"
    artifact = lake.read_bytes(key)
    assert artifact is not None
    lake.write_bytes(key, artifact[:-100])
    lake.client.delete_object(Bucket=lake.bucket, Key=manifest)
    jobs = len(status(repaired.cloud.root)["jobs"])
    damaged = repaired.run("score_flight_delay")
    assert ("failed", "upstream_failed") == (damaged["plan"].state, damaged["create_model"].state)
    assert champion.artifact_sha256 in repaired.rest.log(damaged["plan"])
    assert jobs == len(status(repaired.cloud.root)["jobs"])
    lake.write_bytes(key, artifact)
    assert "success" == repaired.run("score_flight_delay")["score_month.publish"].state
    assert AUGUST in months_below(lake, "predictions/flight_delay")


@pytest.mark.verify
def test_a_failed_training_leaves_the_champion_serving(repaired: Laptop) -> None:
    """A training job that is killed records nothing; the champion stays, and a month that is due is scored by it."""
    champion = current_champion(repaired.lake, "flight_delay")
    assert champion is not None
    records = promotion_records(repaired.lake, "flight_delay")
    run = repaired.rest.trigger("train_flight_delay", {"again": True})

    def training() -> int | None:
        jobs = [job for job in status(repaired.cloud.root)["jobs"] if job["status"] == "running"]
        return next((job["pid"] for job in jobs if job["kind"] == "training"), None)

    os.kill(wait_for(training, "the training job"), signal.SIGKILL)
    wait_for(lambda: True if repaired.rest.dag_run(run.dag_id, run.run_id).state == "failed" else None, "the failure")
    assert records == promotion_records(repaired.lake, "flight_delay")
    manifest = f"{predictions_prefix('flight_delay', APRIL)}/manifest.json"
    repaired.lake.client.delete_object(Bucket=repaired.lake.bucket, Key=manifest)
    due = champion.holdout_month < str(APRIL)
    assert ("success" if due else "skipped") == repaired.run("score_flight_delay")["plan"].state
    assert champion == current_champion(repaired.lake, "flight_delay")
