"""What the monthly reports, the plots, the table and the decisions claim: each figure that is not so is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploy.laptop.verifier.checks import Evidence, compare

Document = dict[str, Any]


def differences(summary: Document, evidence: Document) -> list[str]:
    """What the verifier finds."""
    return compare(summary, Evidence(**evidence)).differences


def tamper(place: Any, path: str, value: Any) -> None:
    """Add to a number, or put something else in the place of anything else."""
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    for part in parents:
        place = place[part]
    place[last] = place[last] + value if isinstance(value, float) and place[last] is not None else value


@pytest.mark.parametrize(
    ("path", "value", "difference"),
    [
        ("drift/temp/psi", 0.01, "psi of temp in the report of 2013-04"),
        ("drift/carrier/psi", 1e-8, "psi of carrier in the report of 2013-04"),
        ("drift/temp/effect_size", 0.01, "effect_size of temp in the report of 2013-04"),
        ("drift/carrier/effect_size", -0.01, "effect_size of carrier in the report of 2013-04"),
        ("drift/precip/effect_size", None, "effect_size of precip in the report of 2013-04"),
        ("drift/temp/missing_current", 0.001, "missing_current of temp in the report of 2013-04"),
        ("drift/temp/missing_reference", 0.001, "missing_reference of temp in the report of 2013-04"),
        ("drift/precip/kind", "categorical", "kind of precip in the report of 2013-04"),
        ("max_psi", 0.01, "max_psi of the report of 2013-04"),
        ("max_psi_feature", "precip", "max_psi_feature of the report of 2013-04"),
        ("max_psi_feature", "humid", "max_psi_feature of the report of 2013-04"),
        ("month", "2013-05", "month of the report of 2013-04"),
        ("model", "bikes", "model of the report of 2013-04"),
        ("model_version", 2, "version of the report of 2013-04"),
        ("reference_months", ["2013-01"], "reference of the report of 2013-04"),
        ("reference_months", ["2013-02", "2013-04"], "the report of 2013-04 compares the month with itself"),
        ("rows", 999, "rows of the report of 2013-04"),
        ("scored_by", 2, "version that scored 2013-04, in the report of 2013-04"),
        ("performance", None, "performance known in the report of 2013-04"),
        ("performance/rows", 949, "labelled rows of the report of 2013-04"),
        ("performance/roc_auc", 1e-4, "roc_auc of the report of 2013-04"),
        ("performance/skill", 1e-4, "skill of the report of 2013-04"),
        ("performance/base_rate", 1e-4, "base_rate of the report of 2013-04"),
        ("performance/calibration_error", 1e-4, "calibration_error of the report of 2013-04"),
    ],
)
def test_a_figure_of_a_report_that_is_not_so_is_named(
    summary: Document, evidence: Document, path: str, value: Any, difference: str
) -> None:
    """Each of them by itself, however little it was changed."""
    tamper(evidence["monitoring"].reports["2013-04"], path, value)

    found = differences(summary, evidence)

    assert any(each.startswith(difference) for each in found), found


@pytest.mark.parametrize("side", ["reports", "drifts"])
def test_a_feature_that_only_one_side_knows_is_named(summary: Document, evidence: Document, side: str) -> None:
    """A report leaves no feature out that the model takes in, and invents none."""
    months = getattr(evidence["monitoring"], side)
    features = months["2013-03"]["drift"] if side == "reports" else months["2013-03"]
    del features["precip"]

    found = differences(summary, evidence)

    assert 1 == len(found)
    assert found[0].startswith("features of the report of 2013-03")


def test_a_performance_that_nobody_can_know_yet_is_named(summary: Document, evidence: Document) -> None:
    """The labels of the newest month have not arrived."""
    reports = evidence["monitoring"].reports
    reports["2013-05"]["performance"] = reports["2013-04"]["performance"]

    found = differences(summary, evidence)

    assert any(each.startswith("performance known in the report of 2013-05") for each in found), found


@pytest.mark.parametrize("month", ["2013-03", "2013-04", "2013-05"])
def test_a_month_without_a_report_is_named(summary: Document, evidence: Document, month: str) -> None:
    """Every month from the first champion's holdout on has one, scored or not."""
    del evidence["monitoring"].reports[month]

    found = differences(summary, evidence)

    assert any(each.startswith("the months that have a report") for each in found), found


@pytest.mark.parametrize(
    ("path", "value", "difference"),
    [
        ("scores/0/max_psi", 0.01, "max_psi of 2013-04 in summary and report"),
        ("scores/1/max_psi", None, "max_psi of 2013-05 in summary and report"),
        ("scores/0/roc_auc", 1e-8, "roc_auc of 2013-04 in summary and report"),
        ("scores/1/skill", 0.16, "skill of 2013-05 in summary and report"),
        ("plots/1", "s3://flightdeck-lake/elsewhere/plot.png", "the summary's plots"),
        ("decisions/2/decision", "keep", "the summary's decisions, as recorded"),
        ("decisions/1/reason", "because", "the summary's decisions, as recorded"),
    ],
)
def test_a_table_that_does_not_say_what_the_lake_says_is_named(
    summary: Document, evidence: Document, path: str, value: Any, difference: str
) -> None:
    """The closing table has its figures from the summary."""
    tamper(summary, path, value)

    found = differences(summary, evidence)

    assert any(each.startswith(difference) for each in found), found


