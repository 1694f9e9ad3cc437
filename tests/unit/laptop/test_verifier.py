from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.laptop import verifier
from deploy.laptop.profile import PROJECT
from deploy.laptop.verifier.checks import Evidence, compare

Document = dict[str, Any]


def test_what_is_true_has_no_differences(summary: Document, evidence: Document) -> None:
    """Every statement is compared, and the verifier adds what only hindsight knows."""
    verdict = compare(summary, Evidence(**evidence))

    assert [] == verdict.differences
    assert verdict.checked > 150
    assert {"roc_auc": 0.69, "skill": 0.09} == verdict.hindsight["2013-04"]
    assert {"roc_auc": 0.75, "skill": 0.16} == verdict.hindsight["2013-05"]


def _set(document: Document, path: str, value: Any) -> None:
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place: Any = document
    for part in parents:
        place = place[part]
    place[last] = value


@pytest.mark.parametrize(
    ("path", "value", "difference"),
    [
        ("months/0/rows_in", 999, "rows_in of 2013-01"),
        ("months/1/rows_quarantined", 5, "rows_quarantined of 2013-02"),
        ("models/0/metrics/roc_auc", 0.740002, "roc_auc of version 1 on 2013-03 in the summary"),
        ("models/0/metrics/skill", 0.25, "skill of version 1"),
        ("models/0/artifact_sha256", "cd" * 32, "artifact_sha256 of version 1 in summary and record"),
        ("models/0/trained_on", ["2013-01"], "trained_on of version 1 in summary and record"),
        ("models/0/decision", "reject", "decision of version 1 in summary and record"),
        ("models/0/version", 3, "the summary's models"),
        ("scores/0/rows", 1001, "rows of the predictions of 2013-04"),
        ("scores/0/model_version", 7, "2013-04 is scored by version 7"),
        ("scores/0/roc_auc", 0.7, "roc_auc of 2013-04 in the summary"),
    ],
)
def test_a_figure_of_the_summary_that_is_not_so_is_named(
    summary: Document, evidence: Document, path: str, value: Any, difference: str
) -> None:
    """Each claim by itself: where it stands, what is claimed, what was found."""
    _set(summary, path, value)

    verdict = compare(summary, Evidence(**evidence))

    assert any(each.startswith(difference) for each in verdict.differences), verdict.differences


@pytest.mark.parametrize(
    ("path", "value", "difference"),
    [
        ("records/1/metrics/roc_auc", 0.8, "roc_auc of version 1 on 2013-03 in the record"),
        ("records/1/holdout_month", "2013-02", "holdout_month of version 1"),
        ("records/1/decision", "reject", "2013-04 is scored by version 1, which was not released"),
        ("records/1/trained_on", ["2013-01", "2013-04"], "2013-04 is reported as unseen by version 1"),
        ("records/1/holdout_month", "2013-04", "2013-04 is reported as unseen by version 1"),
        ("records/1/trained_on", ["2013-02", "2013-03"], "version 1 is compared on 2013-03, which is not after"),
        ("records/1/champion_version", 4, "version 1 was compared with version 4, which was never a champion"),
        ("evaluations/1/models/candidate/brier", 0.1, "brier of version 1 on 2013-03 in evaluation.json"),
        ("evaluations/1", {}, "roc_auc of version 1 on 2013-03 in evaluation.json"),
        ("evaluations/2/models/champion/brier", 0.1, "brier of version 1 on 2013-04 in evaluation.json"),
        ("records/2/champion_metrics/skill", 0.1, "skill of version 1 on 2013-04 in the record of version 2"),
        ("champions", {}, "roc_auc of version 1 on 2013-04 in the record of version 2"),
        ("holdouts/1/roc_auc", 0.5, "roc_auc of version 1 on 2013-03 in the summary"),
        ("scores/2013-04/largest_difference", 0.02, "a prediction of 2013-04 differs from the recomputed one by 0.02"),
        ("scores/2013-04/repeated", 1, "predictions of 2013-04 whose row is repeated"),
        ("scores/2013-04/not_in_package", 3, "predictions of 2013-04 whose row is not in package"),
        ("scores", {}, "2013-04 is scored by version 1: its record or its predictions are missing"),
        ("missing", ("s3://flightdeck-lake/model.tar.gz: it cannot be read (NoSuchKey)",), "s3://flightdeck-lake/mod"),
    ],
)
def test_what_was_found_decides(summary: Document, evidence: Document, path: str, value: Any, difference: str) -> None:
    """A record, an artifact or a prediction that is not what the summary says is named."""
    *parents, last = path.split("/")
    place: Any = evidence
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    place[int(last) if last.isdigit() else last] = value

    verdict = compare(summary, Evidence(**evidence))

    assert any(each.startswith(difference) for each in verdict.differences), verdict.differences


@pytest.mark.parametrize("table", ["raw/2013-02/flights", "features/2013-02/features", "features/2013-02/labels"])
def test_a_month_that_lost_rows_on_its_way_is_named(summary: Document, evidence: Document, table: str) -> None:
    """Every stage of a month is counted against the data package."""
    kind, month, file = table.split("/")
    evidence["counts"][kind, month, file] -= 1

    differences = compare(summary, Evidence(**evidence)).differences

    assert 1 == len(differences)
    assert differences[0].startswith(f"rows of {table} against the data package")


def test_the_verifier_shares_no_code_with_the_pipeline() -> None:
    """Importing all of it imports nothing of include."""
    program = (
        "import sys; import deploy.laptop.verifier.driver; "
        "print([name for name in sys.modules if name.split('.')[0] == 'include'])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )
    assert "[]" == found.stdout.strip()


def test_the_area_under_the_curve_counts_every_pair(job_environments: list[dict[str, str]]) -> None:
    """Against the definition: the share of pairs that are in order, a tie counting half."""
    draw = random.Random(7)  # noqa: S311 - not for secrets
    positives = sorted(draw.randrange(20) / 20 for _ in range(40))
    negatives = sorted(draw.randrange(15) / 20 for _ in range(60))
    expected = sum((p > n) + (p == n) / 2 for p in positives for n in negatives) / (len(positives) * len(negatives))
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from recompute import area_under_curve; "
        "print(area_under_curve(*json.loads(sys.argv[2])))"
    )
    found = subprocess.run(
        [
            job_environments[0]["python"],
            "-c",
            program,
            str(Path(verifier.__file__).parent),
            json.dumps([positives, negatives]),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert expected == pytest.approx(float(found.stdout), abs=1e-12)
