"""A request held against the constraints of its operation's shapes, refused in AWS's words.

botocore checks types, required fields and the least length of a value before it sends a request; AWS checks the rest:
greatest lengths and values, patterns and enumerations. The constraints are those of botocore's own model of the API.

What it does not do: patterns that Python's `re` cannot compile (those of Unicode properties, which allow nearly
everything) are taken on trust.
"""

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

from moto.core.utils import get_service_model
from moto.sagemaker.exceptions import ValidationError


def check_constraints(operation: str, request: dict[str, Any]) -> None:
    """Refuse a request whose values AWS's model of the operation does not allow.

    Raises:
        ValidationError: as AWS words it, with everything that is wrong.
    """
    problems = list(_problems(_request_shape(operation), request, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise ValidationError(f"{count}: {'; '.join(problems)}")


@functools.cache
def _request_shape(operation: str) -> Any:
    return get_service_model("sagemaker").operation_model(operation).input_shape


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    for rule in _broken(shape, value):
        # AWS does not repeat a whole structure
        shown = f"Value '{value}'" if _is_scalar(shape) else "Value"
        yield f"{shown} at '{path}' failed to satisfy constraint: {rule}"
    if shape.type_name == "structure":
        for name, item in value.items():
            if name in shape.members and item is not None:
                member = name[0].lower() + name[1:]
                yield from _problems(shape.members[name], item, f"{path}.{member}" if path else member)
    elif shape.type_name == "list":
        yield from _problems_of_list(shape, value, path)
    elif shape.type_name == "map":
        yield from _problems_of_map(shape, value, path)


def _problems_of_list(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not _is_scalar(shape.member):
        for number, item in enumerate(value, 1):
            yield from _problems(shape.member, item, f"{path}.{number}.member")
    elif any(_broken(shape.member, item) for item in value):
        yield _of_members(f"[{', '.join(map(str, value))}]", path, "Member", shape.member)


def _problems_of_map(shape: Any, value: Any, path: str) -> Iterator[str]:
    shown = f"{{{', '.join(f'{key}={item}' for key, item in value.items())}}}"
    if any(_broken(shape.key, key) for key in value):
        yield _of_members(shown, path, "Map keys", shape.key)
    if not _is_scalar(shape.value):
        for key, item in value.items():
            yield from _problems(shape.value, item, f"{path}.{key}.member")
    elif any(_broken(shape.value, item) for item in value.values()):
        yield _of_members(shown, path, "Map value", shape.value)


def _of_members(shown: str, path: str, which: str, shape: Any) -> str:
    """Word a problem with one of several values as AWS does: all values, and all rules for them."""
    rules = ", ".join(_rules(shape))
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {which} must satisfy constraint: [{rules}]"


def _is_scalar(shape: Any) -> bool:
    return shape.type_name not in {"structure", "list", "map"}


def _broken(shape: Any, value: Any) -> list[str]:
    """Return the rules of a shape that a value breaks."""
    return [rule for rule, holds in _rules(shape).items() if not holds(value)]


@functools.cache
def _rules(shape: Any) -> dict[str, Callable[[Any], bool]]:
    """Return the rules of a shape, in AWS's words and order, with what they ask of a value."""
    rules: dict[str, Callable[[Any], bool]] = {}
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    sized = shape.type_name in {"string", "list", "map"}
    if sized or shape.type_name in {"integer", "long", "float", "double"}:
        measure = len if sized else _itself
        what = "length" if sized else "value"
        if most is not None:
            rules[f"Member must have {what} less than or equal to {most}"] = lambda value: measure(value) <= most
        if least is not None:
            rules[f"Member must have {what} greater than or equal to {least}"] = lambda value: measure(value) >= least
    if shape.type_name == "string":
        allowed, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if allowed:
            rules[f"Member must satisfy enum value set: [{', '.join(allowed)}]"] = lambda value: value in allowed
        compiled = _compiled(pattern) if pattern else None
        if compiled is not None:
            rules[f"Member must satisfy regular expression pattern: {pattern}"] = lambda value: bool(
                compiled.fullmatch(value)
            )
    return rules


def _itself(value: Any) -> Any:
    return value


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        return None
