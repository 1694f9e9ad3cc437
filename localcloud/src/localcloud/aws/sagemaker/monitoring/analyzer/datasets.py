"""Reads a dataset into columns: CSV, JSON lines, and what endpoints capture.

A missing value is None: an empty field of CSV, null or an absent key of JSON. Values of CSV are text, those of JSON
what JSON makes of them; `profiles` decides what kind a text is.
"""

import base64
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Value = str | int | float | None
Row = Mapping[str, Value]
# where a capture file holds the two sides of an invocation, in the order of the columns they make
_SIDES = ("endpointOutput", "endpointInput")


class DatasetError(Exception):
    """The dataset cannot be read here; the message says why."""


def read_rows(source: Path, form: Mapping[str, Any], names: Sequence[str]) -> list[Row]:
    """Read every file below `source`.

    Args:
        source: A folder or a file.
        form: The container contract's `dataset_format`.
        names: What columns without names are called if there are as many of them.

    Raises:
        DatasetError: the format is not covered, or a file does not follow it.
    """
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    rows: list[Row] = []
    for file in files:
        try:
            rows += _read(file, form, names)
        except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
            message = f"{file.name} does not follow the format {json.dumps(form)}: {error}"
            raise DatasetError(message) from error
    return rows


def _read(file: Path, form: Mapping[str, Any], names: Sequence[str]) -> Iterable[Row]:
    kind, options = next(iter(form.items()))
    if kind == "csv":
        lines = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))
        if _is_true(options.get("header")):
            return _named(lines[1:], lines[0] if lines else [])
        return _named(lines, _names_for(lines, names))
    if kind == "json" and (_is_true(options.get("line")) or _is_true(options.get("lines"))):
        return [_flat(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if kind == "sagemakerCaptureJson":
        sides = [side for side in _SIDES if side in options["captureIndexNames"]]
        return _captured(file, sides, names)
    message = f"the format {json.dumps(form)}; CSV, JSON lines and captured invocations are"
    raise DatasetError(f"localcloud's analyzer does not read {message}")


def _is_true(value: Any) -> bool:
    """Whether an option is on; the contract writes truth values in several ways."""
    first = value[0] if isinstance(value, list) and value else value
    return str(first).lower() == "true"


def _named(lines: Sequence[Sequence[str]], header: Sequence[str]) -> Iterator[Row]:
    for line in lines:
        if not line:
            continue
        if len(line) != len(header):
            message = f"a line has {len(line)} fields, the header {len(header)}"
            raise ValueError(message)
        yield {name: value or None for name, value in zip(header, line, strict=True)}


def _names_for(lines: Sequence[Sequence[str]], names: Sequence[str]) -> list[str]:
    width = len(lines[0]) if lines else 0
    return list(names) if len(names) == width else [f"_c{number}" for number in range(width)]


def _flat(record: Any, prefix: str = "") -> dict[str, Value]:
    """Return a JSON record with the keys of nested objects joined by underscores."""
    found: dict[str, Value] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}_")
        elif isinstance(value, bool | list):
            found[prefix + key] = json.dumps(value)
        else:
            found[prefix + key] = value
    return found


def _captured(file: Path, sides: Sequence[str], names: Sequence[str]) -> list[Row]:
    lines: list[list[str]] = []
    rows: list[Row] = []
    for text in file.read_text(encoding="utf-8").splitlines():
        data = json.loads(text)["captureData"]
        parts = [_side(data[side]) for side in sides if side in data]
        if all(isinstance(part, list) for part in parts):
            # several records of one invocation lie side by side
            lines += [[field for part in row for field in part] for row in zip(*parts, strict=True)]
        else:
            rows.append({key: value for part in parts for key, value in _flat(part).items()})
    return [*_named(lines, _names_for(lines, names)), *rows]


def _side(captured: Mapping[str, str]) -> Any:
    """Return the lines of a captured CSV, or the object of a captured JSON."""
    text = captured["data"]
    if captured["encoding"] == "BASE64":
        text = base64.b64decode(text).decode()
    if captured["encoding"] == "JSON" or captured.get("observedContentType", "").startswith("application/json"):
        found = json.loads(text)
        return found if isinstance(found, dict) else {"value": found}
    return [line for line in csv.reader(io.StringIO(text)) if line]
