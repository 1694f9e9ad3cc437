"""A run of the pipeline in which everything is true: what its summary says, and what a verifier finds."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest

from deploy.laptop.verifier.checks_monitoring import MonitoringEvidence
from deploy.laptop.verifier.recompute_drift import recompute_drift
from include.core.model_spec import Features
from include.monitoring.drift import measure_drift, profile_reference
from include.monitoring.measures import ClassificationPerformance, month_measures

if TYPE_CHECKING:
    from collections.abc import Mapping

Document = dict[str, Any]
METRICS = {"roc_auc": 0.74, "log_loss": 0.46, "brier": 0.15, "skill": 0.15, "rows": 900}
SECOND = {"roc_auc": 0.72, "log_loss": 0.47, "brier": 0.16, "skill": 0.12, "rows": 950}
HINDSIGHT = {"roc_auc": 0.69, "log_loss": 0.5, "brier": 0.17, "skill": 0.09, "rows": 950}
NEWEST = {"roc_auc": 0.75, "log_loss": 0.45, "brier": 0.14, "skill": 0.16, "rows": 950}
BETTER = "ROC AUC 0.7200 against the champion's 0.6900 on the same holdout: gain +0.0300, needed more than 0.0000"
CALIBRATION = {"base_rate": 0.25, "calibration_error": 0.03}
ROWS = {
    "2013-01": (1000, 900),
    "2013-02": (1100, 1000),
    "2013-03": (1000, 900),
    "2013-04": (1000, 950),
    "2013-05": (1000, 950),
}
LANDED = sorted(ROWS)
TRAINED_ON = ["2013-01", "2013-02"]
REPORTED = ["2013-03", "2013-04", "2013-05"]
KINDS = {"temp": "numeric", "precip": "numeric", "carrier": "categorical"}


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A small lake's features by month: it gets warmer, rain is mostly none, a carrier appears, values are missing."""
    draw = np.random.default_rng(20130101)
    folder = tmp_path_factory.mktemp("features")
    paths = {}
    for number, month in enumerate(LANDED):
        rows, _ = ROWS[month]
        temp = [
            None if drawn < 0.02 * number else value
            for drawn, value in zip(draw.random(rows), draw.normal(5 * number, 8, rows).round(1), strict=True)
        ]
        precip = np.where(draw.random(rows) < 0.8, 0.0, draw.exponential(2, rows).round(2))
        carrier = draw.choice(["AA", "UA", "DL", "XX"], rows, p=[0.5, 0.3, 0.2 - 0.02 * number, 0.02 * number])
        paths[month] = folder / f"{month}.parquet"
        pq.write_table(pyarrow.table({"temp": temp, "precip": precip, "carrier": carrier}), paths[month])
    return paths


@pytest.fixture(scope="session")
def measured(features: Mapping[str, Path]) -> Mapping[str, Document]:
    """The reports as the monitoring writes them, by month."""
    watched = Features(
        numeric=[name for name, kind in KINDS.items() if kind == "numeric"],
        categorical=[name for name, kind in KINDS.items() if kind == "categorical"],
    )
    profile = profile_reference([features[month] for month in TRAINED_ON], watched)
    labelled = "2013-04"
    return {
        month: month_measures(
            model="flight_delay",
            month=month,
            reference_months=TRAINED_ON,
            model_version=1,
            drift=measure_drift(features[month], profile),
            performance=ClassificationPerformance(**HINDSIGHT, **CALIBRATION) if month == labelled else None,
            scored_by=1 if month == labelled else None,
        ).model_dump(mode="json")
        for month in REPORTED
    }


@pytest.fixture(scope="session")
def drifts(features: Mapping[str, Path]) -> Mapping[str, Document]:
    """The drift as the verifier recomputes it, by month."""
    reference = [features[month] for month in TRAINED_ON]
    return {month: recompute_drift(reference, features[month], KINDS) for month in REPORTED}


