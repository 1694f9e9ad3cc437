"""What the monthly reports and the summary claim of drift and performance, compared with what was recomputed.

What it does not do: recompute anything (``recompute``, ``recompute_drift``), judge decisions (``checks_rules``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploy.laptop.verifier.checks_rules import check_retraining, has_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.laptop.verifier.checks import Evidence
    from deploy.laptop.verifier.verdict import Verdict

# both sides compute the same sums in double precision
_SAME = 1e-9
_PERFORMANCE = ("base_rate", "roc_auc", "log_loss", "brier", "skill", "calibration_error")
_DECISION = ("as_of", "champion_version", "decision", "reason", "evidence_month")
# a page for a screen: what is smaller cannot be read, what is larger is no page
_LEAST_PIXELS, _MOST_PIXELS = 400, 6000
# text and bars on a background take more than this share of it
_LEAST_DRAWN = 0.01


@dataclass(frozen=True)
class MonitoringEvidence:
    """What was fetched and recomputed of the monitoring.

    Args:
        reports: The monthly reports by month.
        drifts: The recomputed drift of each reported month's features, by month and feature.
        plots: Findings by month: ``address``, ``sha256``, and ``format``, ``width``, ``height``, ``drawn`` or a
            ``problem``.
        decisions: The retraining decisions, as they lie in the lake.
    """

    reports: Mapping[str, Mapping[str, Any]]
    drifts: Mapping[str, Mapping[str, Mapping[str, Any]]]
    plots: Mapping[str, Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]


def check_monitoring(verdict: Verdict, summary: Mapping[str, Any], evidence: Evidence) -> None:
    """Compare every figure of the reports, the plots and the retraining decisions."""
    found = evidence.monitoring
    due = _months_due(evidence)
    verdict.equal("the months that have a report", sorted(found.reports), due)
    scores = {score["month"]: score for score in summary["scores"]}
    for month in due:
        if month in found.reports:
            _check_report(verdict, month, scores.get(month), evidence)
            _check_plot(verdict, month, found.plots[month])
    for month, score in scores.items():
        _check_table(verdict, score, found.reports.get(month))
    addresses = [plot["address"] for _, plot in sorted(found.plots.items())]
    verdict.equal("the summary's plots", summary["plots"], addresses)
    pictures = [plot["sha256"] for plot in found.plots.values()]
    verdict.equal("the plots' different pictures", len(set(pictures)), len(pictures))
    _check_decisions(verdict, summary, evidence)


def _months_due(evidence: Evidence) -> list[str]:
    """Return the months with features from the first champion's holdout on: what was before it, it is made of."""
    holdouts = [record["holdout_month"] for record in evidence.records.values() if record["decision"] == "promote"]
    featured = {month for kind, month, _ in evidence.counts if kind == "features"}
    return sorted(month for month in featured if holdouts and month >= min(holdouts))


def _check_report(verdict: Verdict, month: str, score: Mapping[str, Any] | None, evidence: Evidence) -> None:
    report = evidence.monitoring.reports[month]
    version = report["model_version"] if score is None else score["model_version"]
    record = evidence.records.get(version)
    if record is None:
        verdict.holds(f"the report of {month} is about version {version}, which has no record", holds=False)
        return
    where = f"the report of {month}"
    verdict.equal(f"month of {where}", report["month"], month)
    verdict.equal(f"model of {where}", report["model"], record["model"])
    verdict.equal(f"version of {where}", report["model_version"], version)
    verdict.equal(f"decision on version {version}, which is compared with in {where}", record["decision"], "promote")
    verdict.equal(f"reference of {where}", report["reference_months"], record["trained_on"])
    verdict.holds(f"{where} compares the month with itself", holds=month not in report["reference_months"])
    verdict.equal(f"rows of {where}", report["rows"], evidence.counts["features", month, "features"])
    _check_drift(verdict, where, report, evidence.monitoring.drifts.get(month, {}))
    _check_performance(verdict, where, report, score, evidence)


