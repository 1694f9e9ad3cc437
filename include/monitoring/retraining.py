"""The retraining rule: whether the champion has to be trained anew, with the reason in words. Pure.

The rule, in order:

1. A model without a champion is trained.
2. The newest month that this champion scored and whose labels have arrived is compared with the champion's own holdout:
   ROC AUC lower by more than ``max_auc_drop`` (of a regression: skill lower by more than ``max_skill_drop``), or skill
   below ``min_skill``, asks for a training.
3. Otherwise the champion is kept; so it is, with both reasons, when there is nothing to train on.

Drift of the inputs never decides: weather alone drifts beyond every customary bound nearly every month, and labels can
drift while the inputs stand still.

What it does not do: measure, record (``include.monitoring.decisions``). Light: DAG files may import it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from include.core.due import NotDue
from include.core.errors import EvaluationRefused
from include.core.promotion import ClassificationMetrics, RegressionMetrics
from include.monitoring.measures import ClassificationPerformance, RegressionPerformance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.core.due import Window
    from include.core.model_spec import Monitoring
    from include.core.months import Month
    from include.core.promotion import PromotionRecord
    from include.monitoring.measures import MonthMeasures


class Verdict(BaseModel):
    """Whether to train again, why, and the month that says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["retrain", "keep"]
    reason: str
    evidence_month: str | None = None


class RetrainingDecision(Verdict):
    """A verdict on one model as of its source's newest landed month."""

    model: str
    as_of: str
    champion_version: PositiveInt | None
    decided_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


def decide_retraining(
    thresholds: Monitoring,
    *,
    model: str,
    as_of: Month,
    champion: PromotionRecord | None,
    measured: Iterable[MonthMeasures],
    window: Window | NotDue,
) -> RetrainingDecision:
    """Apply the rule.

    Args:
        thresholds: How far performance may fall.
        model: The model's name.
        as_of: The newest landed month.
        champion: The model's champion.
        measured: Measured months, in any order; those that another version scored do not count.
        window: What a training would be made on, or why there is nothing to train on.

    Raises:
        EvaluationRefused: a month was measured by another objective than the champion.
    """
    verdict = _verdict(thresholds, champion, measured)
    if isinstance(window, NotDue) and verdict.decision == "retrain":
        verdict = verdict.model_copy(
            update={"decision": "keep", "reason": f"{verdict.reason}; nothing to train on: {window.reason}"}
        )
    return RetrainingDecision(
        **verdict.model_dump(),
        model=model,
        as_of=str(as_of),
        champion_version=champion.version if champion else None,
    )


def _verdict(thresholds: Monitoring, champion: PromotionRecord | None, measured: Iterable[MonthMeasures]) -> Verdict:
    if champion is None:
        return Verdict(decision="retrain", reason="no champion yet")
    known = [each for each in measured if each.scored_by == champion.version and each.performance is not None]
    if not known:
        return Verdict(decision="keep", reason=f"no month scored by version {champion.version} has its labels yet")
    newest = max(known, key=lambda each: each.month)
    return _compare(thresholds, champion, newest)


def _compare(thresholds: Monitoring, champion: PromotionRecord, measures: MonthMeasures) -> Verdict:
    month, then, now = measures.month, champion.metrics, measures.performance
    if isinstance(then, ClassificationMetrics) and isinstance(now, ClassificationPerformance):
        figure, before, after, allowed = "ROC AUC", then.roc_auc, now.roc_auc, thresholds.max_auc_drop
        skill = now.skill
    elif isinstance(then, RegressionMetrics) and isinstance(now, RegressionPerformance):
        figure, before, after, allowed = "skill", then.skill, now.skill, thresholds.max_skill_drop
        skill = now.skill
    else:
        raise EvaluationRefused(
            f"{month} of {measures.model}",
            f"its performance is a {type(now).__name__}, the champion's metrics are {type(then).__name__}",
            rule="a month is measured by the champion's objective",
            remedy="train a champion for the objective of model.yaml",
        )
    if after is None or skill is None:
        reason = f"all labels of {month} are equal, which says nothing about version {champion.version}"
        return Verdict(decision="keep", reason=reason, evidence_month=month)
    drop = before - after
    compared = (
        f"{figure} {after:.4f} on {month} against {before:.4f} on the holdout {champion.holdout_month}: "
        f"drop {drop:+.4f}, allowed {allowed:.4f}"
    )
    if drop > allowed:
        return Verdict(decision="retrain", reason=compared, evidence_month=month)
    if skill < thresholds.min_skill:
        reason = f"skill {skill:.4f} on {month} is below {thresholds.min_skill:.4f}; {compared}"
        return Verdict(decision="retrain", reason=reason, evidence_month=month)
    return Verdict(decision="keep", reason=compared, evidence_month=month)
