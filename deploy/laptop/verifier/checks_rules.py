"""Whether recorded decisions follow from their rules, applied here once more to the recomputed figures.

The gate: ROC AUC and skill on the holdout reach their bounds; a champion is beaten on the same holdout by more than
``min_gain`` of ROC AUC. Retraining: of the months that the champion scored and whose labels had arrived, the newest is
compared with the champion's own holdout; ROC AUC lower by more than ``max_auc_drop``, or skill below ``min_skill``,
asks for a training. The bounds are those of model.yaml.

The figures that a reason states have four decimals and are compared to half of the last one.

Known limitation: that a training was asked for while there was nothing to train on is not foreseen: months that land
one after another always move the training window.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from deploy.laptop.verifier.verdict import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.laptop.verifier.verdict import Verdict

    Metrics = Mapping[str, float]

_LAST_DECIMAL = 1e-4
_FIGURE = re.compile(r"[+-]?\d+\.\d{4}\b")
_MONTH = re.compile(r"\b\d{4}-\d{2}\b")


class _Expected(NamedTuple):
    """What a rule says: the decision, and the figures and months that its reason has to name."""

    decision: str
    figures: tuple[float, ...] = ()
    months: tuple[str, ...] = ()


def check_gate(
    verdict: Verdict,
    record: Mapping[str, Any],
    gate: Mapping[str, float],
    candidate: Metrics,
    champion: Metrics | None,
) -> None:
    """Compare a promotion record's decision and reason with the gate's rule on the recomputed metrics."""
    _compare(
        verdict, f"version {record['version']} by the gate's rule", record, _expect_of_gate(gate, candidate, champion)
    )


def check_retraining(
    verdict: Verdict,
    decision: Mapping[str, Any],
    spec: Mapping[str, Any],
    records: Mapping[int, Mapping[str, Any]],
    holdouts: Mapping[int, Metrics],
    scored: Mapping[str, tuple[int, Metrics]],
) -> None:
    """Compare a retraining decision with the rule on the recomputed metrics.

    Args:
        verdict: Where differences are noted.
        decision: The decision, as it lies in the lake.
        spec: What model.yaml says.
        records: The promotion records by version.
        holdouts: Recomputed metrics on each version's own holdout.
        scored: The version that scored each month, and the recomputed metrics of its predictions.
    """
    as_of, champion = decision["as_of"], decision["champion_version"]
    where = f"retraining as of {as_of}, champion {champion}"
    asked_at = datetime.fromisoformat(decision["decided_at"])
    released = [
        version
        for version, record in records.items()
        if record["decision"] == "promote" and datetime.fromisoformat(record["decided_at"]) < asked_at
    ]
    verdict.equal(f"{where}: the version released last", champion, max(released, default=None))
    if champion is not None and champion not in holdouts:
        verdict.holds(f"{where}: nothing could be recomputed of this version", holds=False)
        return
    judged = {
        month: metrics
        for month, (version, metrics) in scored.items()
        if version == champion and has_labels(month, as_of, spec["label_delay_months"])
    }
    verdict.equal(f"{where}: the evidence's month", decision["evidence_month"], max(judged, default=None))
    if champion is None:
        expected = _Expected("retrain")
    elif not judged:
        expected = _Expected("keep")
    else:
        month = max(judged)
        figures = _expect_of_drop(spec["monitoring"], before=holdouts[champion], after=judged[month])
        expected = figures._replace(months=(month, records[champion]["holdout_month"]))
    _compare(verdict, where, decision, expected)
    stated = sorted(set(_MONTH.findall(decision["reason"])))
    verdict.equal(f"{where}: the reason's months", stated, sorted(expected.months))


def has_labels(month: str, as_of: str, delay: int) -> bool:
    """Return whether a month's labels have arrived when ``as_of`` is the newest landed month."""
    (year, number), (newest_year, newest) = (map(int, each.split("-")) for each in (month, as_of))
    return (newest_year - year) * 12 + newest - number >= delay


def _expect_of_gate(gate: Mapping[str, float], candidate: Metrics, champion: Metrics | None) -> _Expected:
    for name, bound in (("roc_auc", gate["min_roc_auc"]), ("skill", gate["min_skill"])):
        if candidate[name] < bound:
            return _Expected("reject", (candidate[name], bound))
    if champion is None:
        return _Expected("promote", (candidate["roc_auc"], candidate["skill"]))
    gain = candidate["roc_auc"] - champion["roc_auc"]
    decision = "promote" if gain > gate["min_gain"] else "reject"
    return _Expected(decision, (candidate["roc_auc"], champion["roc_auc"], gain, gate["min_gain"]))


def _expect_of_drop(bounds: Mapping[str, float], *, before: Metrics, after: Metrics) -> _Expected:
    drop = before["roc_auc"] - after["roc_auc"]
    compared = (after["roc_auc"], before["roc_auc"], drop, bounds["max_auc_drop"])
    if drop > bounds["max_auc_drop"]:
        return _Expected("retrain", compared)
    if after["skill"] < bounds["min_skill"]:
        return _Expected("retrain", (after["skill"], bounds["min_skill"], *compared))
    return _Expected("keep", compared)


def _compare(verdict: Verdict, where: str, recorded: Mapping[str, Any], expected: _Expected) -> None:
    verdict.equal(f"{where}: the decision", recorded["decision"], expected.decision)
    stated = [float(figure) for figure in _FIGURE.findall(recorded["reason"])]
    verdict.holds(
        f"{where}: {recorded['reason']!r} is claimed, the figures {list(expected.figures)} were recomputed",
        holds=_alike(stated, expected.figures),
    )


def _alike(stated: Sequence[float], recomputed: Sequence[float]) -> bool:
    return len(stated) == len(recomputed) and all(
        abs(one - other) <= _LAST_DECIMAL / 2 + TOLERANCE for one, other in zip(stated, recomputed, strict=True)
    )