def _check_drift(
    verdict: Verdict, where: str, report: Mapping[str, Any], recomputed: Mapping[str, Mapping[str, Any]]
) -> None:
    verdict.equal(f"features of {where}", sorted(report["drift"]), sorted(recomputed))
    for name in sorted(report["drift"].keys() & recomputed.keys()):
        claimed, found = report["drift"][name], recomputed[name]
        verdict.equal(f"kind of {name} in {where}", claimed["kind"], found["kind"])
        for figure in ("psi", "effect_size", "missing_reference", "missing_current"):
            verdict.close(f"{figure} of {name} in {where}", claimed[figure], found[figure], within=_SAME)
    largest = max((each["psi"] for each in recomputed.values()), default=None)
    verdict.close(f"max_psi of {where}", report["max_psi"], largest, within=_SAME)
    moved_most = recomputed.get(report["max_psi_feature"], {}).get("psi")
    verdict.holds(
        f"max_psi_feature of {where}: {report['max_psi_feature']!r} is claimed, its recomputed PSI is {moved_most!r} "
        f"and the largest is {largest!r}",
        holds=moved_most is not None and largest is not None and largest - moved_most <= _SAME,
    )


def _check_performance(
    verdict: Verdict, where: str, report: Mapping[str, Any], score: Mapping[str, Any] | None, evidence: Evidence
) -> None:
    month, claimed = report["month"], report["performance"]
    as_of = max(each for kind, each, _ in evidence.counts if kind == "raw")
    known = score is not None and has_labels(month, as_of, evidence.spec["label_delay_months"])
    scored_by = score["model_version"] if score and known else None
    verdict.equal(f"version that scored {month}, in {where}", report["scored_by"], scored_by)
    verdict.equal(f"performance known in {where}", claimed is not None, known)
    if claimed is None or month not in evidence.scores:
        return
    found = evidence.scores[month]["metrics"]
    verdict.equal(f"labelled rows of {where}", claimed["rows"], found["rows"])
    for name in _PERFORMANCE:
        verdict.close(f"{name} of {where}", claimed[name], found[name], within=_SAME)


def _check_plot(verdict: Verdict, month: str, plot: Mapping[str, Any]) -> None:
    problem = plot.get("problem")
    verdict.holds(f"the plot of {month} ({plot['address']}) cannot be shown: {problem}", holds=problem is None)
    if problem is not None:
        return
    verdict.equal(f"format of the plot of {month}", plot["format"], "PNG")
    size = plot["width"], plot["height"]
    verdict.holds(
        f"the plot of {month} has {size[0]} x {size[1]} pixels, not {_LEAST_PIXELS} to {_MOST_PIXELS} each way",
        holds=all(_LEAST_PIXELS <= pixels <= _MOST_PIXELS for pixels in size),
    )
    verdict.holds(
        f"the plot of {month} is blank: {plot['drawn']:.2%} of its pixels are not its background",
        holds=plot["drawn"] >= _LEAST_DRAWN,
    )


def _check_table(verdict: Verdict, score: Mapping[str, Any], report: Mapping[str, Any] | None) -> None:
    month = score["month"]
    if report is None:
        verdict.holds(f"{month} is scored and has no report", holds=False)
        return
    performance = report["performance"] or {"roc_auc": None, "skill": None}
    verdict.equal(f"max_psi of {month} in summary and report", score["max_psi"], report["max_psi"])
    for name in ("roc_auc", "skill"):
        verdict.equal(f"{name} of {month} in summary and report", score[name], performance[name])


def _check_decisions(verdict: Verdict, summary: Mapping[str, Any], evidence: Evidence) -> None:
    decisions = sorted(evidence.monitoring.decisions, key=lambda each: (each["as_of"], each["champion_version"] or 0))
    recorded = [{name: each[name] for name in _DECISION} for each in decisions]
    verdict.equal("the summary's decisions, as recorded", summary["decisions"], recorded)
    scored = {
        score["month"]: (score["model_version"], evidence.scores[score["month"]]["metrics"])
        for score in summary["scores"]
        if score["month"] in evidence.scores
    }
    for decision in decisions:
        verdict.holds(
            f"there is a decision as of {decision['as_of']}, which has not landed",
            holds=("raw", decision["as_of"], "flights") in evidence.counts,
        )
        check_retraining(verdict, decision, evidence.spec, evidence.records, evidence.holdouts, scored)
