"""Holds a dataset against a baseline's constraints and statistics: the content of constraint_violations.json.

The checks are those of AWS's prebuilt container. Distances between distributions:

Simple: the largest difference between the two cumulative distributions (linf_simple). Where the baseline's statistics
have no sketch with every value, only at the bounds of its buckets.

Robust: Simple, less what two samples of these sizes differ by chance in one case of 20 (the critical value of the
two-sample Kolmogorov-Smirnov test). AWS documents the idea, not the formula, so that its figures differ.

LInfinity, for text: the largest difference between two shares of one value.

What it does not do: ChiSquared, which is refused.
"""

import bisect
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from localcloud.aws.sagemaker.monitoring.analyzer.datasets import DatasetError
from localcloud.aws.sagemaker.monitoring.analyzer.profiles import FRACTIONAL, INTEGRAL, STRING, Column, kind_of

_CRITICAL = 1.358  # of the two-sample Kolmogorov-Smirnov test at 5 %
_ENABLED = "Enabled"


def violations(
    columns: Sequence[Column], constraints: Mapping[str, Any], statistics: Mapping[str, Any] | None
) -> list[dict[str, str]]:
    """Return every violation.

    Raises:
        DatasetError: the constraints ask for what is not covered.
    """
    config = constraints.get("monitoring_config") or {}
    if config.get("evaluate_constraints", _ENABLED) != _ENABLED:
        return []
    expected = {feature["name"]: feature for feature in constraints["features"]}
    known = {feature["name"]: feature for feature in (statistics or {}).get("features", [])}
    found = list(_columns(len(columns), len(expected)))
    for column in columns:
        feature = expected.get(column.name)
        if feature is None:
            continue
        merged = {**config, **(feature.get("monitoringConfigOverrides") or {})}
        found += _types(column, feature, merged)
        found += _completeness(column, feature)
        found += _domain(column, feature, merged)
        if column.name in known:
            found += _drift(column, known[column.name], merged.get("distribution_constraints") or {})
    return found


def _columns(now: int, before: int) -> Iterator[dict[str, str]]:
    if now != before:
        word = "missing" if now < before else "extra"
        yield _violation(
            f"{word.capitalize()} columns",
            f"{word}_column_check",
            f"There are {word} columns in current dataset. Number of columns in current dataset: {now}, Number of "
            f"columns in baseline constraints: {before}",
        )


def _types(column: Column, feature: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    kind = feature["inferred_type"]
    fitting = {INTEGRAL: {INTEGRAL}, FRACTIONAL: {INTEGRAL, FRACTIONAL}}.get(kind)
    if fitting is None or not column.values:  # any value is a text
        return
    share = sum(kind_of(value) in fitting for value in column.values) / len(column.values)
    threshold = config.get("datatype_check_threshold", 1.0)
    if share < threshold:
        yield _violation(
            column.name,
            "data_type_check",
            f"Data type match requirement is not met. Expected data type: {kind}, Expected match: {threshold:.1%}. "
            f"Observed: Only {share * 100}% of data is {kind}.",
        )


def _completeness(column: Column, feature: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    expected = feature.get("completeness")
    if expected is not None and column.completeness < expected:
        yield _violation(
            column.name,
            "completeness_check",
            f"Completeness requirement is not met. Expected completeness: {expected * 100}%. Observed: Only "
            f"{column.completeness * 100}% of data is present.",
        )


def _domain(column: Column, feature: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    domain = (feature.get("string_constraints") or {}).get("domains")
    if not domain or not column.values:
        return
    share = sum(value in domain for value in column.values) / len(column.values)
    threshold = config.get("domain_content_threshold", 1.0)
    if share < threshold:
        yield _violation(
            column.name,
            "categorical_values_check",
            f"Value check requirement is not met. Expected match: {threshold:.1%}. Observed: Only {share * 100}% of "
            "data is in the baseline's domain.",
        )


def _drift(column: Column, before: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    if config.get("perform_comparison", _ENABLED) != _ENABLED or not column.values:
        return
    if "numerical_statistics" in before and column.numbers:
        threshold = config.get("comparison_threshold", 0.1)
        distance = _numeric_distance(column.numbers, before["numerical_statistics"], config)
    elif "string_statistics" in before and column.kind == STRING and "categorical_comparison_threshold" in config:
        method = config.get("categorical_drift_method", "LInfinity")
        if method != "LInfinity":
            message = f"localcloud's analyzer does not do the categorical_drift_method {method}"
            raise DatasetError(message)
        threshold = config["categorical_comparison_threshold"]
        distance = _categorical_distance(column.values, before["string_statistics"])
    else:
        return
    if distance > threshold:
        description = f"Baseline drift distance: {distance} exceeds threshold: {threshold}"
        yield _violation(column.name, "baseline_drift_check", description)


def _numeric_distance(numbers: Sequence[float], before: Mapping[str, Any], config: Mapping[str, Any]) -> float:
    method = config.get("comparison_method", "Simple")
    if method not in {"Simple", "Robust"}:
        message = f"localcloud's analyzer does not do the comparison_method {method}"
        raise DatasetError(message)
    distribution = before["distribution"]["kll"]
    data = (distribution.get("sketch") or {}).get("data") or []
    if len(data) == 1:
        earlier = sorted(data[0])
        points = sorted({*numbers, *earlier})
        distance = max(abs(_share(numbers, point) - _share(earlier, point)) for point in points)
    else:
        distance = _distance_at_bounds(numbers, distribution["buckets"])
    if method == "Robust":
        earlier_count = before["common"]["num_present"]
        chance = _CRITICAL * math.sqrt((len(numbers) + earlier_count) / (len(numbers) * earlier_count))
        distance = max(0.0, distance - chance)
    return float(distance)


def _share(ascending: Sequence[float], point: float) -> float:
    return bisect.bisect_right(ascending, point) / len(ascending)


def _distance_at_bounds(numbers: Sequence[float], buckets: Sequence[Mapping[str, float]]) -> float:
    total = sum(bucket["count"] for bucket in buckets)
    # below and above all buckets the baseline has nothing
    low, high = buckets[0]["lower_bound"], buckets[-1]["upper_bound"]
    distances: list[float] = [bisect.bisect_left(numbers, low) / len(numbers), 1 - _share(numbers, high)]
    passed = 0.0
    for bucket in buckets[:-1]:
        passed += bucket["count"]
        now = bisect.bisect_left(numbers, bucket["upper_bound"]) / len(numbers)
        distances.append(abs(now - passed / total))
    return max(distances)


def _categorical_distance(values: Sequence[str], before: Mapping[str, Any]) -> float:
    earlier: dict[str, float] = {
        bucket["value"]: bucket["count"] for bucket in before["distribution"]["categorical"]["buckets"]
    }
    now, total = Counter(values), float(before["common"]["num_present"])
    return max(abs(now[value] / len(values) - earlier.get(value, 0) / total) for value in {*now, *earlier})


def _violation(feature: str, check: str, description: str) -> dict[str, str]:
    return {"feature_name": feature, "constraint_check_type": check, "description": description}
