"""The recorded retraining decisions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from include.monitoring.decisions import decisions, record_decision
from include.monitoring.retraining import RetrainingDecision

if TYPE_CHECKING:
    from include.core.lake import Lake


def decision(as_of: str, champion_version: int | None, reason: str = "it fell") -> RetrainingDecision:
    """A decision to train the model ``m`` again."""
    return RetrainingDecision(
        model="m", as_of=as_of, champion_version=champion_version, decision="retrain", reason=reason
    )


def test_a_decision_is_recorded_under_its_month_and_champion(lake: Lake) -> None:
    """One readable object for each question."""
    record_decision(lake, decision("2013-05", 1))
    record_decision(lake, decision("2013-03", None))
    expected = [
        "monitoring/m/decisions/as_of=2013-03,champion=none.json",
        "monitoring/m/decisions/as_of=2013-05,champion=1.json",
    ]
    assert expected == list(lake.keys("monitoring/"))


def test_the_first_decision_stands(lake: Lake) -> None:
    """Asking again as of the same month about the same champion returns what was decided, with its time and reason."""
    first = record_decision(lake, decision("2013-05", 1))
    again = record_decision(lake, decision("2013-05", 1, reason="something else"))
    assert (first, [first]) == (again, decisions(lake, "m"))


def test_another_champion_or_month_is_another_question(lake: Lake) -> None:
    """Decisions are listed by month and then by champion, as numbers."""
    made = [record_decision(lake, decision(*each)) for each in (("2013-05", 10), ("2013-05", 9), ("2013-04", None))]
    assert made[::-1] == decisions(lake, "m")


def test_of_two_deciders_at_once_one_is_recorded(lake: Lake) -> None:
    """Both are given the same decision."""
    asked = [decision("2013-05", 1, reason=f"decider {number}") for number in range(8)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        given = list(pool.map(lambda each: record_decision(lake, each), asked))
    assert decisions(lake, "m") * 8 == given


def test_a_model_without_decisions_has_none(lake: Lake) -> None:
    """An empty history is empty."""
    record_decision(lake, decision("2013-05", 1))
    assert [] == decisions(lake, "another")
