"""What a source is: the feed files of one month, the tables they hold, and the contract that they keep.

A source is a folder below ``include/sources``. Its ``__init__.py`` exposes three names:

- ``FEED_FILES``: the files of a month in the feed, the main table's file first; ``manifest.json`` comes beside them,
- ``TABLES``: the tables that a month consists of, the main table first,
- ``read_month(folder, month, out)``: checks the month's files as they arrived in ``folder`` and writes one
  ``<table>.parquet`` for each table to ``out``, or, when anything breaks the contract, nothing.

Adding a source is adding such a folder; no list names it. DAG files may import this module and a source's
``__init__.py``, so neither may import pandas at its top level.

What it does not do: fetch or store a month (``include.sources.ingest``).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from include.core.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.core.months import Month

SOURCES_FOLDER = Path(__file__).resolve().parent.parent / "sources"
FEED_MANIFEST = "manifest.json"
MAX_EXAMPLES = 5


class Violation(BaseModel, frozen=True, extra="forbid"):
    """One rule of a contract that a month breaks: where, how often, and up to five examples."""

    file: str
    check: str
    column: str | None = None
    count: int = 1
    examples: tuple[str, ...] = Field(default=(), max_length=MAX_EXAMPLES)

    def __str__(self) -> str:
        place = self.file if self.column is None else f"{self.file} column {self.column}"
        examples = f", for example {'; '.join(self.examples)}" if self.examples else ""
        return f"{place} breaks '{self.check}' {self.count} times{examples}"


class MonthRead(BaseModel, frozen=True, extra="forbid"):
    """What reading a month came to: the rows of each table that could be counted, and what breaks the contract."""

    rows: dict[str, int]
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True)
class Source:
    """A source, as generic code sees it."""

    name: str
    feed_files: tuple[str, ...]
    tables: tuple[str, ...]
    read_month: Callable[[Path, Month, Path], MonthRead]

    @property
    def main_table(self) -> str:
        """The table whose rows are counted, and of which each row becomes a row of features."""
        return self.tables[0]


def source_names() -> list[str]:
    """Return the names of this project's sources: the folders of include/sources that are packages."""
    return sorted(path.parent.name for path in SOURCES_FOLDER.glob("*/__init__.py"))


def load_source(name: str) -> Source:
    """Return the source of that name.

    Raises:
        SpecError: there is no such source, or its package lacks a name that a source exposes.
    """
    if name not in source_names():
        raise SpecError(
            f"include/sources/{name}",
            "there is no such source",
            rule="a source is a folder of include/sources with an __init__.py",
            remedy=f"name one of {', '.join(source_names())}, or add the folder",
        )
    package = import_module(f"include.sources.{name}")
    missing = [each for each in ("FEED_FILES", "TABLES", "read_month") if not getattr(package, each, None)]
    if missing:
        raise SpecError(
            f"include/sources/{name}/__init__.py",
            f"it lacks {', '.join(missing)}",
            rule="a source exposes FEED_FILES, TABLES and read_month",
            remedy="compare it with include/sources/flights/__init__.py",
        )
    return Source(
        name=name, feed_files=tuple(package.FEED_FILES), tables=tuple(package.TABLES), read_month=package.read_month
    )
