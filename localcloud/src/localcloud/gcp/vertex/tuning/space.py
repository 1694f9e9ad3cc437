"""The space of a study: Vertex's four kinds of parameter, as the search takes them and as a trial gets them.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#google.cloud.aiplatform.v1.StudySpec
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

from localcloud.gcp.vertex.messages import types
from localcloud.search.space import Choice, NumericRange, Space

_Scale = types.StudySpec.ParameterSpec.ScaleType
_SCALINGS = {_Scale.UNIT_LOG_SCALE: "Logarithmic"}
Problems = list[tuple[str, str]]


@dataclass(frozen=True)
class ReverseLogarithmicRange(NumericRange):
    """A range whose upper end is looked at more closely: the logarithm of the distance from both ends' sum."""

    def _scaled(self, value: float) -> float:
        return -math.log(self.high + self.low - value)

    def _unscaled(self, value: float) -> float:
        return self.high + self.low - math.exp(-value)


def read_space(parameters: Sequence[Any], *, grid: bool) -> Space:
    """Return the space of checked parameters; for a grid every value is a choice."""
    return Space(tuple(_range(parameter, grid=grid) for parameter in parameters))


def check_parameters(parameters: Sequence[Any], field: str, *, grid: bool) -> Problems:
    """Return what is wrong about parameters, by their fields' paths below `field`."""
    problems: Problems = []
    names = [parameter.parameter_id for parameter in parameters]
    for number, parameter in enumerate(parameters):
        place = f"{field}[{number}]"
        kind = parameter.WhichOneof("parameter_value_spec")
        if not parameter.parameter_id or names.count(parameter.parameter_id) > 1:
            problems.append((f"{place}.parameter_id", f"must be there and unique, got {parameter.parameter_id!r}."))
        if kind is None:
            problems.append((place, "One of the kinds of value is needed."))
        elif kind in {"double_value_spec", "integer_value_spec"}:
            problems += _check_bounds(parameter, getattr(parameter, kind), f"{place}.{kind}")
            if grid and kind == "double_value_spec":
                problems.append((f"{place}.{kind}", "A grid search takes no parameters of type double."))
        elif not getattr(parameter, kind).values:
            problems.append((f"{place}.{kind}.values", "Required field is not set."))
    return problems


def trial_parameters(parameters: Sequence[Any], values: Mapping[str, str]) -> list[Any]:
    """Return a trial's parameters as the API tells them."""
    found = []
    for parameter in parameters:
        text = values[parameter.parameter_id]
        categorical = parameter.WhichOneof("parameter_value_spec") == "categorical_value_spec"
        value = struct_pb2.Value(string_value=text) if categorical else struct_pb2.Value(number_value=float(text))
        found.append(types.Trial.Parameter.pb()(parameter_id=parameter.parameter_id, value=value))
    return found


def arguments_of(values: Mapping[str, str]) -> list[str]:
    """Return a trial's arguments."""
    return [f"--{name}={value}" for name, value in values.items()]


def _check_bounds(parameter: Any, spec: Any, place: str) -> Problems:
    if spec.min_value > spec.max_value:
        return [(place, f"min_value {spec.min_value} is larger than max_value {spec.max_value}.")]
    if parameter.scale_type in {_Scale.UNIT_LOG_SCALE, _Scale.UNIT_REVERSE_LOG_SCALE} and spec.min_value <= 0:
        return [(place, f"A logarithmic scale needs a min_value above 0, got {spec.min_value}.")]
    return []


def _range(parameter: Any, *, grid: bool) -> NumericRange | Choice:
    name, kind = parameter.parameter_id, parameter.WhichOneof("parameter_value_spec")
    spec = getattr(parameter, kind)
    if kind == "categorical_value_spec":
        return Choice(name, tuple(spec.values))
    if kind == "discrete_value_spec":
        return Choice(
            name, tuple(f"{value:g}" if float(f"{value:g}") == value else repr(value) for value in spec.values)
        )
    whole = kind == "integer_value_spec"
    if grid and whole:
        return Choice(name, tuple(str(value) for value in range(spec.min_value, spec.max_value + 1)))
    low, high = float(spec.min_value), float(spec.max_value)
    if parameter.scale_type == _Scale.UNIT_REVERSE_LOG_SCALE:
        return ReverseLogarithmicRange(name, low, high, "", whole=whole)
    return NumericRange(name, low, high, _SCALINGS.get(parameter.scale_type, "Linear"), whole=whole)
