"""A model's life under a real scheduler: what lies in the lake and in the registry after January to April."""

from __future__ import annotations

import hashlib
import io
from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import pytest

from deploy.laptop.cloud import s3_client
from deploy.laptop.landing import land
from include.core.months import Month
from include.core.snapshots import months_below
from include.registry.promotions import promotion_records
from tests.pipeline.running import APRIL, JANUARY, LANDED, MARCH, objects

if TYPE_CHECKING:
    from include.core.lake import Lake
    from tests.pipeline.running import Laptop

ROWS = {"2013-01": 27004, "2013-02": 24951, "2013-03": 28834, "2013-04": 28330}


def frame(lake: Lake, key: str) -> pd.DataFrame:
    """Read a parquet file of the lake."""
    content = lake.read_bytes(key)
    assert content is not None
    return pd.read_parquet(io.BytesIO(content))


def test_every_row_of_a_month_reaches_the_lake(life: Laptop) -> None:
    """The raw snapshots hold the rows of the data package, and each file is what its manifest says."""
    raw = months_below(life.lake, "raw/flights")
    assert {str(month): snapshot.files["flights"].rows for month, snapshot in raw.items()} == ROWS
    for snapshot in raw.values():
        for file in snapshot.files.values():
            content = life.lake.read_bytes(file.key)
            assert content is not None
            assert (file.sha256, file.size) == (hashlib.sha256(content).hexdigest(), len(content))


def test_each_flight_has_one_row_of_features(life: Laptop) -> None:
    """Features are as many as flights, keyed once; labels are those of flights that were flown."""
    features = months_below(life.lake, "features/flight_delay")
    assert {str(month): snapshot.files["features"].rows for month, snapshot in features.items()} == ROWS
    march = features[MARCH]
    rows, labels = (frame(life.lake, march.files[name].key) for name in ("features", "labels"))
    assert rows["row_id"].is_unique
    assert set(labels["row_id"]) < set(rows["row_id"])
    flights = frame(life.lake, months_below(life.lake, "raw/flights")[MARCH].files["flights"].key)
    flown = flights["arr_delay"].dropna()
    assert (len(flown), int((flown > 15).sum())) == (len(labels), int(labels["label"].sum()))


def test_the_warehouse_holds_the_months_that_the_lake_holds(life: Laptop) -> None:
    """The model's table, in a file of this Airflow's own, has each month's rows; nothing temporary is left."""
    with duckdb.connect(str(life.airflow.home / "warehouse.duckdb"), read_only=True) as warehouse:
        counts = warehouse.execute("SELECT _month, COUNT(*) FROM features_flight_delay GROUP BY 1").fetchall()
        tables = warehouse.execute("SELECT table_name FROM information_schema.tables").fetchall()
    assert dict(counts) == ROWS
    assert [("features_flight_delay",)] == tables


def test_months_are_built_one_after_another(life: Laptop) -> None:
    """The warehouse's file has one writer: a build begins when the one before it has ended, also within a run."""
    tasks = [task for task in life.rest.task_instances("features") if task.task_id == "build_flight_delay"]
    times = sorted((task.started, task.ended) for task in tasks if task.started and task.ended)
    assert len(times) >= len(LANDED)
    assert all(ended <= started for (_, ended), (started, _) in pairwise(times))


def test_the_first_candidate_is_released_with_its_reason(life: Laptop) -> None:
    """Trained on January and February, compared on March, recorded once with the artifact's digest."""
    record = promotion_records(life.lake, "flight_delay")[0]
    assert (record.trained_on, record.holdout_month) == (["2013-01", "2013-02"], "2013-03")
    assert record.decision == "promote"
    assert record.reason.startswith("first champion: ROC AUC 0.")
    assert 0.6 < record.metrics.roc_auc < 0.8
    assert record.metrics.skill > 0
    artifact = life.lake.read_bytes(life.lake.key(record.artifact))
    assert artifact is not None
    assert record.artifact_sha256 == hashlib.sha256(artifact).hexdigest()


def test_the_training_job_really_ran(life: Laptop) -> None:
    """SageMaker describes it as Completed, with metrics from its own output and its lines in CloudWatch."""
    record = promotion_records(life.lake, "flight_delay")[0]
    job = life.client("sagemaker").describe_training_job(TrainingJobName=record.job_name)
    assert job["TrainingJobStatus"] == "Completed"
    assert record.artifact == job["ModelArtifacts"]["S3ModelArtifacts"]
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert 0.6 < metrics["train:auc"] < 0.9
    logs = life.client("logs")
    streams = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=record.job_name
    )["logStreams"]
    events = logs.get_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=streams[0]["logStreamName"])[
        "events"
    ]
    assert any("train-auc:" in event["message"] for event in events)


