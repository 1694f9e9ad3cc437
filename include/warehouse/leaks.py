"""How much a single feature says about the label: what tells a feature that was made from the label.

A single feature that alone ranks the labels almost perfectly was made from the label, or from something known only
afterwards. For a numeric feature it is measured by its rank, over the rows that have a value and over all rows with the
missing ones lowest; for a categorical one, by each category's mean label, where the mean comes from every other row and
the measure from the rest, so that many rare categories are no leak by themselves. The measure is the objective's: ROC
AUC for a binary classification, the rank correlation (Spearman's, as an absolute value) for a regression.

What it does not do: see a leak that several features form together, or one weaker than the bound. A regression's bound
is high, because what is to be foretold often lies close to its own past: only a feature that orders the rows as the
label does, whatever its unit, exceeds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.warehouse.duckdb_month import BUILT, one_row

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    from include.core.model_spec import Features, Objective

# with fewer rows of a class, or of all, a high figure is chance
_MIN_ROWS = 30


@dataclass(frozen=True)
class LeakMeasure:
    """How an objective measures a feature.

    Args:
        name: What messages call the figure.
        bound: Above it, a feature counts as a leak.
        strength: The figure for a query of ``score`` and ``label``, whichever way the score runs.
    """

    name: str
    bound: float
    strength: Callable[[duckdb.DuckDBPyConnection, str], float]


def single_feature_strengths(
    warehouse: duckdb.DuckDBPyConnection, objective: Objective, features: Features
) -> dict[str, float]:
    """Return how well each feature alone ranks the labels, in whichever direction."""
    measure = LEAK_MEASURES[objective].strength
    strengths = {}
    for name in features.numeric:
        value = f'CAST("{name}" AS DOUBLE)'
        known = f"SELECT {value} AS score, label FROM {BUILT} WHERE label IS NOT NULL AND {value} IS NOT NULL"
        everything = (
            f"SELECT COALESCE({value}, CAST('-infinity' AS DOUBLE)) AS score, label FROM {BUILT} "
            "WHERE label IS NOT NULL"
        )
        strengths[name] = max(measure(warehouse, known), measure(warehouse, everything))
    for name in features.categorical:
        strengths[name] = measure(warehouse, _held_out_means(name))
    return strengths


def _auc(warehouse: duckdb.DuckDBPyConnection, scores: str) -> float:
    """Return the ROC AUC, turned so that it is at least 0.5; 0.5 for too few rows."""
    positives, negatives, rank_sum = one_row(
        warehouse,
        f"""
        WITH scored AS ({scores}), ranked AS (SELECT label, {_mean_rank("score")} AS mean_rank FROM scored)
        SELECT COUNT(*) FILTER (label = 1), COUNT(*) FILTER (label = 0), SUM(mean_rank) FILTER (label = 1) FROM ranked
        """,
    )
    if min(positives, negatives) < _MIN_ROWS:
        return 0.5
    auc = (float(rank_sum) - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(auc, 1 - auc))


def _rank_correlation(warehouse: duckdb.DuckDBPyConnection, scores: str) -> float:
    """Return the absolute rank correlation; 0 for too few rows, or where score or label is always the same."""
    rows, covariance, of_score, of_label = one_row(
        warehouse,
        f"""
        WITH scored AS ({scores}), ranked AS (
            SELECT {_mean_rank("score")} AS score_rank, {_mean_rank("label")} AS label_rank FROM scored
        )
        SELECT COUNT(*), COVAR_POP(score_rank, label_rank), VAR_POP(score_rank), VAR_POP(label_rank) FROM ranked
        """,
    )
    if rows < _MIN_ROWS or not of_score or not of_label:
        return 0.0
    return float(abs(covariance) / (of_score * of_label) ** 0.5)


LEAK_MEASURES: dict[Objective, LeakMeasure] = {
    # the real features of flights stay below 0.75; a delay at departure alone reaches 0.89, the delay at arrival 1.0
    "binary_classification": LeakMeasure("ROC AUC", 0.85, _auc),
    # the temperature of an hour ranks the next hour's with 0.99; the label in another unit, or rounded, is above this
    "regression": LeakMeasure("rank correlation", 0.995, _rank_correlation),
}


def _mean_rank(column: str) -> str:
    return f"RANK() OVER (ORDER BY {column}) + (COUNT(*) OVER (PARTITION BY {column}) - 1) / 2.0"


def _held_out_means(name: str) -> str:
    return f"""
        WITH numbered AS (
            SELECT "{name}" AS category, label, ROW_NUMBER() OVER (ORDER BY row_id) % 2 AS half
            FROM {BUILT} WHERE label IS NOT NULL
        ), mean AS (
            SELECT category, AVG(label) AS label FROM numbered WHERE half = 0 GROUP BY category
        )
        SELECT COALESCE(mean.label, (SELECT AVG(label) FROM numbered WHERE half = 0)) AS score, numbered.label
        FROM numbered LEFT JOIN mean ON mean.category IS NOT DISTINCT FROM numbered.category
        WHERE numbered.half = 1
    """
