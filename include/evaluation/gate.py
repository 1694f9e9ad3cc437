"""The gate: whether a candidate replaces the champion, with the reason in words.

The rule, in order: the candidate reaches ``min_roc_auc`` and ``min_skill`` on the holdout; where there is a champion,
it beats the champion's ROC AUC on the same holdout by more than ``min_gain``. Months are compared by AUC and skill,
never by raw log loss, which moves with the base rate.

What it does not do: compute metrics (``include.programs.evaluate``), record the decision (``include.registry``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.core.errors import EvaluationRefused
from include.core.promotion import Decision

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
    """Return whether the candidate becomes the champion."""
    for name, value, least in (
        ("ROC AUC", candidate.roc_auc, gate.min_roc_auc),
        ("skill", candidate.skill, gate.min_skill),
    ):
        if value < least:
            return Decision(decision="reject", reason=f"{name} {value:.4f} on the holdout is below {least:.4f}")
    if champion is None:
        return Decision(
            decision="promote",
            reason=f"first champion: ROC AUC {candidate.roc_auc:.4f}, skill {candidate.skill:.4f} on the holdout",
        )
    gain = candidate.roc_auc - champion.roc_auc
    verdict = (
        f"ROC AUC {candidate.roc_auc:.4f} against the champion's {champion.roc_auc:.4f} "
        f"on the same holdout: gain {gain:+.4f}, needed more than {gate.min_gain:.4f}"
    )
    return Decision(decision="promote" if gain > gate.min_gain else "reject", reason=verdict)
