"""The retraining rule, as a table of decisions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.core.due import NotDue, Window
from include.core.errors import EvaluationRefused
from include.core.model_spec import Monitoring
from include.core.months import Month
from include.core.promotion import ClassificationMetrics, PromotionRecord, RegressionMetrics
from include.monitoring.measures import (
    ClassificationPerformance,
    FeatureDrift,
    MonthMeasures,
    RegressionPerformance,
)
from include.monitoring.retraining import decide_retraining

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.core.promotion import Metrics
    from include.monitoring.measures import Performance
    from include.monitoring.retraining import RetrainingDecision

THRESHOLDS = Monitoring(max_auc_drop=0.02, max_skill_drop=0.1, min_skill=0.0)
WINDOW = Window(train=(Month(2013, 2), Month(2013, 3)), holdout=Month(2013, 4))


def classified(roc_auc: float | None, skill: float | None = 0.08) -> ClassificationPerformance:
    """A month's performance of which the rule looks at two figures."""
    return ClassificationPerformance(
        rows=1000, base_rate=0.2, roc_auc=roc_auc, log_loss=0.5, brier=0.16, skill=skill, calibration_error=0.01
    )


def regressed(skill: float | None) -> RegressionPerformance:
    """A month's performance of which the rule looks at one figure."""
    return RegressionPerformance(rows=1000, rmse=3, mae=2, skill=skill)


def champion(metrics: Metrics | None = None) -> PromotionRecord:
    """Version 2, whose holdout was March."""
    return PromotionRecord(
        model="m",
        platform="sagemaker",
        job_name="m-train-1",
        artifact="s3://lake/model.tar.gz",
        artifact_sha256="0" * 64,
        code="s3://lake/code",
        image="123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
        trained_on=["2013-01", "2013-02"],
        holdout_month="2013-03",
        evaluation="s3://lake/evaluation.json",
        metrics=metrics or ClassificationMetrics(roc_auc=0.739, log_loss=0.5, brier=0.16, skill=0.1, rows=1000),
        decision="promote",
        reason="first",
        version=2,
        champion_version=None,
        champion_metrics=None,
        decided_at=datetime(2013, 5, 1, tzinfo=UTC),
    )


def month(name: str, performance: Performance | None, scored_by: int | None = 2, psi: float = 0.05) -> MonthMeasures:
    """A measured month."""
    drift = FeatureDrift(kind="numeric", psi=psi, effect_size=0.1, missing_reference=0, missing_current=0)
    return MonthMeasures(
        model="m",
        month=name,
        rows=1000,
        reference_months=["2013-01", "2013-02"],
        model_version=2,
        drift={"x": drift},
        max_psi=psi,
        max_psi_feature="x",
        performance=performance,
        scored_by=scored_by,
    )


