"""The references and functions of a pipeline definition: Get, Std:Join, Std:JsonGet.

An expression is a JSON object with exactly one of these keys; everything else in a definition stands for itself. A path
such as `Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri` follows fields, numbers of lists and
names of list items.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GET, JOIN, JSON_GET = "Get", "Std:Join", "Std:JsonGet"
_TOKEN = re.compile(r"\.?([^.\[\]'\"]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_ITEM_NAMES = ("OutputName", "InputName", "ChannelName", "MetricName", "Name")


class ExpressionError(Exception):
    """An expression that has no value."""


@dataclass(frozen=True)
class Scope:
    """What expressions can refer to.

    Args:
        parameters: The values of the pipeline's parameters.
        execution: What is known of the execution, as `PipelineExecutionId`.
        steps: The properties of the steps that have succeeded, by step name.
        load: Returns the parsed property file of a step, by step name and file name.
        load_object: Returns the parsed JSON object at an S3 address.
    """

    parameters: Mapping[str, Any]
    execution: Mapping[str, str]
    load: Callable[[str, str], Any]
    load_object: Callable[[str], Any]
    steps: dict[str, Any] = field(default_factory=dict)

    def resolve(self, value: Any) -> Any:
        """Return a value with all its expressions replaced by what they stand for.

        Raises:
            ExpressionError: something that is referred to is not there.
        """
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {GET}:
            return self._get(value[GET])
        if set(value) == {JOIN}:
            parts = value[JOIN]
            values = self.resolve(parts["Values"])
            return str(parts.get("On", "")).join(as_text(item) for item in values)
        if set(value) == {JSON_GET}:
            return self._json_get(value[JSON_GET])
        return {key: self.resolve(item) for key, item in value.items()}

    def _get(self, path: str) -> Any:
        root, *rest = tokens(path)
        roots = {"Parameters": self.parameters, "Execution": self.execution, "Steps": self.steps}
        if root not in roots:
            message = f"Unknown reference {path!r}."
            raise ExpressionError(message)
        return follow(roots[root], rest, path)

    def _json_get(self, arguments: Mapping[str, Any]) -> Any:
        if "S3Uri" in arguments:
            content = self.load_object(self.resolve(arguments["S3Uri"]))
        else:
            _, step, _, name = tokens(arguments["PropertyFile"][GET])
            content = self.load(str(step), str(name))
        path = str(self.resolve(arguments["Path"]))
        return follow(content, tokens(path.removeprefix("$")), path)


def tokens(path: str) -> list[str | int]:
    """Return a path's parts: names as text, numbers in brackets as integers."""
    found: list[str | int] = []
    end = 0
    for match in _TOKEN.finditer(path):
        if match.start() != end:
            break
        end = match.end()
        name, number, *quoted = match.groups()
        found.append(int(number) if number is not None else str(name or quoted[0] or quoted[1]))
    if end != len(path) or not found:
        message = f"The path {path!r} cannot be read."
        raise ExpressionError(message)
    return found


def follow(value: Any, parts: Sequence[str | int], path: str) -> Any:
    """Return what `parts` lead to from `value`; `path` is for the message."""
    for part in parts:
        value = _part_of(value, part, path)
    return value


def _part_of(value: Any, part: str | int, path: str) -> Any:
    if isinstance(value, list) and isinstance(part, str):
        for item in value:
            if isinstance(item, dict) and part in {item.get(name) for name in _ITEM_NAMES}:
                return item
    elif isinstance(value, list | dict):
        try:
            return value[part]  # type: ignore[index] # each fits one of the two
        except (KeyError, IndexError, TypeError):
            pass
    message = f"The reference {path!r} leads nowhere: there is no {part!r}."
    raise ExpressionError(message)


def references(value: Any) -> Iterator[list[str | int]]:
    """Return the parts of every reference in a value."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        if set(value) == {GET} and isinstance(value[GET], str):
            yield tokens(value[GET])
        else:
            for item in value.values():
                yield from references(item)


def is_expression(value: Any) -> bool:
    """Whether a value stands for another one."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in {GET, JOIN, JSON_GET}


def as_text(value: Any) -> str:
    """Return a value as Std:Join writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
