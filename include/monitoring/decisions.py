"""The append-only retraining decisions: ``monitoring/<model>/decisions/as_of=2013-05,champion=1.json`` in the lake.

How it works: the as-of month and the champion are the record's name and it is created with If-None-Match, so there is
at most one decision for each pair, however often and by however many it is made.

What it does not do: decide (``include.monitoring.retraining``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.core.lake import monitoring_prefix
from include.monitoring.retraining import RetrainingDecision

if TYPE_CHECKING:
    from include.core.lake import Lake


def record_decision(lake: Lake, decision: RetrainingDecision) -> RetrainingDecision:
    """Record the decision and return it; when the same question was decided before, return what was decided then."""
    key = _key(decision.model, decision.as_of, decision.champion_version)
    if lake.create_json(key, decision.model_dump(mode="json")):
        return decision
    return RetrainingDecision.model_validate(lake.read_json(key))


def decisions(lake: Lake, model: str) -> list[RetrainingDecision]:
    """Return the model's decisions, oldest as-of month first and then by the champion's version."""
    found = [RetrainingDecision.model_validate(lake.read_json(key)) for key in lake.keys(f"{_prefix(model)}/")]
    return sorted(found, key=lambda each: (each.as_of, each.champion_version or 0))


def _prefix(model: str) -> str:
    return f"{monitoring_prefix(model)}/decisions"


def _key(model: str, as_of: str, champion_version: int | None) -> str:
    champion = "none" if champion_version is None else champion_version
    return f"{_prefix(model)}/as_of={as_of},champion={champion}.json"
