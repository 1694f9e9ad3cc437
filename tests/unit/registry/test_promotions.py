"""The append-only history of a model."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from include.core.errors import ArtifactError, RecordConflict
from include.core.promotion import (
    Candidate,
    ClassificationMetrics,
    Decision,
    Metrics,
    PromotionRecord,
    RegressionMetrics,
)
from include.registry.promotions import append_record, current_champion, promotion_records, record_of_job
from include.registry.verification import verify_artifact

if TYPE_CHECKING:
    from include.core.lake import Lake

PROMOTE = Decision(decision="promote", reason="better")
REJECT = Decision(decision="reject", reason="worse")
METRICS = ClassificationMetrics(roc_auc=0.7, log_loss=0.5, brier=0.16, skill=0.1, rows=1000)


def candidate(lake: Lake, job_name: str, artifact: bytes = b"model", metrics: Metrics = METRICS) -> Candidate:
    """A candidate of the model ``m`` whose artifact lies in the lake."""
    key = f"jobs/m/training/{job_name}/output/model.tar.gz"
    lake.write_bytes(key, artifact)
    return Candidate(
        model="m",
        platform="sagemaker",
        job_name=job_name,
        artifact=lake.uri(key),
        artifact_sha256=hashlib.sha256(artifact).hexdigest(),
        code=lake.uri("code/m/0123"),
        image="123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
        trained_on=["2013-01", "2013-02"],
        holdout_month="2013-03",
        evaluation=lake.uri("jobs/m/evaluation/e/evaluation.json"),
        metrics=metrics,
    )


def test_records_are_numbered_in_the_order_of_decisions(lake: Lake) -> None:
    """Rejected candidates are recorded too; the champion is the newest promoted one."""
    first = append_record(lake, candidate(lake, "a"), None, PROMOTE)
    second = append_record(lake, candidate(lake, "b"), first, REJECT)
    third = append_record(lake, candidate(lake, "c"), first, PROMOTE)
    append_record(lake, candidate(lake, "d"), third, REJECT)
    assert [record.version for record in promotion_records(lake, "m")] == [1, 2, 3, 4]
    assert third == current_champion(lake, "m")
    assert (second.champion_version, second.champion_metrics) == (1, METRICS)


def test_nothing_was_ever_promoted(lake: Lake) -> None:
    """Without a promoted record there is no champion."""
    append_record(lake, candidate(lake, "a"), None, REJECT)
    assert current_champion(lake, "m") is None


def test_a_record_reads_back_as_it_was_written(lake: Lake) -> None:
    """The lake holds all of the record."""
    written = append_record(lake, candidate(lake, "a"), None, PROMOTE)
    assert written == record_of_job(lake, "m", "a")
    assert record_of_job(lake, "m", "b") is None


def test_a_regression_is_recorded_as_one(lake: Lake) -> None:
    """Its metrics lie in the record as they are, and read back as a regression's."""
    metrics = RegressionMetrics(rmse=5.5, mae=4.25, skill=0.5, rows=700)
    written = append_record(lake, candidate(lake, "a", metrics=metrics), None, PROMOTE)
    stored = lake.read_json("registry/m/promotions/00001.json")
    assert {"rmse": 5.5, "mae": 4.25, "skill": 0.5, "rows": 700} == stored["metrics"]
    assert [written] == promotion_records(lake, "m")
    assert isinstance(promotion_records(lake, "m")[0].metrics, RegressionMetrics)


def test_the_figures_of_a_classification_are_these(lake: Lake) -> None:
    """What is in a record's JSON stays, for whoever reads it."""
    append_record(lake, candidate(lake, "a"), None, PROMOTE)
    stored = lake.read_json("registry/m/promotions/00001.json")
    assert {"roc_auc": 0.7, "log_loss": 0.5, "brier": 0.16, "skill": 0.1, "rows": 1000} == stored["metrics"]


def test_of_writers_at_the_same_moment_one_wins(lake: Lake) -> None:
    """However many decide at once, no record is overwritten and every loser learns it."""
    candidates = [candidate(lake, f"job-{number}") for number in range(8)]

    def write(each: Candidate) -> PromotionRecord | None:
        try:
            return append_record(lake, each, None, PROMOTE)
        except RecordConflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        written = [record for record in pool.map(write, candidates) if record is not None]
    assert sorted(written, key=lambda record: record.version) == promotion_records(lake, "m")


def test_an_artifact_is_the_one_that_was_released(lake: Lake) -> None:
    """An artifact that was changed, or is gone, is noticed with both digests in the message."""
    record = append_record(lake, candidate(lake, "a"), None, PROMOTE)
    verify_artifact(lake, record)
    lake.write_bytes(lake.key(record.artifact), b"damaged")
    with pytest.raises(ArtifactError, match=record.artifact_sha256):
        verify_artifact(lake, record)
    lake.client.delete_object(Bucket=lake.bucket, Key=lake.key(record.artifact))
    with pytest.raises(ArtifactError, match="there is no such object"):
        verify_artifact(lake, record)