def test_the_model_package_mirrors_the_record(life: Laptop) -> None:
    """One approved package with the artifact, the report and the metrics of record 1."""
    record = promotion_records(life.lake, "flight_delay")[0]
    sagemaker = life.client("sagemaker")
    packages = sagemaker.list_model_packages(ModelPackageGroupName="flight-delay")["ModelPackageSummaryList"]
    described = [sagemaker.describe_model_package(ModelPackageName=package["ModelPackageArn"]) for package in packages]
    found = [each for each in described if each["CustomerMetadataProperties"]["promotion_record"] == "1"]
    assert len(found) == 1
    package = found[0]
    assert package["ModelApprovalStatus"] == "Approved"
    assert record.artifact == package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    assert record.evaluation == package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert repr(record.metrics.roc_auc) == package["CustomerMetadataProperties"]["roc_auc"]


def test_only_the_month_that_the_champion_never_saw_is_scored(life: Laptop) -> None:
    """April has one probability for each of its rows; January to March, which made the champion, have none."""
    predictions = months_below(life.lake, "predictions/flight_delay")
    assert list(predictions) == [APRIL]
    assert predictions[APRIL].inputs["model_version"] == "1"
    rows = frame(life.lake, predictions[APRIL].files["predictions"].key)
    features = months_below(life.lake, "features/flight_delay")[APRIL]
    assert sorted(frame(life.lake, features.files["features"].key)["row_id"]) == list(rows["row_id"])
    assert rows["prediction"].between(0, 1).all()
    assert rows["prediction"].nunique() > 10_000


def test_doing_it_again_changes_nothing(life: Laptop) -> None:
    """January lands again; a second run of ingest, features and score skips, writes nothing and wakes nobody."""
    before, runs = objects(life.lake), life.runs()
    land(s3_client(life.cloud.environment), JANUARY)
    states = {}
    ingest = next(run for run in life.rest.dag_runs("ingest") if run.interval_start == JANUARY.start)
    life.rest.clear("ingest", ingest.run_id, ["ingest_flights"])
    for dag_id, task_id in (("features", "build_flight_delay"), ("score_flight_delay", "plan")):
        states[task_id] = life.run(dag_id)[task_id].state
    life.wait_until_quiet(LANDED)
    states["ingest_flights"] = life.rest.task_instance("ingest", ingest.run_id, "ingest_flights").state
    assert states == {"ingest_flights": "skipped", "build_flight_delay": "skipped", "plan": "skipped"}
    assert before == objects(life.lake)
    assert (
        runs | {"features": runs["features"] + 1, "score_flight_delay": runs["score_flight_delay"] + 1} == life.runs()
    )


@pytest.mark.verify
def test_an_equal_candidate_is_rejected_and_recorded(life: Laptop) -> None:
    """The same training is not due again; asked for all the same, it gives the same figures and is rejected."""
    runs = life.runs()
    assert "skipped" == life.run("train_flight_delay")["plan"].state
    tasks = life.run("train_flight_delay", {"again": True})
    life.wait_until_quiet(LANDED)
    first, *_, again = promotion_records(life.lake, "flight_delay")
    assert (first.metrics, "reject", 1) == (again.metrics, again.decision, again.champion_version)
    assert "gain +0.0000" in again.reason
    assert tasks["release"].state == "skipped"
    assert runs["score_flight_delay"] == life.runs()["score_flight_delay"]


def test_months_that_have_not_landed_are_awaited_deferred(life: Laptop) -> None:
    """Months that have not landed are awaited without a slot, and nothing else is open."""
    waiting = [task for task in life.rest.task_instances("ingest") if task.state not in {"success", "skipped"}]
    runs = {run.run_id: run for run in life.rest.dag_runs("ingest")}
    months = {Month.of(start) for task in waiting if (start := runs[task.run_id].interval_start) is not None}
    assert {Month(2013, number) for number in range(5, 13)} == months
    assert {
        "wait_for_flights": "deferred",
        "ingest_flights": None,
        "wait_for_correction_of_flights": None,
        "repair_flights": None,
    } == {task.task_id: task.state for task in waiting}