@pytest.mark.parametrize(
    ("finding", "difference"),
    [
        ({"problem": "OSError: image file is truncated"}, "the plot of 2013-05 (s3://flightdeck-lake/monitoring/"),
        ({"format": "JPEG"}, "format of the plot of 2013-05"),
        ({"width": 16}, "the plot of 2013-05 has 16 x 968 pixels"),
        ({"height": 20_000}, "the plot of 2013-05 has 1320 x 20000 pixels"),
        ({"drawn": 0.0}, "the plot of 2013-05 is blank: 0.00%"),
        ({"sha256": f"{0:064x}"}, "the plots' different pictures"),
    ],
)
def test_a_plot_that_shows_nothing_is_named(
    summary: Document, evidence: Document, finding: Document, difference: str
) -> None:
    """Broken, of another format, of a size that nobody can read, blank, or another month's."""
    evidence["monitoring"].plots["2013-05"].update(finding)

    found = differences(summary, evidence)

    assert 1 == len(found), found
    assert found[0].startswith(difference)


RETRAINING = "retraining as of 2013-05, champion 1"


@pytest.mark.parametrize(
    ("path", "value", "difference"),
    [
        ("decision", "keep", f"{RETRAINING}: the decision"),
        ("champion_version", None, "retraining as of 2013-05, champion None: the version released last"),
        ("champion_version", 9, "retraining as of 2013-05, champion 9: nothing could be recomputed"),
        ("decided_at", "2026-01-01T10:06:00Z", f"{RETRAINING}: the version released last"),
        ("evidence_month", None, f"{RETRAINING}: the evidence's month"),
        ("as_of", "2013-09", "there is a decision as of 2013-09, which has not landed"),
        (
            "reason",
            "ROC AUC 0.6901 on 2013-04 against 0.7400 on the holdout 2013-03: drop +0.0500, allowed 0.0200",
            f"{RETRAINING}: 'ROC AUC 0.6901",
        ),
        (
            "reason",
            "ROC AUC 0.6900 on 2013-04 against 0.7400 on the holdout 2013-02: drop +0.0500, allowed 0.0200",
            f"{RETRAINING}: the reason's months",
        ),
    ],
)
def test_a_retraining_decision_that_does_not_follow_is_named(
    summary: Document, evidence: Document, path: str, value: Any, difference: str
) -> None:
    """Its champion, its evidence, its outcome and every figure of its reason."""
    tamper(evidence["monitoring"].decisions[2], path, value)
    recorded = ("as_of", "champion_version", "decision", "reason", "evidence_month")
    summary["decisions"] = [{name: each[name] for name in recorded} for each in evidence["monitoring"].decisions]

    found = differences(summary, evidence)

    assert any(each.startswith(difference) for each in found), found


@pytest.mark.parametrize(
    ("month", "metrics", "bounds", "expected"),
    [
        ("2013-04", {"roc_auc": 0.69}, {"max_auc_drop": 0.06}, "keep"),
        ("2013-04", {"roc_auc": 0.73}, {}, "keep"),
        ("2013-04", {"roc_auc": 0.73, "skill": -0.01}, {}, "retrain"),
        ("2013-05", {"roc_auc": 0.1}, {}, "retrain"),
    ],
)
def test_the_retraining_rule_goes_by_what_was_recomputed(
    summary: Document, evidence: Document, month: str, metrics: Document, bounds: Document, expected: str
) -> None:
    """A drop up to the bound is allowed, a skill below its bound is not, a month without labels has no say."""
    evidence["scores"][month]["metrics"] |= metrics
    evidence["spec"]["monitoring"] |= bounds

    decided = [each for each in differences(summary, evidence) if each.startswith(f"{RETRAINING}: the decision")]

    assert [f"{RETRAINING}: the decision: 'retrain' is claimed, 'keep' was found"] * (expected == "keep") == decided


@pytest.mark.parametrize(
    ("version", "changes", "difference"),
    [
        (2, {"decision": "reject"}, "version 2 by the gate's rule: the decision"),
        (1, {"reason": "first champion: ROC AUC 0.7500, skill 0.1500 on the holdout"}, "version 1 by the gate's rule"),
        (2, {"reason": "it looked good"}, "version 2 by the gate's rule: 'it looked good' is claimed"),
    ],
)
def test_a_release_that_does_not_follow_is_named(
    summary: Document, evidence: Document, version: int, changes: Document, difference: str
) -> None:
    """The gate's decision and the figures of its reason are those of the recomputed metrics."""
    evidence["records"][version] |= changes
    summary["models"][version - 1] |= changes

    found = differences(summary, evidence)

    assert any(each.startswith(difference) for each in found), found


@pytest.mark.parametrize(
    ("gate", "figures"),
    [
        ({"min_roc_auc": 0.8}, "[0.72, 0.8]"),
        ({"min_skill": 0.14}, "[0.12, 0.14]"),
        ({"min_gain": 0.05}, "0.05]"),
    ],
)
def test_the_gate_rejects_by_each_of_its_bounds(
    summary: Document, evidence: Document, gate: Document, figures: str
) -> None:
    """A bound that the recomputed figures do not reach makes the recorded release wrong, and its reason."""
    evidence["spec"]["gate"] |= gate

    found = [each for each in differences(summary, evidence) if each.startswith("version 2 by the gate's rule")]

    assert "version 2 by the gate's rule: the decision: 'promote' is claimed, 'reject' was found" == found[0]
    assert figures in found[1]


def test_drift_that_could_not_be_recomputed_is_a_difference(summary: Document, evidence: Document) -> None:
    """Nothing is true because nothing contradicts it."""
    evidence["monitoring"] = replace(evidence["monitoring"], drifts={})

    found = differences(summary, evidence)

    for month in ("2013-03", "2013-04", "2013-05"):
        assert any(each.startswith(f"features of the report of {month}") for each in found), found