@pytest.fixture
def summary(measured: Mapping[str, Document]) -> Document:
    """A summary in which everything is true."""
    models = [
        {
            "version": version,
            "platform": "sagemaker",
            "job_name": f"flight-delay-train-{version}",
            "trained_on": trained_on,
            "artifact": f"s3://flightdeck-lake/{version}/model.tar.gz",
            "artifact_sha256": "ab" * 32,
            "holdout_month": holdout,
            "metrics": dict(metrics),
            "decision": "promote",
            "reason": reason,
        }
        for version, trained_on, holdout, metrics, reason in (
            (1, TRAINED_ON, "2013-03", METRICS, "first champion: ROC AUC 0.7400, skill 0.1500 on the holdout"),
            (
                2,
                [*TRAINED_ON, "2013-03"],
                "2013-04",
                SECOND,
                BETTER,
            ),
        )
    ]
    scores = [
        {
            "month": month,
            "rows": 1000,
            "predictions": f"s3://flightdeck-lake/{month}/predictions.parquet",
            "model_version": 1,
            "roc_auc": roc_auc,
            "skill": skill,
            "max_psi": measured[month]["max_psi"],
        }
        for month, roc_auc, skill in (("2013-04", 0.69, 0.09), ("2013-05", None, None))
    ]
    decisions = [
        {"as_of": as_of, "champion_version": champion, "decision": decision, "reason": reason, "evidence_month": month}
        for as_of, champion, decision, reason, month in (
            ("2013-04", None, "retrain", "no champion yet", None),
            ("2013-04", 1, "keep", "no month scored by version 1 has its labels yet", None),
            (
                "2013-05",
                1,
                "retrain",
                "ROC AUC 0.6900 on 2013-04 against 0.7400 on the holdout 2013-03: drop +0.0500, allowed 0.0200",
                "2013-04",
            ),
        )
    ]
    return {
        "months": [{"month": month, "rows_in": rows, "rows_quarantined": 0} for month, (rows, _) in ROWS.items()],
        "models": models,
        "scores": scores,
        "decisions": decisions,
        "plots": [f"s3://flightdeck-lake/monitoring/flight_delay/month={month}/plot.png" for month in REPORTED],
    }


@pytest.fixture
def evidence(summary: Document, measured: Mapping[str, Document], drifts: Mapping[str, Document]) -> Document:
    """What a verifier finds when everything is true; a test tampers with it, then makes it Evidence."""
    counts = {}
    for month, (rows, labelled) in ROWS.items():
        counts["raw", month, "flights"] = counts["features", month, "features"] = rows
        counts["features", month, "labels"] = labelled
    scores = {
        month: {
            "month": month,
            "rows": 1000,
            "repeated": 0,
            "not_in_package": 0,
            "not_in_features": 0,
            "largest_difference": 3e-8,
            "at": f"{month}-01 10:00:00 UA 1545 EWR",
            "metrics": metrics | CALIBRATION,
        }
        for month, metrics in (("2013-04", HINDSIGHT), ("2013-05", NEWEST))
    }
    records = {model["version"]: copy.deepcopy(model) | {"model": "flight_delay"} for model in summary["models"]}
    records[1] |= {"champion_version": None, "champion_metrics": None, "decided_at": "2026-01-01T10:02:00Z"}
    records[2] |= {"champion_version": 1, "champion_metrics": dict(HINDSIGHT), "decided_at": "2026-01-01T10:05:00.5Z"}
    decided_at = ("2026-01-01T10:01:00Z", "2026-01-01T10:03:00Z", "2026-01-01T10:04:00Z")
    plots = {
        month: {
            "address": address,
            "sha256": f"{number:064x}",
            "format": "PNG",
            "width": 1320,
            "height": 968,
            "drawn": 0.1,
        }
        for number, (month, address) in enumerate(zip(REPORTED, summary["plots"], strict=True))
    }
    return {
        "records": records,
        "evaluations": {
            1: {"models": {"candidate": dict(METRICS)}},
            2: {"models": {"candidate": dict(SECOND), "champion": dict(HINDSIGHT)}},
        },
        "missing": (),
        "objects": 10,
        "counts": counts,
        "months": {month: {"rows": rows, "labelled": labelled} for month, (rows, labelled) in ROWS.items()},
        "holdouts": {1: dict(METRICS), 2: dict(SECOND)},
        "champions": {2: dict(HINDSIGHT)},
        "scores": scores,
        "monitoring": MonitoringEvidence(
            reports=copy.deepcopy(dict(measured)),
            drifts=copy.deepcopy(dict(drifts)),
            plots=plots,
            decisions=[
                each | {"model": "flight_delay", "decided_at": when}
                for each, when in zip(copy.deepcopy(summary["decisions"]), decided_at, strict=True)
            ],
        ),
        "spec": {
            "label_delay_months": 1,
            "gate": {"min_roc_auc": 0.6, "min_skill": 0.0, "min_gain": 0.0},
            "monitoring": {"max_auc_drop": 0.02, "min_skill": 0.0},
        },
    }


@pytest.fixture(scope="session")
def job_environments() -> list[dict[str, str]]:
    """The environments of the model's jobs, those that an older checkout left without Pillow left out."""
    found = []
    for marker in sorted(Path(os.environ["LOCALCLOUD_ENVIRONMENTS"]).glob("*/environment.json")):
        made = json.loads(marker.read_text(encoding="utf-8"))
        if made["image"] == "sagemaker-xgboost" and any(marker.parent.glob("lib/*/site-packages/PIL")):
            found.append(made)
    return found or pytest.skip("`make setup` has not made the environment of the model's jobs")
