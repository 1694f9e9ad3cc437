"""Statistics of columns and the constraints that they suggest, in the formats of statistics.json and constraints.json.

A column is Integral or Fractional when all its values are numbers of that kind (whole numbers among fractions count as
fractions), Unknown when it has no values, String otherwise. A numeric distribution has 10 buckets of equal width; the
quantile sketch is given while it holds every value (2,048 of them) and left out beyond, where AWS compacts it.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.aws.sagemaker.monitoring.analyzer.datasets import Row, Value

INTEGRAL, FRACTIONAL, STRING, UNKNOWN = "Integral", "Fractional", "String", "Unknown"
SKETCH_LIMIT = 2048
_BUCKETS = 10
# a column of text whose values are fewer than this, and repeat, has a domain
_DOMAIN_LIMIT = 20
_WHOLE = re.compile(r"[+-]?\d+")


@dataclass(frozen=True)
class Column:
    """One column: the values that are there, as text, and how many are missing."""

    name: str
    values: tuple[str, ...]
    missing: int

    @property
    def kind(self) -> str:
        """Its inferred type."""
        kinds = Counter(kind_of(value) for value in self.values)
        if not kinds:
            return UNKNOWN
        if set(kinds) == {INTEGRAL}:
            return INTEGRAL
        return FRACTIONAL if STRING not in kinds else STRING

    @property
    def numbers(self) -> list[float]:
        """Those of its values that are numbers, ascending."""
        return sorted(float(value) for value in self.values if kind_of(value) != STRING)

    @property
    def completeness(self) -> float:
        """The share of values that are there."""
        return len(self.values) / (len(self.values) + self.missing)


def kind_of(value: str) -> str:
    """Return the type of one value."""
    if _WHOLE.fullmatch(value):
        return INTEGRAL
    try:
        return FRACTIONAL if math.isfinite(float(value)) else STRING
    except ValueError:
        return STRING


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """Return the columns of a dataset in the order in which they appear."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names:
        values = tuple(_text(value) for row in rows if (value := row.get(name)) is not None)
        columns.append(Column(name, values, len(rows) - len(values)))
    return columns


def statistics(columns: Sequence[Column], item_count: int) -> dict[str, Any]:
    """Return the content of statistics.json."""
    return {"version": 0.0, "dataset": {"item_count": item_count}, "features": [_statistics(item) for item in columns]}


def constraints(columns: Sequence[Column]) -> dict[str, Any]:
    """Return the content of constraints.json: what the dataset suggests."""
    return {
        "version": 0.0,
        "features": [_constraints(column) for column in columns],
        "monitoring_config": {
            "evaluate_constraints": "Enabled",
            "emit_metrics": "Disabled",
            "datatype_check_threshold": 1.0,
            "domain_content_threshold": 1.0,
            "distribution_constraints": {
                "perform_comparison": "Enabled",
                "comparison_threshold": 0.1,
                "comparison_method": "Simple",
            },
        },
    }


def _text(value: Value) -> str:
    return value if isinstance(value, str) else repr(value)


def _statistics(column: Column) -> dict[str, Any]:
    common = {"num_present": len(column.values), "num_missing": column.missing}
    described: dict[str, Any] = {"name": column.name, "inferred_type": column.kind}
    if column.kind in {INTEGRAL, FRACTIONAL}:
        described["numerical_statistics"] = {"common": common, **_numeric(column.numbers)}
    elif column.kind == STRING:
        counts = Counter(column.values)
        buckets = [{"value": value, "count": count} for value, count in counts.most_common(SKETCH_LIMIT)]
        described["string_statistics"] = {
            "common": common,
            "distinct_count": float(len(counts)),
            "distribution": {"categorical": {"buckets": buckets}},
        }
    return described


def _numeric(numbers: Sequence[float]) -> dict[str, Any]:
    count, total = len(numbers), math.fsum(numbers)
    mean = total / count
    distribution: dict[str, Any] = {"buckets": _buckets(numbers)}
    if count <= SKETCH_LIMIT:
        distribution["sketch"] = {"parameters": {"c": 0.64, "k": float(SKETCH_LIMIT)}, "data": [list(numbers)]}
    return {
        "mean": mean,
        "sum": total,
        "std_dev": math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / count),
        "min": numbers[0],
        "max": numbers[-1],
        "distribution": {"kll": distribution},
    }


def _buckets(numbers: Sequence[float]) -> list[dict[str, float]]:
    low, width = numbers[0], (numbers[-1] - numbers[0]) / _BUCKETS
    counts = Counter(min(int((number - low) / width), _BUCKETS - 1) if width else 0 for number in numbers)
    return [
        {"lower_bound": low + index * width, "upper_bound": low + (index + 1) * width, "count": float(counts[index])}
        for index in range(_BUCKETS)
    ]


def _constraints(column: Column) -> dict[str, Any]:
    suggested: dict[str, Any] = {
        "name": column.name,
        "inferred_type": column.kind,
        "completeness": column.completeness,
    }
    if column.kind in {INTEGRAL, FRACTIONAL}:
        suggested["num_constraints"] = {"is_non_negative": column.numbers[0] >= 0}
    elif column.kind == STRING:
        domain = sorted(set(column.values))
        if len(domain) <= min(_DOMAIN_LIMIT, len(column.values) // 2):
            suggested["string_constraints"] = {"domains": domain}
    return suggested
