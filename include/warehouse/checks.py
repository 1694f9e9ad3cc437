"""Checks on a month's features before anybody sees them: whole, unique, typed, and no label hidden among them.

What it does not do: measure how much a feature says (``include.warehouse.leaks``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.core.errors import FeatureCheckFailed
from include.warehouse.duckdb_month import BUILT, one_row
from include.warehouse.leaks import LEAK_MEASURES, single_feature_strengths

if TYPE_CHECKING:
    import duckdb

    from include.core.model_spec import Features, Objective

_NUMERIC_TYPES = ("INT", "DOUBLE", "FLOAT", "DECIMAL", "BOOLEAN")
# which labels an objective refuses, and the rule in words
_REFUSED_LABELS: dict[Objective, tuple[str, str]] = {
    "binary_classification": ("label NOT IN (0, 1)", "a label is 0, 1 or NULL"),
    "regression": ("NOT isfinite(CAST(label AS DOUBLE))", "a label is a finite number or NULL"),
}


def check_features(
    warehouse: duckdb.DuckDBPyConnection, objective: Objective, features: Features, main_rows: int, where: str
) -> None:
    """Check what features.sql returned for one month.

    Args:
        warehouse: The connection in which it ran.
        objective: The objective that model.yaml names.
        features: The features that model.yaml names.
        main_rows: The rows of the source's main table in that month.
        where: How messages name the SQL and the month.

    Raises:
        FeatureCheckFailed: a check failed.
    """
    _check_columns(warehouse, features, where)
    _check_rows(warehouse, main_rows, where)
    _check_labels(warehouse, objective, where)
    _check_finite(warehouse, features, where)
    _check_leaks(warehouse, objective, features, where)


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
    rows, with_id, distinct = one_row(warehouse, query)
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


def _check_labels(warehouse: duckdb.DuckDBPyConnection, objective: Objective, where: str) -> None:
    refused, rule = _REFUSED_LABELS[objective]
    wrong = warehouse.execute(f"SELECT DISTINCT label FROM {BUILT} WHERE {refused} LIMIT 5").fetchall()
    if wrong:
        raise FeatureCheckFailed(
            where,
            f"label holds {[each[0] for each in wrong]}",
            rule=rule,
            remedy="correct the label's expression in features.sql",
        )


def _check_finite(warehouse: duckdb.DuckDBPyConnection, features: Features, where: str) -> None:
    counts = [
        f'COUNT(*) FILTER ("{name}" IS NOT NULL AND NOT isfinite(CAST("{name}" AS DOUBLE)))'
        for name in features.numeric
    ]
    found = one_row(warehouse, f"SELECT {', '.join(counts)} FROM {BUILT}") if counts else ()
    wrong = [f"{name} in {count} rows" for name, count in zip(features.numeric, found, strict=True) if count]
    if wrong:
        raise FeatureCheckFailed(
            where,
            f"infinite or not a number: {', '.join(wrong)}",
            rule="a numeric feature is a finite number or NULL",
            remedy="guard divisions with NULLIF",
        )


def _check_leaks(warehouse: duckdb.DuckDBPyConnection, objective: Objective, features: Features, where: str) -> None:
    measure = LEAK_MEASURES[objective]
    leaks = [
        f"{name} alone ranks the labels with {measure.name} {strength:.3f}"
        for name, strength in single_feature_strengths(warehouse, objective, features).items()
        if strength > measure.bound
    ]
    if leaks:
        raise FeatureCheckFailed(
            where,
            ", ".join(leaks),
            rule=f"no single feature reaches {measure.name} {measure.bound}: it would hold the label itself",
            remedy="use only what was known at prediction time, or take the feature out of features.sql and model.yaml",
        )
