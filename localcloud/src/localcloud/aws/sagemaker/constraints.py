"""A request held against the constraints of its operation's shapes, refused in AWS's words.

botocore checks types, required fields and the least length of a value before it sends a request; AWS checks the rest:
greatest lengths and values, patterns and enumerations. The constraints are those of botocore's own model of the API.

What it does not do: patterns that Python's `re` cannot compile (those of Unicode properties, which allow nearly
everything) are taken on trust.
"""

import functools
import re
from collections.abc import Iterator
from typing import Any

from moto.core.utils import get_service_model
from moto.sagemaker.exceptions import ValidationError


def check_constraints(operation: str, request: dict[str, Any]) -> None:
    """Refuse a request whose values AWS's model of the operation does not allow.

    Raises:
        ValidationError: as AWS words it, with everything that is wrong.
    """
    problems = list(_problems(get_service_model("sagemaker").operation_model(operation).input_shape, request, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise ValidationError(f"{count}: {'; '.join(problems)}")


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    for rule in _broken(shape, value):
        # AWS does not repeat a whole structure
        shown = f"Value '{value}'" if isinstance(value, str | int | float) else "Value"
        yield f"{shown} at '{path}' failed to satisfy constraint: {rule}"
    if shape.type_name == "structure":
        for name, item in value.items():
            if name in shape.members and item is not None:
                member = name[0].lower() + name[1:]
                yield from _problems(shape.members[name], item, f"{path}.{member}" if path else member)
    elif shape.type_name == "list":
        for number, item in enumerate(value, 1):
            yield from _problems(shape.member, item, f"{path}.{number}.member")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from _problems(shape.key, key, f"{path}.key")
            yield from _problems(shape.value, item, f"{path}.{key}.member")


def _broken(shape: Any, value: Any) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name in {"string", "list", "map"}:
        if least is not None and len(value) < least:
            yield f"Member must have length greater than or equal to {least}"
        if most is not None and len(value) > most:
            yield f"Member must have length less than or equal to {most}"
    elif shape.type_name in {"integer", "long", "float", "double"}:
        if least is not None and value < least:
            yield f"Member must have value greater than or equal to {least}"
        if most is not None and value > most:
            yield f"Member must have value less than or equal to {most}"
    if shape.type_name == "string":
        allowed, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if allowed and value not in allowed:
            yield f"Member must satisfy enum value set: [{', '.join(allowed)}]"
        compiled = _compiled(pattern) if pattern else None
        if compiled is not None and not compiled.fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {pattern}"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        return None
