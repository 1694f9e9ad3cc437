"""The Search operation: expressions over what Describe shows of a resource, as the API's reference defines them.

How it works: a property is looked up by its path (`InputDataConfig.DataSource.S3DataSource.S3Uri`), in every element
where lists are in between; `HyperParameters.x`, `Metrics.x` and `Tags.x` by the name or key.

What it does not do: resources other than training jobs, tuning jobs, endpoints, model packages and their groups; moto
answers for the others, if all filters say Equals. VisibilityConditions have no effect.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.changes import description_of
from localcloud.aws.sagemaker.constraints import check_constraints
from localcloud.aws.sagemaker.endpoints.records import EndpointRecord
from localcloud.aws.sagemaker.front import Front
from localcloud.aws.sagemaker.pages import listed

Properties = Mapping[str, Any]
# by the request's Resource: moto's table, and what describes an item of it
_SEARCHED: Mapping[str, tuple[str, Callable[[Any], Properties]]] = {
    "TrainingJob": ("training_jobs", lambda job: description_of(job, "training_job_status")),
    "HyperParameterTuningJob": (
        "hyper_parameter_tuning_jobs",
        lambda job: description_of(job, "hyper_parameter_tuning_job_status"),
    ),
    "Endpoint": ("endpoints", lambda endpoint: EndpointRecord(endpoint).description()),
    "ModelPackage": ("model_packages", lambda package: package.gen_response_object()),
    "ModelPackageGroup": ("model_package_groups", lambda group: group.gen_response_object()),
}
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
# properties whose members are the user's names: where their values are, and by which field they are named
_NAMED = {"Metrics": ("FinalMetricDataList", "MetricName", "Value"), "Tags": ("Tags", "Key", "Value")}
_HYPERPARAMETERS = "HyperParameters"
_MOST_CONTAINS = 3


class Search(Front):
    """Search."""

    def search(self) -> ActionResult:
        """Find resources."""
        request = self.request_body()
        check_constraints("Search", request)
        resource = request["Resource"]
        if resource not in _SEARCHED:
            _check_left_to_moto(resource, request.get("SearchExpression") or {})
            return super().search()
        table, describe = _SEARCHED[resource]
        records: Any = get_service_model("sagemaker").shape_for("SearchRecord")
        shape = records.members[resource]
        expression = request.get("SearchExpression") or {}
        _check_expression(expression, shape)
        items = [
            _Item(stored.creation_time, {**describe(stored), "Tags": getattr(stored, "tags", None) or []})
            for stored in list(getattr(self.sagemaker_backend, table).values())
        ]
        items = [item for item in items if _matches(expression, item.properties)]
        by = request.get("SortBy", "LastModifiedTime")
        _kind(by, shape)
        # what lacks the property comes last when the order descends, first when it ascends
        found, token = listed(
            items, {**request, "SortBy": "Property"}, lambda _: "", orders={"Property": lambda item: item.rank(by)}
        )
        return ActionResult(
            {
                "Results": [{resource: item.properties} for item in found],
                "NextToken": token,
                "TotalHits": {"Value": len(items), "Relation": "EqualTo"},
            }
        )


@dataclass(frozen=True)
class _Item:
    creation_time: datetime
    properties: Properties

    def rank(self, path: str) -> tuple[bool, str, Any]:
        value = next(_values(self.properties, path), None)
        if isinstance(value, str):
            number = _number(value)
            value = value if number is None else number
        if isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        return value is not None, type(value).__name__, value


def _check_left_to_moto(resource: str, expression: Mapping[str, Any]) -> None:
    """Refuse what moto would answer wrongly, or not at all, instead of finding something else."""
    filters = expression.get("Filters") or []
    plain = all(item.get("Operator") == "Equals" and "Value" in item for item in filters)
    if resource == "PipelineExecution" or not plain or expression.keys() - {"Filters"}:
        message = (
            f"localcloud searches resources of the type {resource} by filters of the operator Equals alone, and "
            f"pipeline executions not at all. With all operators it searches {', '.join(_SEARCHED)}."
        )
        raise ValidationError(message)


def _check_expression(expression: Mapping[str, Any], shape: Any) -> None:
    """Refuse properties that the resource does not have and operators that a property does not take."""
    filters = list(expression.get("Filters") or [])
    for nested in expression.get("NestedFilters") or []:
        _kind(nested["NestedPropertyName"], shape)
        filters += nested["Filters"]
    for item in filters:
        kind, name, wanted = _kind(item["Name"], shape), item["Name"], item.get("Operator", "Equals")
        if wanted not in {"Exists", "NotExists"} and "Value" not in item:
            message = f"A value is required for operator {wanted} on property {name}."
            raise ValidationError(message)
        if wanted in _COMPARED and kind == "string":
            message = f"Operator {wanted} is not supported for text property {name}."
            raise ValidationError(message)
        if wanted == "Contains" and kind not in {"string", "free"}:
            message = f"Operator Contains is not supported for property {name}, which is no text."
            raise ValidationError(message)
        if kind == "timestamp" and "Value" in item:
            _moment(item["Value"])
    if sum(item.get("Operator") == "Contains" for item in filters) > _MOST_CONTAINS:
        message = f"A SearchExpression can include only {_MOST_CONTAINS} Contains operators."
        raise ValidationError(message)
    for part in expression.get("SubExpressions") or []:
        _check_expression(part, shape)


def _kind(path: str, shape: Any) -> str:
    """Return the type of a property in botocore's words; "free" where users name the members."""
    head, _, rest = path.partition(".")
    if rest and (head in _NAMED or head == _HYPERPARAMETERS) and (head == "Metrics" or head in shape.members):
        return "free"
    for part in path.split("."):
        if shape.type_name == "map":
            shape = shape.value
            continue
        while shape.type_name == "list":
            shape = shape.member
        if shape.type_name != "structure" or part not in shape.members:
            message = f"Unknown property name: {path}"
            raise ValidationError(message)
        shape = shape.members[part]
    return str(shape.type_name)


