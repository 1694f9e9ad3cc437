"""Checks on a month's features before anybody sees them: whole, unique, typed, and no label hidden among them.

The leak check: a single feature that alone ranks the labels almost perfectly was made from the label, or from something
known only afterwards. For a numeric feature it is the ROC AUC of its rank, over the rows that have a value and over
all rows with the missing ones lowest; for a categorical one, the ROC AUC of each category's target rate, where the rate
comes from every other row and the AUC from the rest, so that many rare categories are no leak by themselves.

What it does not do: see a leak that several features form together, or one weaker than the bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.core.errors import FeatureCheckFailed
from include.warehouse.duckdb_month import BUILT

if TYPE_CHECKING:
    import duckdb

    from include.core.model_spec import Features

# the real features of flights stay below 0.75; a delay at departure alone reaches 0.89, the delay at arrival 1.0
MAX_SINGLE_FEATURE_AUC = 0.85
# with fewer rows of a class, a high AUC is chance
_MIN_ROWS_PER_CLASS = 30
_NUMERIC_TYPES = ("INT", "DOUBLE", "FLOAT", "DECIMAL", "BOOLEAN")


def check_features(warehouse: duckdb.DuckDBPyConnection, features: Features, main_rows: int, where: str) -> None:
    """Check what features.sql returned for one month.

    Args:
        warehouse: The connection in which it ran.
        features: The features that model.yaml names.
        main_rows: The rows of the source's main table in that month.
        where: How messages name the SQL and the month.

    Raises:
        FeatureCheckFailed: a check failed.
    """
    _check_columns(warehouse, features, where)
    _check_rows(warehouse, main_rows, where)
    _check_labels(warehouse, where)
    _check_finite(warehouse, features, where)
    _check_leaks(warehouse, features, where)


def single_feature_aucs(warehouse: duckdb.DuckDBPyConnection, features: Features) -> dict[str, float]:
    """Return how well each feature alone ranks the labels: 0.5 not at all, 1 perfectly, in whichever direction."""
    aucs = {}
    for name in features.numeric:
        value = f'CAST("{name}" AS DOUBLE)'
        known = f"SELECT {value} AS score, label FROM {BUILT} WHERE label IS NOT NULL AND {value} IS NOT NULL"
        everything = (
            f"SELECT COALESCE({value}, CAST('-infinity' AS DOUBLE)) AS score, label FROM {BUILT} "
            "WHERE label IS NOT NULL"
        )
        aucs[name] = max(_auc(warehouse, known), _auc(warehouse, everything))
    for name in features.categorical:
        aucs[name] = _auc(warehouse, _held_out_rates(name))
    return aucs


def _check_columns(warehouse: duckdb.DuckDBPyConnection, features: Features, where: str) -> None:
    types = {name: kind for name, kind, *_ in warehouse.execute(f"DESCRIBE {BUILT}").fetchall()}
    missing = [name for name in ("row_id", "label", *features.names) if name not in types]
    if missing:
        raise FeatureCheckFailed(
            where,
            f"it does not return {', '.join(missing)}",
            rule="features.sql returns row_id, label and every feature of model.yaml",
            remedy="add the columns to features.sql, or take the features out of model.yaml",
        )
    wrong = [f"row_id is {types['row_id']}"] if types["row_id"] != "VARCHAR" else []
    numeric = (*features.numeric, "label")
    wrong += [f"{name} is {types[name]}" for name in numeric if not any(kind in types[name] for kind in _NUMERIC_TYPES)]
    wrong += [f"{name} is {types[name]}" for name in features.categorical if types[name] != "VARCHAR"]
    if wrong:
        raise FeatureCheckFailed(
            where,
            ", ".join(wrong),
            rule="row_id and categorical features are text, label and numeric features are numbers",
            remedy="cast the columns in features.sql, or name them where they belong in model.yaml",
        )


def _check_rows(warehouse: duckdb.DuckDBPyConnection, main_rows: int, where: str) -> None:
    query = f"SELECT COUNT(*), COUNT(row_id), COUNT(DISTINCT row_id) FROM {BUILT}"
    rows, with_id, distinct = _one_row(warehouse, query)
    if rows != main_rows:
        raise FeatureCheckFailed(
            where,
            f"it returns {rows} rows for {main_rows} rows of the main table",
            rule="each row of the source's main table in the month becomes one row of features",
            remedy="look for a join that drops or multiplies rows, and for the condition on target",
        )
    if with_id != rows or distinct != rows:
        twice = warehouse.execute(
            f"SELECT row_id FROM {BUILT} GROUP BY row_id HAVING COUNT(*) > 1 ORDER BY row_id LIMIT 5"
        ).fetchall()
        raise FeatureCheckFailed(
            where,
            f"{rows} rows have {distinct} different row_ids, for example twice: {[each[0] for each in twice]}",
            rule="row_id is unique and never NULL",
            remedy="build row_id from every column of the main table's key",
        )


def _check_labels(warehouse: duckdb.DuckDBPyConnection, where: str) -> None:
    wrong = warehouse.execute(f"SELECT DISTINCT label FROM {BUILT} WHERE label NOT IN (0, 1) LIMIT 5").fetchall()
    if wrong:
        raise FeatureCheckFailed(
            where,
            f"label holds {[each[0] for each in wrong]}",
            rule="a label is 0, 1 or NULL",
            remedy="correct the label's expression in features.sql",
        )


def _check_finite(warehouse: duckdb.DuckDBPyConnection, features: Features, where: str) -> None:
    counts = [
        f'COUNT(*) FILTER ("{name}" IS NOT NULL AND NOT isfinite(CAST("{name}" AS DOUBLE)))'
        for name in features.numeric
    ]
    found = _one_row(warehouse, f"SELECT {', '.join(counts)} FROM {BUILT}") if counts else ()
    wrong = [f"{name} in {count} rows" for name, count in zip(features.numeric, found, strict=True) if count]
    if wrong:
        raise FeatureCheckFailed(
            where,
            f"infinite or not a number: {', '.join(wrong)}",
            rule="a numeric feature is a finite number or NULL",
            remedy="guard divisions with NULLIF",
        )


def _check_leaks(warehouse: duckdb.DuckDBPyConnection, features: Features, where: str) -> None:
    leaks = [
        f"{name} alone ranks the labels with ROC AUC {auc:.3f}"
        for name, auc in single_feature_aucs(warehouse, features).items()
        if auc > MAX_SINGLE_FEATURE_AUC
    ]
    if leaks:
        raise FeatureCheckFailed(
            where,
            ", ".join(leaks),
            rule=f"no single feature reaches ROC AUC {MAX_SINGLE_FEATURE_AUC}: it would hold the label itself",
            remedy="use only what was known at prediction time, or take the feature out of features.sql and model.yaml",
        )


def _auc(warehouse: duckdb.DuckDBPyConnection, scores: str) -> float:
    """Return the ROC AUC of ``scores(score, label)``, turned so that it is at least 0.5; 0.5 for too few rows."""
    positives, negatives, rank_sum = _one_row(
        warehouse,
        f"""
        WITH scored AS ({scores}), ranked AS (
            SELECT label, RANK() OVER (ORDER BY score) + (COUNT(*) OVER (PARTITION BY score) - 1) / 2.0 AS mean_rank
            FROM scored
        )
        SELECT COUNT(*) FILTER (label = 1), COUNT(*) FILTER (label = 0), SUM(mean_rank) FILTER (label = 1) FROM ranked
        """,
    )
    if min(positives, negatives) < _MIN_ROWS_PER_CLASS:
        return 0.5
    auc = (float(rank_sum) - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(auc, 1 - auc))


def _held_out_rates(name: str) -> str:
    return f"""
        WITH numbered AS (
            SELECT "{name}" AS category, label, ROW_NUMBER() OVER (ORDER BY row_id) % 2 AS half
            FROM {BUILT} WHERE label IS NOT NULL
        ), rate AS (
            SELECT category, AVG(label) AS late FROM numbered WHERE half = 0 GROUP BY category
        )
        SELECT COALESCE(rate.late, (SELECT AVG(label) FROM numbered WHERE half = 0)) AS score, numbered.label
        FROM numbered LEFT JOIN rate ON rate.category IS NOT DISTINCT FROM numbered.category
        WHERE numbered.half = 1
    """


def _one_row(warehouse: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = warehouse.execute(query).fetchone()
    if row is None:
        message = f"the query returned no row: {query}"
        raise AssertionError(message)
    return row
