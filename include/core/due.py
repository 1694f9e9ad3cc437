"""Which months are due: worked out from what the lake holds, never from the event that woke a DAG.

As-of is the newest landed month. The labels of month M have arrived once month M + ``label_delay_months`` has landed.
Training, evaluation, scoring and monitoring all ask here. Pure functions; nothing here reads or writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from include.core.model_spec import TrainingWindow
    from include.core.months import Month


@dataclass(frozen=True)
class Window:
    """What a candidate is trained on and the month on which it is compared."""

    train: tuple[Month, ...]
    holdout: Month


@dataclass(frozen=True)
class NotDue:
    """Nothing to do, and why."""

    reason: str


def labelled_months(landed: Collection[Month], delay: int) -> list[Month]:
    """Return the landed months whose labels have arrived, oldest first."""
    if not landed:
        return []
    as_of = max(landed)
    return sorted(month for month in landed if month + delay <= as_of)


def training_window(labelled: Collection[Month], window: TrainingWindow) -> Window | NotDue:
    """Return the newest labelled month as holdout and up to ``max_months`` labelled months before it.

    A month that never landed leaves a gap in the window; it does not shorten it.
    """
    months = sorted(labelled)
    if len(months) < window.min_months + 1:
        return NotDue(
            f"{len(months)} labelled months, {window.min_months} to train on and 1 as holdout are needed: "
            f"{', '.join(map(str, months)) or 'none'}"
        )
    return Window(train=tuple(months[-window.max_months - 1 : -1]), holdout=months[-1])


def months_to_score(featured: Iterable[Month], scored: Collection[Month], champion_holdout: Month) -> list[Month]:
    """Return the months with features and without predictions that the champion has never seen, oldest first.

    What a champion was trained on lies before its holdout, and the holdout selected it: only later months count.
    """
    return sorted(month for month in featured if month > champion_holdout and month not in scored)