def _matches(expression: Mapping[str, Any], properties: Properties) -> bool:
    parts = [_passes(item, list(_values(properties, item["Name"]))) for item in expression.get("Filters") or []]
    parts += [_passes_nested(item, properties) for item in expression.get("NestedFilters") or []]
    parts += [_matches(part, properties) for part in expression.get("SubExpressions") or []]
    if expression.get("Operator", "And") == "Or" and parts:
        return any(parts)
    return all(parts)


def _passes_nested(nested: Mapping[str, Any], properties: Properties) -> bool:
    """Whether one element of a list satisfies all filters."""
    prefix = nested["NestedPropertyName"]
    for element in _values(properties, prefix):
        if all(
            _passes(item, list(_values(element, item["Name"].removeprefix(f"{prefix}.")))) for item in nested["Filters"]
        ):
            return True
    return False


def _passes(item: Mapping[str, Any], values: Sequence[Any]) -> bool:
    wanted: str = item.get("Operator", "Equals")
    if wanted in {"Exists", "NotExists"}:
        return bool(values) == (wanted == "Exists")
    if wanted == "NotEquals":
        return not any(_equal(value, item["Value"]) for value in values)
    return any(_holds(wanted, value, item["Value"]) for value in values)


def _holds(wanted: str, value: Any, given: str) -> bool:
    if wanted == "Equals":
        return _equal(value, given)
    if wanted == "In":
        return any(_equal(value, one) for one in given.split(","))
    if wanted == "Contains":
        return given in str(value)
    if isinstance(value, datetime):
        return bool(_COMPARED[wanted](value, _moment(given)))
    left, right = _number(value), _number(given)
    if left is None or right is None:
        return False
    # a decimal is compared as an integer with an integer
    return bool(_COMPARED[wanted](int(left) if given.isdigit() and isinstance(value, str) else left, right))


def _equal(value: Any, given: str) -> bool:
    if isinstance(value, datetime):
        return value.replace(microsecond=0) == _moment(given).replace(microsecond=0)
    if isinstance(value, bool):
        return str(value).lower() == given.lower()
    if isinstance(value, int | float):
        return _number(given) == float(value)
    return str(value) == given


def _values(value: Any, path: str) -> Iterator[Any]:
    """Return what is at a path, once for each element of the lists on the way."""
    head, _, rest = path.partition(".")
    if isinstance(value, Mapping) and head in _NAMED and rest:
        field, name, shown = _NAMED[head]
        yield from (item[shown] for item in value.get(field) or [] if item[name] == rest)
    elif isinstance(value, Mapping) and head == _HYPERPARAMETERS and rest:
        yield from (item for name, item in (value.get(head) or {}).items() if name == rest)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path and value is not None:
        yield value
    elif isinstance(value, Mapping) and head in value:
        yield from _values(value[head], rest)


def _moment(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"Invalid timestamp {text!r}: the format is YYYY-mm-dd'T'HH:MM:SS."
        raise ValidationError(message) from error
    return when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
