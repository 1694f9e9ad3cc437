"""The drift of a month's features against the months that a champion was trained on.

How it works: the reference's rows are read once for their quantiles and once to be counted (``profile_reference``),
a month's rows once (``measure_drift``), in a SELECT of plain aggregates, whatever the number of features.
The profile is a small record that serves for every month of the same champion. Of a reference of 200,000 rows or more,
rows at equal distances (100,000 to 200,000 of them) give the quantiles: the bins are then nearly, not exactly, tenths.
Every row is counted all the same.

What it does not do: decide. Drift of the inputs explains; performance decides (``include.monitoring.retraining``).

Known limitation: a categorical feature's categories are counted in memory, all of them. Heavy (duckdb).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from include.core.errors import FeatureCheckFailed
from include.monitoring.distances import compare
from include.monitoring.profile import (
    OWN_BIN_SHARE,
    RARE_SHARE,
    Bins,
    CategoricalBins,
    CategoricalProfile,
    NumericBins,
    NumericProfile,
    Profile,
)
from include.monitoring.rows import add_rows, one_row, open_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from include.core.model_spec import Features
    from include.monitoring.measures import MonthDrift
    from include.monitoring.profile import FeatureProfile

_ROWS_FOR_QUANTILES = 100_000
# a value with 20 % of the rows is at least four of these, and three where its share of the sampled rows is smaller
_TWENTIETHS = [step / 20 for step in range(21)]
_LEAST_REPEATS = 3


def profile_reference(paths: Sequence[Path], features: Features) -> Profile:
    """Choose the bins by the reference's rows and count the rows in them.

    Args:
        paths: The Parquet files of the reference months' features.
        features: The features to watch, as model.yaml names them.

    Raises:
        FeatureCheckFailed: the files hold no rows.
    """
    with open_rows("reference", paths) as database:
        (rows,) = one_row(database, "SELECT COUNT(*) FROM reference")
        add_rows(database, "sampled", paths, every=max(1, rows // _ROWS_FOR_QUANTILES))
        bins: dict[str, Bins] = {**_numeric_bins(database, features.numeric)}
        bins |= _categorical_bins(database, features.categorical)
        return _count(database, "reference", bins)


def measure_drift(path: Path, reference: Profile) -> MonthDrift:
    """Return how far the features of the month in the Parquet file ``path`` lie from the reference.

    Raises:
        FeatureCheckFailed: the file holds no rows.
    """
    with open_rows("month", [path]) as database:
        return compare(reference, _count(database, "month", reference.features))


def _numeric_bins(database: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, NumericBins]:
    everything = _quantiles(database, {name: f'"{name}"' for name in names})
    often = {
        name: {value for value in values if values.count(value) >= _LEAST_REPEATS}
        for name, values in everything.items()
    }
    own_values = _values_of_share(database, {name: sorted(values) for name, values in often.items() if values})
    rest = {
        name: f'CASE WHEN "{name}" NOT IN ({", ".join(map(_literal, values))}) THEN "{name}" END'
        for name, values in own_values.items()
    }
    twentieths = everything | _quantiles(database, rest)
    return {
        name: NumericBins(own_values=tuple(own_values.get(name, ())), edges=tuple(sorted(set(values[2:-2:2]))))
        for name, values in twentieths.items()
    }


def _quantiles(database: duckdb.DuckDBPyConnection, expressions: Mapping[str, str]) -> dict[str, list[float]]:
    """Return each expression's twentieths, values that occur; none for an expression without values."""
    if not expressions:
        return {}
    columns = [f"quantile_disc(CAST({expression} AS DOUBLE), {_TWENTIETHS})" for expression in expressions.values()]
    found = one_row(database, f"SELECT {', '.join(columns)} FROM sampled")
    return {name: values or [] for name, values in zip(expressions, found, strict=True)}


