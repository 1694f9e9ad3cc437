r"""Filters of list requests: `display_name="x" AND labels.team:* AND create_time>"2026-01-01T00:00:00Z"`.

The grammar is that of AIP-160 as far as Vertex AI documents it for its lists: comparisons by `=`, `!=`, `<`, `<=`,
`>`, `>=` and `:` (has), joined by AND, OR and NOT (or `-`) and parentheses; OR binds tighter than AND. A `*` in a text
stands for anything. Fields are the message's own, by their names in proto or JSON; enumerations are compared by name.
A field of the message's own name, as `model` of a Model, is the last part of its resource name.

Several values of one comparison are joined by commas, any of which will do. A list may have functions of one text, as
in `in_context("…")`.

What it does not do: searches without a field.

Source: https://google.aip.dev/160
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from google.protobuf import timestamp_pb2
from google.protobuf.descriptor import FieldDescriptor

from localcloud.gcp.vertex.errors import InvalidArgumentError
from localcloud.gcp.vertex.names import id_of

Predicate = Callable[[Any], bool]
Functions = Mapping[str, Callable[[Any, str], bool]]
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<operator>!=|<=|>=|[=<>:()]|-(?=[A-Za-z_]))"""
    r"""|(?P<word>[^\s=<>!:()"']+))"""
)
_COMPARISONS = {"=", "!=", "<", "<=", ">", ">=", ":"}


def compile_filter(text: str, functions: Functions = MappingProxyType({})) -> Predicate:
    """Return what tells whether a message passes; `functions` are those that the list has, by name.

    Raises:
        InvalidArgumentError: The text is no filter.
    """
    if not text.strip():
        return lambda _: True
    return _Parser(text, functions).parse()


class _Parser:
    """Recursive descent over the tokens: (kind, text)."""

    def __init__(self, text: str, functions: Functions) -> None:
        self._text = text
        self._functions = functions
        self._tokens: list[tuple[str, str]] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            if found is None:
                raise self._wrong(f"cannot be read from {text[place:].strip()!r} on")
            self._tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            place = found.end()
        self._next = 0

    def parse(self) -> Predicate:
        whole = self._conjunction()
        if self._next < len(self._tokens):
            raise self._wrong(f"has {self._tokens[self._next][1]!r} where it should end")
        return whole

    def _conjunction(self) -> Predicate:
        parts = [self._disjunction()]
        while self._next < len(self._tokens) and self._peek() != ("operator", ")"):
            self._take_word("AND")  # a space alone joins as well
            parts.append(self._disjunction())
        return lambda message: all(part(message) for part in parts)

    def _disjunction(self) -> Predicate:
        parts = [self._term()]
        while self._take_word("OR"):
            parts.append(self._term())
        return lambda message: any(part(message) for part in parts)

    def _term(self) -> Predicate:
        if self._take_word("NOT") or self._take("operator", "-"):
            inner = self._term()
            return lambda message: not inner(message)
        if self._take("operator", "("):
            whole = self._conjunction()
            if not self._take("operator", ")"):
                raise self._wrong("lacks a closing parenthesis")
            return whole
        return self._comparison()

    def _comparison(self) -> Predicate:
        kind, field = self._peek()
        if kind != "word":
            raise self._wrong(f"has {field!r} where a field should be" if kind else "ends where a field should be")
        self._next += 1
        _, operator = self._peek()
        if operator == "(" and field in self._functions:
            return self._call(self._functions[field])
        if operator not in _COMPARISONS:
            raise self._wrong(f"has no comparison after the field {field!r}")
        self._next += 1
        wanted = [self._value(f"{field}{operator}")]
        while self._take_word(","):
            wanted.append(self._value(","))
        path = field.split(".")
        return lambda message: any(self._compare(message, path, operator, value) for value in wanted)

    def _call(self, function: Callable[[Any, str], bool]) -> Predicate:
        self._next += 1
        argument = self._value("(")
        if not self._take("operator", ")"):
            raise self._wrong("lacks a closing parenthesis")
        return lambda message: function(message, argument)

    def _value(self, after: str) -> str:
        kind, value = self._peek()
        if kind not in {"string", "word"}:
            raise self._wrong(f"has no value after {after}")
        self._next += 1
        return re.sub(r"\\(.)", r"\1", value[1:-1]) if kind == "string" else value

    def _compare(self, message: Any, path: Sequence[str], operator: str, wanted: str) -> bool:
        holder, descriptor = message, message.DESCRIPTOR
        own = descriptor.name.lower()
        if [own] == list(path) and own not in descriptor.fields_by_name:
            return _compare_text(id_of(message.name), operator, wanted)
        for number, part in enumerate(path):
            field = descriptor.fields_by_name.get(part) or descriptor.fields_by_camelcase_name.get(part)
            if field is None:
                raise self._wrong(f"names the field {'.'.join(path)!r}, which {message.DESCRIPTOR.name} has not")
            rest = path[number + 1 :]
            if _is_map(field):
                return _compare_map(dict(getattr(holder, field.name)), ".".join(rest), operator, wanted)
            if not rest:
                return self._compare_field(holder, field, operator, wanted)
            holder, descriptor = getattr(holder, field.name), field.message_type
            if descriptor is None:
                raise self._wrong(f"looks into {part!r}, which has no fields")
        return False

    def _compare_field(self, holder: Any, field: FieldDescriptor, operator: str, wanted: str) -> bool:
        value = getattr(holder, field.name)
        if field.is_repeated:
            return any(_compare_text(str(item), operator, wanted) for item in value)
        if isinstance(value, timestamp_pb2.Timestamp):
            return _ordered(value.ToDatetime(UTC), operator, self._time(wanted))
        if field.message_type is not None:
            return operator == ":" and wanted == "*" and bool(holder.HasField(field.name))
        if field.enum_type is None and isinstance(value, int | float) and not isinstance(value, bool):
            return _ordered(float(value), operator, self._number(wanted))
        return _compare_text(_text(field, value), operator, wanted)

    def _time(self, text: str) -> datetime:
        try:
            found = datetime.fromisoformat(text)
        except ValueError as error:
            raise self._wrong(f"compares a time with {text!r}, which is no time of RFC 3339") from error
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def _number(self, text: str) -> float:
        try:
            return float(text)
        except ValueError as error:
            raise self._wrong(f"compares a number with {text!r}") from error

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("", "")

    def _take(self, kind: str, text: str) -> bool:
        if self._peek() != (kind, text):
            return False
        self._next += 1
        return True

    def _take_word(self, word: str) -> bool:
        return self._take("word", word)

    def _wrong(self, why: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"Invalid filter: {self._text!r} {why}.")


def _text(field: FieldDescriptor, value: Any) -> str:
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _compare_map(values: dict[str, Any], key: str, operator: str, wanted: str) -> bool:
    if not key:  # `labels:key`, whether there is such a key
        return operator == ":" and (wanted == "*" or wanted in values)
    if operator == ":" and wanted == "*":
        return key in values
    return key in values and _compare_text(str(values[key]), operator, wanted)


def _compare_text(value: str, operator: str, wanted: str) -> bool:
    if operator in {"=", ":", "!="}:
        pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
        return (re.fullmatch(pattern, value, re.DOTALL) is not None) != (operator == "!=")
    return _ordered(value, operator, wanted)


def _ordered(value: Any, operator: str, wanted: Any) -> bool:
    outcomes: dict[str, bool] = {
        "=": value == wanted,
        ":": value == wanted,
        "!=": value != wanted,
        "<": value < wanted,
        "<=": value <= wanted,
        ">": value > wanted,
        ">=": value >= wanted,
    }
    return outcomes[operator]
