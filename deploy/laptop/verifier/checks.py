"""What the pipeline claims, compared with what was found: pure functions over plain data.

What it does not do: fetch, compute or repair anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploy.laptop.verifier.checks_monitoring import check_monitoring
from deploy.laptop.verifier.checks_rules import check_gate
from deploy.laptop.verifier.verdict import TOLERANCE, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.laptop.verifier.checks_monitoring import MonitoringEvidence

_METRICS = ("roc_auc", "log_loss", "brier", "skill")


@dataclass(frozen=True)
class Evidence:
    """What was fetched and recomputed.

    Args:
        records: Promotion records by version.
        evaluations: Evaluation reports by version, where there is one.
        missing: Addresses or files that do not exist or are not what was recorded, with what is wrong.
        objects: How many objects were looked at.
        counts: Rows of each month's files by table and file: ``{("raw", "2013-01", "flights"): 27004}``.
        months: Rows and labelled rows of the data package, by month.
        holdouts: Recomputed metrics by version.
        champions: Recomputed metrics, on a version's holdout, of the champion that it was compared with; by version.
        scores: Findings by scored month.
        monitoring: What was found of the monitoring.
        spec: What model.yaml says; its bounds are what decisions are made by.
    """

    records: Mapping[int, Mapping[str, Any]]
    evaluations: Mapping[int, Mapping[str, Any]]
    missing: tuple[str, ...]
    objects: int
    counts: Mapping[tuple[str, str, str], int]
    months: Mapping[str, Mapping[str, int]]
    holdouts: Mapping[int, Mapping[str, float]]
    champions: Mapping[int, Mapping[str, float]]
    scores: Mapping[str, Mapping[str, Any]]
    monitoring: MonitoringEvidence
    spec: Mapping[str, Any]


def compare(summary: Mapping[str, Any], evidence: Evidence) -> Verdict:
    """Return what of the summary, and of the records behind it, is not so."""
    verdict = Verdict(differences=list(evidence.missing), checked=evidence.objects)
    for month in summary["months"]:
        _check_month(verdict, month, evidence)
    verdict.equal(
        "the summary's models, as the versions of the promotion records",
        [model["version"] for model in summary["models"]],
        sorted(evidence.records),
    )
    for model in summary["models"]:
        if model["version"] in evidence.records:
            _check_model(verdict, model, evidence)
    for score in summary["scores"]:
        _check_score(verdict, score, evidence)
    check_monitoring(verdict, summary, evidence)
    return verdict


def _check_month(verdict: Verdict, month: Mapping[str, Any], evidence: Evidence) -> None:
    name = month["month"]
    package = evidence.months.get(name, {"rows": -1, "labelled": -1})
    verdict.equal(f"rows_in of {name} against the data package", month["rows_in"], package["rows"])
    verdict.equal(f"rows_quarantined of {name}", month["rows_quarantined"], 0)
    for table, expected in (
        (("raw", name, "flights"), package["rows"]),
        (("features", name, "features"), package["rows"]),
        (("features", name, "labels"), package["labelled"]),
    ):
        verdict.equal(f"rows of {'/'.join(table)} against the data package", evidence.counts.get(table), expected)


def _check_model(verdict: Verdict, model: Mapping[str, Any], evidence: Evidence) -> None:
    version = model["version"]
    record = evidence.records[version]
    for name, claimed in model.items():
        verdict.equal(f"{name} of version {version} in summary and record", claimed, record.get(name))
    recomputed = evidence.holdouts[version]
    verdict.equal(f"rows of the holdout of version {version}", record["metrics"]["rows"], recomputed["rows"])
    evaluated = evidence.evaluations.get(version, {}).get("models", {})
    for source, metrics in (
        ("the summary", model["metrics"]),
        ("the record", record["metrics"]),
        ("evaluation.json", evaluated.get("candidate", {})),
    ):
        _check_metrics(verdict, f"version {version} on {record['holdout_month']} in {source}", metrics, recomputed)
    verdict.holds(
        f"version {version} is compared on {record['holdout_month']}, which is not after its training window "
        f"{record['trained_on']}",
        holds=all(month < record["holdout_month"] for month in record["trained_on"]),
    )
    champion = evidence.records.get(record["champion_version"]) if record["champion_version"] is not None else None
    if record["champion_version"] is not None:
        verdict.holds(
            f"version {version} was compared with version {record['champion_version']}, which was never a champion",
            holds=champion is not None and champion["decision"] == "promote" and champion["version"] < version,
        )
        compared_with = evidence.champions.get(version, {})
        for source, metrics in (
            (f"the record of version {version}", record["champion_metrics"] or {}),
            ("evaluation.json", evaluated.get("champion", {})),
        ):
            where = f"version {record['champion_version']} on {record['holdout_month']} in {source}"
            _check_metrics(verdict, where, metrics, compared_with)
    if champion is None or version in evidence.champions:
        check_gate(verdict, record, evidence.spec["gate"], recomputed, evidence.champions.get(version))


def _check_metrics(verdict: Verdict, where: str, claimed: Mapping[str, float], recomputed: Mapping[str, float]) -> None:
    for name in _METRICS:
        verdict.close(f"{name} of {where}", claimed.get(name, math.nan), recomputed.get(name, math.nan))


def _check_score(verdict: Verdict, score: Mapping[str, Any], evidence: Evidence) -> None:
    month, version = score["month"], score["model_version"]
    finding = evidence.scores.get(month)
    record = evidence.records.get(version)
    if finding is None or record is None:
        verdict.holds(f"{month} is scored by version {version}: its record or its predictions are missing", holds=False)
        return
    verdict.holds(
        f"{month} is scored by version {version}, which was not released", holds=record["decision"] == "promote"
    )
    verdict.holds(
        f"{month} is reported as unseen by version {version}, whose training window and holdout are "
        f"{record['trained_on']} and {record['holdout_month']}",
        holds=month not in {*record["trained_on"], record["holdout_month"]},
    )
    verdict.equal(f"rows of the predictions of {month}", score["rows"], finding["rows"])
    verdict.equal(f"rows of {month} against the data package", score["rows"], evidence.months[month]["rows"])
    for what in ("repeated", "not_in_package", "not_in_features"):
        verdict.equal(f"predictions of {month} whose row is {what.replace('_', ' ')}", 0, finding[what])
    verdict.holds(
        f"a prediction of {month} differs from the recomputed one by {finding['largest_difference']:.3g} "
        f"(row {finding['at']})",
        holds=finding["largest_difference"] <= TOLERANCE,
    )
    for name in ("roc_auc", "skill"):
        verdict.hindsight.setdefault(month, {})[name] = finding["metrics"][name]
        if score[name] is not None:
            verdict.close(f"{name} of {month} in the summary", score[name], finding["metrics"][name])
