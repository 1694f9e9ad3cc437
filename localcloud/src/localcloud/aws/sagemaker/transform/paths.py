"""The JSONPath expressions of a transform's filters: the operators that AWS documents, applied to one record.

`$`, `.name`, `['name', …]`, `*`, `[number, …]` with negative numbers, `[start:end]`, and lists of numbers and slices.
One name or one number selects a value; several names select an object, several positions an array. A record of a CSV
file is an array of its cells.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

EXPRESSION_LIMIT = 63
WHOLE = "$"
_DOTTED = re.compile(r"\.([A-Za-z_][\w-]*)")
_NAMES = re.compile(r"\.?\[\s*('[^']*'(?:\s*,\s*'[^']*')*|\"[^\"]*\"(?:\s*,\s*\"[^\"]*\")*)\s*\]")
_NAME = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_POSITIONS = re.compile(r"\[\s*(-?\d*(?::-?\d*)?(?:\s*,\s*-?\d*(?::-?\d*)?)*)\s*\]")
_WILDCARD = re.compile(r"\.\*|\[\s*\*\s*\]")


class PathError(ValueError):
    """The expression is not one that AWS supports, or selects what a record does not have."""


@dataclass(frozen=True)
class _Names:
    names: Sequence[str]


@dataclass(frozen=True)
class _Positions:
    positions: Sequence[int | slice]


@dataclass(frozen=True)
class _All:
    pass


class RecordPath:
    """One expression."""

    def __init__(self, expression: str) -> None:
        """Parse it.

        Raises:
            PathError: it is too long, or uses an operator that is not supported.
        """
        self.expression = expression
        if len(expression) > EXPRESSION_LIMIT:
            message = f"{expression!r} has more than {EXPRESSION_LIMIT} characters"
            raise PathError(message)
        if not expression.startswith(WHOLE):
            message = f"{expression!r} does not begin with $"
            raise PathError(message)
        self._steps = list(_parsed(expression))

    @property
    def selects_all(self) -> bool:
        """Whether a record passes unchanged."""
        return not self._steps

    @property
    def by_name(self) -> bool:
        """Whether it names attributes, which the cells of a CSV record do not have."""
        return any(isinstance(step, _Names) for step in self._steps)

    def select(self, record: Any) -> Any:
        """Return what the expression selects of a record.

        Raises:
            PathError: the record lacks it.
        """
        return self._select(record, self._steps)

    def _select(self, value: Any, steps: Sequence[_Names | _Positions | _All]) -> Any:
        if not steps:
            return value
        step, rest = steps[0], steps[1:]
        if isinstance(step, _All):
            if not isinstance(value, (list, dict)):
                raise self._missing("elements")
            elements = value.values() if isinstance(value, dict) else value
            return [self._select(element, rest) for element in elements]
        chosen = self._by_name(value, step.names) if isinstance(step, _Names) else self._by_position(value, step)
        return self._select(chosen, rest)

    def _by_name(self, value: Any, names: Sequence[str]) -> Any:
        if not isinstance(value, dict):
            raise self._missing(f"attributes ({', '.join(names)})")
        for name in names:
            if name not in value:
                raise self._missing(f"attribute {name!r}")
        return value[names[0]] if len(names) == 1 else {name: value[name] for name in names}

    def _by_position(self, value: Any, step: _Positions) -> Any:
        if not isinstance(value, list):
            raise self._missing("positions")
        chosen: list[Any] = []
        for position in step.positions:
            if isinstance(position, slice):
                chosen.extend(value[position])
            elif -len(value) <= position < len(value):
                chosen.append(value[position])
            else:
                raise self._missing(f"position {position}: it has {len(value)}")
        return chosen[0] if len(step.positions) == 1 and not isinstance(step.positions[0], slice) else chosen

    def _missing(self, what: str) -> PathError:
        return PathError(f"the record has no {what}, which {self.expression!r} selects")


def _parsed(expression: str) -> list[_Names | _Positions | _All]:
    steps: list[_Names | _Positions | _All] = []
    place = 1
    while place < len(expression):
        if found := _WILDCARD.match(expression, place):
            steps.append(_All())
        elif found := _DOTTED.match(expression, place):
            steps.append(_Names([found[1]]))
        elif found := _NAMES.match(expression, place):
            steps.append(_Names([single or double for single, double in _NAME.findall(found[1])]))
        elif (found := _POSITIONS.match(expression, place)) and all(part.strip() for part in found[1].split(",")):
            steps.append(_Positions([_position(part) for part in found[1].split(",")]))
        else:
            message = f"{expression!r} uses an operator that is not supported, at {expression[place:]!r}"
            raise PathError(message)
        place = found.end()
    return steps


def _position(part: str) -> int | slice:
    start, colon, end = part.strip().partition(":")
    if not colon:
        return int(start)
    return slice(int(start) if start else None, int(end) if end else None)
