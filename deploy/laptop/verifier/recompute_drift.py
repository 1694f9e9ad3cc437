"""Recompute how far a month's features drifted from a version's training months: from their rows, in NumPy.

How it works: the rule is written out again, in whole numbers where it speaks of rows. A numeric feature has a bin for
missing values, one for each value that alone makes up a fifth of the reference's rows, and the intervals between the
deciles of its other values; a categorical one has a bin for missing values, one for each category with a hundredth of
the reference's rows, and one for all others. PSI is taken with half a row more in every bin of both sides; the effect
size is Cohen's d of a numeric feature and Cramér's V, over the bins, of a categorical one.

What it does not do: know what the pipeline reports, or share a line or a query with what measured it. Known limitation:
of references of 200,000 rows or more the pipeline takes the deciles of a sample, this module always of all rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]

_EXTRA_ROWS = 0.5


def recompute_drift(
    reference: Sequence[Path], month: Path, kinds: Mapping[str, str]
) -> dict[str, dict[str, float | str | None]]:
    """Return of each feature what a month's report says of it.

    Args:
        reference: The Parquet files of the training months' features.
        month: The Parquet file of the month's features.
        kinds: The features by name, each ``numeric`` or ``categorical``.
    """
    # months differ in which columns their schema says to be without nulls
    before = pyarrow.concat_tables(
        [pq.read_table(path, columns=list(kinds)) for path in reference], promote_options="default"
    )
    after = pq.read_table(month, columns=list(kinds))
    return {
        name: (_numeric if kind == "numeric" else _categorical)(before.column(name), after.column(name))
        for name, kind in kinds.items()
    }


def _numeric(before: Any, after: Any) -> dict[str, float | str | None]:
    then, now = _known_numbers(before), _known_numbers(after)
    own, edges = _numeric_bins(then, len(before))
    counts = _count_numbers(then, len(before), own, edges), _count_numbers(now, len(after), own, edges)
    return _finding("numeric", *counts, effect_size=_cohens_d(then, now))


def _categorical(before: Any, after: Any) -> dict[str, float | str | None]:
    then, now = _count_categories(before), _count_categories(after)
    kept = [category for category, count in then.items() if 100 * count >= len(before)]
    counts = _count_kept(then, len(before), kept), _count_kept(now, len(after), kept)
    return _finding("categorical", *counts, effect_size=_cramers_v(*counts))


def _finding(
    kind: str, before: Sequence[int], after: Sequence[int], *, effect_size: float | None
) -> dict[str, float | str | None]:
    """Put a feature's finding together; the first bin is that of the missing values."""
    return {
        "kind": kind,
        "psi": _psi(before, after),
        "effect_size": effect_size,
        "missing_reference": before[0] / sum(before),
        "missing_current": after[0] / sum(after),
    }


def _known_numbers(column: Any) -> Numbers:
    numbers: Numbers = column.drop_null().cast(pyarrow.float64()).to_numpy()
    return numbers


def _numeric_bins(known: Numbers, rows: int) -> tuple[Numbers, Numbers]:
    """Return the values with a bin of their own and the inner ends of the intervals, both ascending."""
    values, repeats = np.unique(known, return_counts=True)
    own = values[5 * repeats >= rows]
    rest = np.sort(known[~np.isin(known, own)])
    # the smallest value that at least so many tenths of the rows do not exceed; in whole numbers, so never one off
    deciles = [rest[-(-tenths * len(rest) // 10) - 1] for tenths in range(1, 10)] if len(rest) else []
    return own, np.unique(np.array(deciles, dtype=np.float64))


def _count_numbers(known: Numbers, rows: int, own: Numbers, edges: Numbers) -> list[int]:
    rest = known[~np.isin(known, own)]
    # an interval holds its upper end
    intervals = np.bincount(np.searchsorted(edges, rest, side="left"), minlength=len(edges) + 1)
    return [rows - len(known), *(int((known == value).sum()) for value in own), *intervals.tolist()]


def _count_categories(column: Any) -> dict[str, int]:
    counted = column.drop_null().cast(pyarrow.string()).value_counts()
    return {each["values"]: each["counts"] for each in counted.to_pylist()}


def _count_kept(counts: Mapping[str, int], rows: int, kept: Collection[str]) -> list[int]:
    known = sum(counts.values())
    listed = [counts.get(category, 0) for category in kept]
    return [rows - known, *listed, known - sum(listed)]


def _psi(before: Sequence[int], after: Sequence[int]) -> float:
    then, now = (np.array(counts) + _EXTRA_ROWS for counts in (before, after))
    then, now = then / then.sum(), now / now.sum()
    return float(((now - then) * np.log(now / then)).sum())


def _cohens_d(before: Numbers, after: Numbers) -> float | None:
    if min(len(before), len(after)) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    squares = _squares(before) + _squares(after)
    if not squares:
        return None
    return float(after.mean() - before.mean()) / math.sqrt(squares / (len(before) + len(after) - 2))


def _squares(known: Numbers) -> float:
    """Return the sum of the squared distances from the mean; 0 of equal values, whose mean may be rounded."""
    return 0.0 if known.min() == known.max() else float(((known - known.mean()) ** 2).sum())


def _cramers_v(before: Sequence[int], after: Sequence[int]) -> float | None:
    """Return the root of chi² by its definition, observed against expected counts, over the rows."""
    table = np.array([before, after], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] == 1:
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return math.sqrt(float(((table - expected) ** 2 / expected).sum() / table.sum()))
