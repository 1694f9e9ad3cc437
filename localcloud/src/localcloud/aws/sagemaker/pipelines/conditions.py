"""The conditions of a Condition step."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws.sagemaker.pipelines.expressions import ExpressionError, Scope

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
CONDITION_TYPES = {*_COMPARISONS, "In", "Not", "Or"}


def holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    """Return whether a condition holds.

    Raises:
        ExpressionError: a value is missing, or two values cannot be compared.
    """
    kind = condition["Type"]
    if kind == "Not":
        return not holds(condition["Expression"], scope)
    if kind == "Or":
        return any(holds(item, scope) for item in condition["Conditions"])
    if kind == "In":
        value = scope.resolve(condition["QueryValue"])
        return any(value == item for item in scope.resolve(condition["Values"]))
    left, right = scope.resolve(condition["LeftValue"]), scope.resolve(condition["RightValue"])
    try:
        return _COMPARISONS[kind](left, right)
    except TypeError as error:
        message = f"The condition {kind} cannot compare {left!r} with {right!r}."
        raise ExpressionError(message) from error
