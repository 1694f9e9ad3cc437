"""The gate: whether a candidate replaces the champion, with the reason in words.

The rule, in order: the candidate reaches every bound on the holdout; where there is a champion, it beats the champion's
first figure on the same holdout by more than ``min_gain``. A classification's figures are ROC AUC (``min_roc_auc``) and
skill (``min_skill``), a regression's is skill. Months are never compared by raw log loss or raw error, which move with
the base rate and with the spread of the labels.

What it does not do: compute metrics (``include.programs.evaluate``), record the decision (``include.registry``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from include.core.errors import EvaluationRefused
from include.core.model_spec import ClassificationGate, RegressionGate
from include.core.promotion import ClassificationMetrics, Decision, RegressionMetrics

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from include.core.model_spec import Gate
    from include.core.promotion import Metrics


def refuse_unfair_holdout(holdout: str, trained_on: Mapping[str, Collection[str]]) -> None:
    """Refuse a holdout that one of the compared models was trained on.

    Args:
        holdout: The holdout month.
        trained_on: The training months of each compared model, by its name.

    Raises:
        EvaluationRefused: the holdout lies in one of the training windows.
    """
    for name, months in trained_on.items():
        if holdout in months:
            raise EvaluationRefused(
                f"holdout {holdout}",
                f"{name} was trained on {', '.join(sorted(months))}",
                rule="models are compared on a month that none of them was trained on",
                remedy="wait until a newer month has its labels",
            )


def decide(gate: Gate, candidate: Metrics, champion: Metrics | None) -> Decision:
    """Return whether the candidate becomes the champion.

    Raises:
        EvaluationRefused: the metrics are not of the gate's objective.
    """
    figures = _figures(gate, candidate)
    for figure in figures:
        if figure.value < figure.least:
            reason = f"{figure.name} {figure.value:.4f} on the holdout is below {figure.least:.4f}"
            return Decision(decision="reject", reason=reason)
    if champion is None:
        reached = ", ".join(f"{figure.name} {figure.value:.4f}" for figure in figures)
        return Decision(decision="promote", reason=f"first champion: {reached} on the holdout")
    ours, theirs = figures[0], _figures(gate, champion)[0]
    gain = ours.value - theirs.value
    verdict = (
        f"{ours.name} {ours.value:.4f} against the champion's {theirs.value:.4f} "
        f"on the same holdout: gain {gain:+.4f}, needed more than {gate.min_gain:.4f}"
    )
    return Decision(decision="promote" if gain > gate.min_gain else "reject", reason=verdict)


class _Figure(NamedTuple):
    name: str
    value: float
    least: float


def _figures(gate: Gate, metrics: Metrics) -> tuple[_Figure, ...]:
    """Return what the gate looks at, with its bounds; the first figure is the one that champions are compared by."""
    if isinstance(gate, ClassificationGate) and isinstance(metrics, ClassificationMetrics):
        return (
            _Figure("ROC AUC", metrics.roc_auc, gate.min_roc_auc),
            _Figure("skill", metrics.skill, gate.min_skill),
        )
    if isinstance(gate, RegressionGate) and isinstance(metrics, RegressionMetrics):
        return (_Figure("skill", metrics.skill, gate.min_skill),)
    raise EvaluationRefused(
        f"{type(metrics).__name__} before a {type(gate).__name__}",
        f"the evaluation measured {', '.join(type(metrics).model_fields)}",
        rule="a candidate is measured by the objective of its model.yaml",
        remedy="run the training again",
    )
