"""Faults that were planted in good data: what the pipeline is there to find."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pandas as pd

from include.core.lake import Lake, features_prefix, raw_prefix
from include.core.model_spec import load_model
from include.core.snapshots import read_snapshot, write_snapshot
from include.jobs.completion import Completion
from include.jobs.kinds import PROCESSING, TRAINING
from include.registry.promotions import current_champion, promotion_records
from include.stages.training import TrainingPlan, plan_training, record_decision, request_evaluation, request_training
from tests.pipeline.running import LANDED, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from include.jobs.kinds import JobKind
    from include.jobs.result import JobResult
    from tests.pipeline.running import Laptop

ROLE = "arn:aws:iam::123456789012:role/flightdeck-jobs"


def with_shuffled_labels(lake: Lake, planted: Lake, folder: Path) -> None:
    """Write the landed months to another lake, each label on a flight that was drawn for it."""
    for month in LANDED:
        planted.write_json(
            f"{raw_prefix('flights', month)}/manifest.json",
            lake.read_json(f"{raw_prefix('flights', month)}/manifest.json"),
        )
        prefix = features_prefix("flight_delay", month)
        snapshot = read_snapshot(lake, prefix)
        assert snapshot is not None
        features, labels = (
            lake.download(snapshot.files[name].key, folder / str(month) / f"{name}.parquet")
            for name in ("features", "labels")
        )
        content = pd.read_parquet(labels)
        content["label"] = content["label"].sample(frac=1, random_state=2013).to_numpy()
        content.to_parquet(labels, index=False)
        rows = {"features": (features, snapshot.files["features"].rows), "labels": (labels, len(content))}
        write_snapshot(planted, prefix, month, rows, {})


def finished(sagemaker: Any, s3: Any, kind: JobKind, name: str) -> JobResult:
    """Wait for a job's end and return its result."""

    def ended() -> dict[str, Any] | None:
        description = kind.describe(sagemaker, name)
        assert description is not None
        return None if kind.ending(description) is None else description

    description = wait_for(ended, f"{name} to end", 120)
    assert "Completed" == kind.status(description), description.get("FailureReason")
    return Completion(kind, lambda: s3, lambda: None).result(description, attempts=1, adopted=False)  # type: ignore[arg-type] # no log


def test_shuffled_labels_are_not_released(life: Laptop, tmp_path: Path) -> None:
    """A model of labels that mean nothing ranks the holdout by chance and is rejected; there is no champion."""
    planted = Lake(life.lake.client, "s3://flightdeck-lake/planted")
    with_shuffled_labels(life.lake, planted, tmp_path)
    spec, sagemaker = load_model("flight_delay"), life.client("sagemaker")
    plan = plan_training(planted, spec)
    assert isinstance(plan, TrainingPlan)

    training_request = request_training(planted, spec, plan, ROLE) | {"TrainingJobName": "shuffled-train"}
    sagemaker.create_training_job(**training_request)
    training = finished(sagemaker, planted.client, TRAINING, "shuffled-train")
    evaluation_request = request_evaluation(planted, spec, plan, training, ROLE) | {
        "ProcessingJobName": "shuffled-evaluate"
    }
    sagemaker.create_processing_job(**evaluation_request)
    evaluation = finished(sagemaker, planted.client, PROCESSING, "shuffled-evaluate")

    record = record_decision(planted, spec, plan, training, evaluation)
    assert abs(record.metrics.roc_auc - 0.5) < 0.03
    assert ("reject", "ROC AUC") == (record.decision, record.reason[:7])
    assert [record] == promotion_records(planted, "flight_delay")
    assert current_champion(planted, "flight_delay") is None


def test_the_metrics_of_a_record_are_those_of_its_predictions(life: Laptop) -> None:
    """The evaluation keeps its predictions, and the recorded Brier score is theirs."""
    record = promotion_records(life.lake, "flight_delay")[0]
    content = life.lake.read_bytes(life.lake.key(record.evaluation.replace("evaluation.json", "predictions.parquet")))
    assert content is not None
    evaluated = pd.read_parquet(io.BytesIO(content))
    brier = ((evaluated["candidate"] - evaluated["label"]) ** 2).mean()
    assert abs(brier - record.metrics.brier) < 1e-12
    assert record.metrics.rows == len(evaluated)
