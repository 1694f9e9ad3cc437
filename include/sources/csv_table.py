"""A table that arrives as gzipped CSV: its columns, their types, its key and the rules that its values keep.

How it works: columns are compared exactly, then every value is converted to its column's type, then pandera checks the
typed table. A later step is taken only where the one before found nothing, so a report names causes, not consequences.

What it does not do: know any source's columns or rules; write anything. Heavy (pandas, pandera): not for DAG files.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd
import pandera.pandas as pa

from include.core.source import MAX_EXAMPLES, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Kind = Literal["integer", "number", "text", "UTC timestamp"]

_MISSING = ["", "NA"]
_TIMESTAMP = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class CsvTable:
    """What is agreed on a table.

    Args:
        name: The table's name.
        file: The feed's file that holds it.
        columns: Every column's kind, in the order of the file.
        key: The columns that together name a row.
        rules: The pandera schema of a month's typed rows; it need not repeat columns, order, types and key.
    """

    name: str
    file: str
    columns: Mapping[str, Kind]
    key: tuple[str, ...]
    rules: pa.DataFrameSchema


@dataclass(frozen=True)
class TableRead:
    """A table's typed rows (None when they break the contract), the rows counted (None: unreadable), what is wrong."""

    rows: pd.DataFrame | None
    count: int | None
    violations: list[Violation]


def read_csv_table(folder: Path, table: CsvTable) -> TableRead:
    """Read a table's file in ``folder`` and check it."""
    try:
        with gzip.open(folder / table.file, "rb") as stream:
            text = stream.read().decode()
        header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (OSError, EOFError, zlib.error) as error:
        return _refused(None, table, "it is readable gzip", str(error))
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        return _refused(None, table, "it is CSV in UTF-8 with a header", str(error))
    if header != list(table.columns):
        return TableRead(None, len(lines), _column_violations(table, header))
    ragged = [f"line {number}: {len(line)} values" for number, line in enumerate(lines, 2) if len(line) != len(header)]
    if ragged:
        return _refused(len(lines), table, f"each line holds {len(header)} values", *ragged)
    as_text = pd.DataFrame(lines, columns=header, dtype="str")
    rows, violations = _typed(as_text.mask(as_text.isin(_MISSING)), table)
    if not violations:
        violations = _rule_violations(rows, table)
    return TableRead(None if violations else rows, len(lines), violations)


def _refused(count: int | None, table: CsvTable, check: str, *examples: str) -> TableRead:
    violation = Violation(file=table.file, check=check, count=len(examples), examples=examples[:MAX_EXAMPLES])
    return TableRead(None, count, [violation])


def _column_violations(table: CsvTable, header: list[str]) -> list[Violation]:
    missing = [name for name in table.columns if name not in header]
    unknown = [name for name in header if name not in table.columns]
    wrong = [f"{name} is missing" for name in missing] + [f"{name} is not agreed" for name in unknown]
    wrong = wrong or [f"the order is {', '.join(header)}"]
    check = "its columns are the agreed ones, in their order"
    return [Violation(file=table.file, check=check, count=len(wrong), examples=tuple(wrong[:MAX_EXAMPLES]))]


def _typed(as_text: pd.DataFrame, table: CsvTable) -> tuple[pd.DataFrame, list[Violation]]:
    typed: dict[str, pd.Series] = {}
    violations = []
    for name, kind in table.columns.items():
        typed[name] = _CONVERSIONS[kind](as_text[name])
        failed = typed[name].isna() & as_text[name].notna()
        if failed.any():
            violations.append(_value_violation(table, f"is {_WITH_ARTICLE[kind]}", name, as_text.loc[failed, name]))
    return pd.DataFrame(typed), violations


def _rule_violations(rows: pd.DataFrame, table: CsvTable) -> list[Violation]:
    violations = []
    try:
        table.rules.validate(rows, lazy=True)
    except pa.errors.SchemaErrors as error:
        for (context, check), cases in error.failure_cases.groupby(["schema_context", "check"], sort=False):
            if context == "Column":
                for column, of_column in cases.groupby("column", sort=False):
                    failed = rows.loc[_failed_rows(of_column), str(column)]
                    violations.append(_value_violation(table, str(check), str(column), failed))
            else:
                # a rule about whole rows: pandera names every column of each
                violations.append(_row_violation(table, str(check), rows.loc[_failed_rows(cases)]))
    twice = rows[rows.duplicated(list(table.key), keep=False)]
    if not twice.empty:
        violations.append(_row_violation(table, f"the key ({', '.join(table.key)}) is unique", twice))
    return violations


def _failed_rows(cases: pd.DataFrame) -> list[int]:
    return sorted(cases["index"].dropna().astype(int).unique())


def _value_violation(table: CsvTable, check: str, column: str, values: pd.Series) -> Violation:
    # line numbers as an editor shows them: the header is line 1
    examples = [
        f"line {int(str(index)) + 2}: {repr(value) if isinstance(value, str) else value}"
        for index, value in values.head(MAX_EXAMPLES).items()
    ]
    return Violation(file=table.file, check=check, column=column, count=len(values), examples=tuple(examples))


def _row_violation(table: CsvTable, check: str, rows: pd.DataFrame) -> Violation:
    keys = rows[list(table.key)].head(MAX_EXAMPLES).astype(str).agg(" ".join, axis="columns")
    examples = [f"line {int(str(index)) + 2}: {key}" for index, key in keys.items()]
    return Violation(file=table.file, check=check, count=len(rows), examples=tuple(examples))


def _as_integer(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype("Float64")
    return numbers.where((numbers % 1 == 0) & (numbers.abs() < 2**31)).astype("Int32")


def _as_number(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype("Float64")
    return numbers.where(numbers.abs() < float("inf"))


def _as_text(values: pd.Series) -> pd.Series:
    return values


def _as_timestamp(values: pd.Series) -> pd.Series:
    # without a zone, because the tables hold UTC everywhere and DuckDB's zoned type depends on a session's setting
    return pd.to_datetime(values, format=_TIMESTAMP, errors="coerce").astype("datetime64[us]")


_CONVERSIONS: dict[Kind, Callable[[pd.Series], pd.Series]] = {
    "integer": _as_integer,
    "number": _as_number,
    "text": _as_text,
    "UTC timestamp": _as_timestamp,
}
_WITH_ARTICLE: dict[Kind, str] = {
    "integer": "an integer",
    "number": "a number",
    "text": "a text",
    "UTC timestamp": "a UTC timestamp like 2013-01-01T10:00:00Z",
}