def _values_of_share(
    database: duckdb.DuckDBPyConnection, candidates: Mapping[str, Sequence[float]]
) -> dict[str, list[float]]:
    pairs = [(name, value) for name, values in candidates.items() for value in values]
    counts = [f'COUNT_IF("{name}" = {_literal(value)})' for name, value in pairs]
    rows, *found = one_row(database, f"SELECT {', '.join(['COUNT(*)', *counts])} FROM reference")
    own: dict[str, list[float]] = {}
    for (name, value), count in zip(pairs, found, strict=True):
        if count >= OWN_BIN_SHARE * rows:
            own.setdefault(name, []).append(value)
    return own


def _categorical_bins(database: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, CategoricalBins]:
    if not names:
        return {}
    rows, *found = one_row(database, f"SELECT COUNT(*), {', '.join(map(_categories, names))} FROM reference")
    return {
        name: CategoricalBins(
            categories=tuple(sorted(each for each, count in (counts or {}).items() if count >= RARE_SHARE * rows))
        )
        for name, counts in zip(names, found, strict=True)
    }


def _count(database: duckdb.DuckDBPyConnection, table: str, bins: Mapping[str, Bins]) -> Profile:
    aggregates: list[str] = ["COUNT(*)"]
    for name, each in bins.items():
        aggregates += _numeric_aggregates(name, each) if isinstance(each, NumericBins) else [_categories(name)]
    found = iter(one_row(database, f"SELECT {', '.join(aggregates)} FROM {table}"))
    rows = next(found)
    if not rows:
        raise FeatureCheckFailed(
            f"features of the {table}",
            "there are no rows",
            rule="drift is measured between rows",
            remedy="look at the month's feature snapshot",
        )
    features: dict[str, FeatureProfile] = {}
    for name, each in bins.items():
        if isinstance(each, NumericBins):
            features[name] = _numeric_profile(each, rows, [next(found) for _ in _numeric_aggregates(name, each)])
        else:
            features[name] = _categorical_profile(each, rows, next(found) or {})
    return Profile(rows=rows, features=features)


def _numeric_aggregates(name: str, bins: NumericBins) -> list[str]:
    # COUNT_IF costs a quarter of COUNT(*) FILTER (…), see benchmarks/README.md
    column = f'CAST("{name}" AS DOUBLE)'
    return [
        f"COUNT({column})",
        f"AVG({column})",
        f"VAR_SAMP({column})",
        *[f"COUNT_IF({column} = {_literal(value)})" for value in bins.own_values],
        *[f"COUNT_IF({column} <= {_literal(edge)})" for edge in bins.edges],
    ]


def _numeric_profile(bins: NumericBins, rows: int, found: Sequence[Any]) -> NumericProfile:
    known, mean, variance, *counted = found
    # COUNT_IF of a column without values is NULL
    counts = [count or 0 for count in counted]
    own = counts[: len(bins.own_values)]
    up_to = [0, *counts[len(bins.own_values) :], known]
    ends = [float("-inf"), *bins.edges, float("inf")]
    intervals = [
        upto - below - sum(count for value, count in zip(bins.own_values, own, strict=True) if low < value <= high)
        for (below, upto), (low, high) in zip(pairwise(up_to), pairwise(ends), strict=True)
    ]
    return NumericProfile(
        own_values=bins.own_values,
        edges=bins.edges,
        counts=(rows - known, *own, *intervals),
        mean=mean,
        variance=variance,
    )


def _categories(name: str) -> str:
    return f'histogram(CAST("{name}" AS VARCHAR))'


def _categorical_profile(bins: CategoricalBins, rows: int, found: Mapping[str, int]) -> CategoricalProfile:
    known = sum(found.values())
    kept = [found.get(category, 0) for category in bins.categories]
    return CategoricalProfile(categories=bins.categories, counts=(rows - known, *kept, known - sum(kept)))


def _literal(value: float) -> str:
    """Write a finite number so that DuckDB reads exactly this double."""
    return f"CAST('{value!r}' AS DOUBLE)"
