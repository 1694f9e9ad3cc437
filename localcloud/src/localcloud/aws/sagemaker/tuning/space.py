"""The space of a SageMaker tuning job, read from its ParameterRanges.

`Auto` stands for Logarithmic where a range begins above 0 and spans three orders of magnitude, for Linear elsewhere
(AWS does not say how it chooses).
"""

from collections.abc import Mapping
from typing import Any

from localcloud.search.space import Choice, NumericRange, Space

_AUTO_LOGARITHMIC_SPAN = 1000.0


def read_space(ranges: Mapping[str, Any]) -> Space:
    """Return the space of the request's ParameterRanges."""
    numeric = [
        NumericRange(item["Name"], float(item["MinValue"]), float(item["MaxValue"]), _scaling(item), whole=whole)
        for field, whole in (("IntegerParameterRanges", True), ("ContinuousParameterRanges", False))
        for item in ranges.get(field) or []
    ]
    choices = [Choice(item["Name"], tuple(item["Values"])) for item in ranges.get("CategoricalParameterRanges") or []]
    return Space((*numeric, *choices))


def _scaling(item: Mapping[str, str]) -> str:
    scaling = item.get("ScalingType", "Auto")
    if scaling != "Auto":
        return scaling
    low, high = float(item["MinValue"]), float(item["MaxValue"])
    return "Logarithmic" if low > 0 and high / low >= _AUTO_LOGARITHMIC_SPAN else "Linear"
