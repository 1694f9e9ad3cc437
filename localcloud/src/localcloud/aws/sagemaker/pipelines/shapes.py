"""The arguments of a step, held against the request of the operation that the step calls.

AWS parses them so when a pipeline is created: an unknown member, a wrong kind of value or a value that is not in an
enumeration is refused then. References are taken on trust until the step runs; what they yield is then given the type
that the request wants, as a parameter of type Integer may stand where a request has text.
"""

import functools
from collections.abc import Mapping
from typing import Any

from botocore.model import Shape
from botocore.session import get_session

from localcloud.aws.sagemaker.pipelines.expressions import as_text, is_expression

_CONTAINERS: Mapping[str, tuple[Any, str]] = {
    "structure": (dict, "Object"),
    "map": (dict, "Object"),
    "list": (list, "Array"),
}
_NUMBERS: Mapping[str, type[int] | type[float]] = {"integer": int, "long": int, "float": float, "double": float}


class ArgumentError(Exception):
    """Arguments that do not fit the operation's request."""


@functools.cache
def request_shape(operation: str) -> Shape:
    """Return the shape of an operation's request."""
    shape = get_session().get_service_model("sagemaker").operation_model(operation).input_shape
    assert shape is not None  # noqa: S101 - for the type checker: every Create operation has a request
    return shape


def check_arguments(value: Any, shape: Any) -> None:
    """Refuse arguments that the operation cannot take.

    Raises:
        ArgumentError: in AWS's words.
    """
    container, word = _CONTAINERS.get(shape.type_name, (None, ""))
    if container is None:
        _check_scalar(value, shape)
        return
    if is_expression(value) or not isinstance(value, container):
        message = f"Expecting start of Json {word}."
        raise ArgumentError(message)
    if shape.type_name == "structure":
        for name in value:
            if name not in shape.members:
                message = f"Unknown Argument member '{name}'."
                raise ArgumentError(message)
    for item, inner in _parts(value, shape):
        check_arguments(item, inner)


def typed(value: Any, shape: Any) -> Any:
    """Return resolved arguments with scalars of the types that the request wants."""
    if not isinstance(value, dict | list):
        return _typed_scalar(value, shape)
    changed = [typed(item, inner) for item, inner in _parts(value, shape)]
    return dict(zip(value, changed, strict=True)) if isinstance(value, dict) else changed


def _parts(value: dict[str, Any] | list[Any], shape: Any) -> list[tuple[Any, Any]]:
    """Return the parts of an object or a list, each with its shape."""
    if isinstance(value, list):
        return [(item, shape.member) for item in value]
    if shape.type_name == "map":
        return [(item, shape.value) for item in value.values()]
    return [(item, shape.members[name]) for name, item in value.items()]


def _check_scalar(value: Any, shape: Any) -> None:
    if is_expression(value):
        return
    if isinstance(value, dict | list):
        message = f"Expecting a value of type '{shape.type_name}' for '{shape.name}'."
        raise ArgumentError(message)
    values = getattr(shape, "enum", None)
    if values and value not in values:
        message = (
            f"Model Validation failed: Value '{value}' for '{shape.name}' failed to satisfy enum value set: "
            f"[{', '.join(values)}]"
        )
        raise ArgumentError(message)


def _typed_scalar(value: Any, shape: Any) -> Any:
    if shape.type_name == "string" and isinstance(value, bool | int | float):
        return as_text(value)
    if shape.type_name == "boolean" and value in {"true", "false"}:
        return value == "true"
    if shape.type_name in _NUMBERS and isinstance(value, str | float):
        try:
            return _NUMBERS[shape.type_name](value)
        except ValueError:
            return value
    return value