def decide(
    record: PromotionRecord | None, measured: Iterable[MonthMeasures], window: Window | NotDue = WINDOW
) -> RetrainingDecision:
    """Decide as of May."""
    return decide_retraining(
        THRESHOLDS, model="m", as_of=Month(2013, 5), champion=record, measured=measured, window=window
    )


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        pytest.param(
            [month("2013-04", classified(0.691))],
            (
                "retrain",
                "2013-04",
                "ROC AUC 0.6910 on 2013-04 against 0.7390 on the holdout 2013-03: drop +0.0480, allowed 0.0200",
            ),
            id="the ranking became worse",
        ),
        pytest.param(
            [month("2013-04", classified(0.735))],
            (
                "keep",
                "2013-04",
                "ROC AUC 0.7350 on 2013-04 against 0.7390 on the holdout 2013-03: drop +0.0040, allowed 0.0200",
            ),
            id="as good as on its holdout",
        ),
        pytest.param(
            [month("2013-04", classified(0.745, skill=-0.01))],
            (
                "retrain",
                "2013-04",
                (
                    "skill -0.0100 on 2013-04 is below 0.0000; "
                    "ROC AUC 0.7450 on 2013-04 against 0.7390 on the holdout 2013-03: drop -0.0060, allowed 0.0200"
                ),
            ),
            id="the probabilities are worse than the base rate",
        ),
        pytest.param(
            [month("2013-05", classified(0.735)), month("2013-04", classified(0.5))],
            (
                "keep",
                "2013-05",
                "ROC AUC 0.7350 on 2013-05 against 0.7390 on the holdout 2013-03: drop +0.0040, allowed 0.0200",
            ),
            id="the newest month counts, in whatever order they come",
        ),
        pytest.param(
            [month("2013-04", classified(0.735)), month("2013-05", None, scored_by=None, psi=12)],
            (
                "keep",
                "2013-04",
                "ROC AUC 0.7350 on 2013-04 against 0.7390 on the holdout 2013-03: drop +0.0040, allowed 0.0200",
            ),
            id="inputs that drift do not decide",
        ),
        pytest.param(
            [month("2013-04", classified(0.5), scored_by=1)],
            ("keep", None, "no month scored by version 2 has its labels yet"),
            id="what an earlier champion scored does not count",
        ),
        pytest.param([], ("keep", None, "no month scored by version 2 has its labels yet"), id="nothing measured"),
        pytest.param(
            [month("2013-04", classified(None, None))],
            ("keep", "2013-04", "all labels of 2013-04 are equal, which says nothing about version 2"),
            id="only one kind of label",
        ),
    ],
)
def test_performance_decides(measured: list[MonthMeasures], expected: tuple[str, str | None, str]) -> None:
    """The decision, its evidence and its reason with both figures and months."""
    found = decide(champion(), measured)
    assert expected == (found.decision, found.evidence_month, found.reason)
    assert ("m", "2013-05", 2) == (found.model, found.as_of, found.champion_version)


def test_a_model_without_champion_is_trained() -> None:
    """As soon as there is a training window."""
    found = decide(None, [])
    assert ("retrain", None, "no champion yet", None) == (
        found.decision,
        found.champion_version,
        found.reason,
        found.evidence_month,
    )


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "no champion yet; nothing to train on: too few months"),
        (
            champion(),
            (
                "ROC AUC 0.6000 on 2013-04 against 0.7390 on the holdout 2013-03: drop +0.1390, allowed 0.0200; "
                "nothing to train on: too few months"
            ),
        ),
    ],
)
def test_nothing_is_trained_without_a_window(record: PromotionRecord | None, reason: str) -> None:
    """The reason says what asked for a training and why there is none."""
    found = decide(record, [month("2013-04", classified(0.6))], NotDue("too few months"))
    assert ("keep", reason) == (found.decision, found.reason)


@pytest.mark.parametrize(
    ("skill", "expected"),
    [
        (
            0.35,
            ("retrain", "skill 0.3500 on 2013-04 against 0.5000 on the holdout 2013-03: drop +0.1500, allowed 0.1000"),
        ),
        (0.45, ("keep", "skill 0.4500 on 2013-04 against 0.5000 on the holdout 2013-03: drop +0.0500, allowed 0.1000")),
        (None, ("keep", "all labels of 2013-04 are equal, which says nothing about version 2")),
    ],
)
def test_a_regression_is_judged_by_its_skill(skill: float | None, expected: tuple[str, str]) -> None:
    """It has no ranking; the share of variance that it explains is compared."""
    record = champion(RegressionMetrics(rmse=2, mae=1, skill=0.5, rows=1000))
    found = decide(record, [month("2013-04", regressed(skill))])
    assert expected == (found.decision, found.reason)


def test_measures_of_another_objective_are_refused() -> None:
    """A regression's month says nothing about a classification."""
    with pytest.raises(EvaluationRefused, match="2013-04 of m: its performance is a RegressionPerformance"):
        decide(champion(), [month("2013-04", regressed(0.5))])


@given(st.floats(0, 1), st.floats(-1, 1), st.floats(0, 20))
def test_a_training_is_asked_for_exactly_when_performance_fell(roc_auc: float, skill: float, psi: float) -> None:
    """Whatever the inputs' drift: the drop is larger than allowed, or the skill is below its bound."""
    found = decide(champion(), [month("2013-04", classified(roc_auc, skill), psi=psi)])
    assert (0.739 - roc_auc > 0.02 or skill < 0) == (found.decision == "retrain")
