"""The gate between a candidate and its release."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.core.errors import EvaluationRefused
from include.core.model_spec import ClassificationGate, RegressionGate
from include.core.promotion import ClassificationMetrics, Decision, RegressionMetrics
from include.evaluation.gate import decide, refuse_unfair_holdout

GATE = ClassificationGate(min_roc_auc=0.6, min_skill=0.01, min_gain=0.002)
REGRESSION_GATE = RegressionGate(min_skill=0.2, min_gain=0.01)


def metrics(roc_auc: float, skill: float = 0.1) -> ClassificationMetrics:
    """Metrics of which the gate looks at two."""
    return ClassificationMetrics(roc_auc=roc_auc, log_loss=0.5, brier=0.16, skill=skill, rows=1000)


def regression_metrics(skill: float) -> RegressionMetrics:
    """Metrics of which the gate looks at one."""
    return RegressionMetrics(rmse=5.0, mae=4.0, skill=skill, rows=700)


def test_the_first_good_candidate_becomes_champion() -> None:
    """Without a champion, reaching the bounds is enough."""
    expected = Decision(decision="promote", reason="first champion: ROC AUC 0.7000, skill 0.1000 on the holdout")
    assert expected == decide(GATE, metrics(0.7), None)


def test_a_candidate_that_knows_nothing_is_rejected() -> None:
    """An AUC near one half is below every bound."""
    expected = Decision(decision="reject", reason="ROC AUC 0.5010 on the holdout is below 0.6000")
    assert expected == decide(GATE, metrics(0.501), None)


def test_a_candidate_without_skill_is_rejected() -> None:
    """A good ranking with probabilities worse than the base rate is not enough."""
    expected = Decision(decision="reject", reason="skill -0.0500 on the holdout is below 0.0100")
    assert expected == decide(GATE, metrics(0.7, -0.05), None)


def test_a_better_candidate_replaces_the_champion() -> None:
    """A gain above the bound is a promotion, with both figures in the reason."""
    expected = Decision(
        decision="promote",
        reason="ROC AUC 0.7100 against the champion's 0.7000 on the same holdout: "
        "gain +0.0100, needed more than 0.0020",
    )
    assert expected == decide(GATE, metrics(0.71), metrics(0.7))


@given(st.floats(0.6, 1), st.floats(0, 1))
def test_no_candidate_replaces_a_champion_that_is_as_good(candidate: float, champion: float) -> None:
    """Promotion against a champion means a gain above the bound, and nothing else does."""
    promoted = decide(GATE, metrics(candidate), metrics(champion)).decision == "promote"
    assert (candidate - champion > GATE.min_gain) == promoted


@pytest.mark.parametrize(
    ("skill", "champion", "expected"),
    [
        (0.1, None, Decision(decision="reject", reason="skill 0.1000 on the holdout is below 0.2000")),
        (0.4, None, Decision(decision="promote", reason="first champion: skill 0.4000 on the holdout")),
        (
            0.45,
            0.4,
            Decision(
                decision="promote",
                reason="skill 0.4500 against the champion's 0.4000 on the same holdout: "
                "gain +0.0500, needed more than 0.0100",
            ),
        ),
        (
            0.4,
            0.4,
            Decision(
                decision="reject",
                reason="skill 0.4000 against the champion's 0.4000 on the same holdout: "
                "gain +0.0000, needed more than 0.0100",
            ),
        ),
    ],
)
def test_a_regression_is_judged_by_its_skill(skill: float, champion: float | None, expected: Decision) -> None:
    """Bound, first champion, gain and no gain: skill is the one figure, and the reason holds it."""
    metrics_of_champion = None if champion is None else regression_metrics(champion)
    assert expected == decide(REGRESSION_GATE, regression_metrics(skill), metrics_of_champion)


def test_metrics_of_another_objective_are_refused() -> None:
    """A model.yaml whose objective changed while a candidate was on its way decides nothing."""
    with pytest.raises(EvaluationRefused, match=r"RegressionMetrics before a ClassificationGate: .* rmse, mae, skill"):
        decide(GATE, regression_metrics(0.9), None)


def test_a_holdout_that_was_trained_on_is_refused() -> None:
    """The message names the model and its training months."""
    with pytest.raises(EvaluationRefused, match="holdout 2013-03: the champion was trained on 2013-02, 2013-03"):
        refuse_unfair_holdout("2013-03", {"the candidate": ["2013-01"], "the champion": ["2013-03", "2013-02"]})


def test_a_fair_holdout_passes() -> None:
    """A month outside all windows is accepted."""
    refuse_unfair_holdout("2013-04", {"the candidate": ["2013-02", "2013-03"], "the champion": ["2013-01"]})
