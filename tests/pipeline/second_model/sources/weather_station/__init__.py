"""The hourly observations of one weather station, month by month (months are UTC)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from include.core.months import Month
    from include.core.source import MonthRead

FEED_FILES = ("observations.csv.gz",)
TABLES = ("observations",)


def read_month(folder: Path, month: Month, out: Path) -> MonthRead:
    """Check the month that arrived in ``folder``; write its table to ``out`` if it keeps the contract."""
    # here, because DAG files import this package and pandas is dear
    from include.sources.weather_station.contract import read_month as read  # noqa: PLC0415 - pandas

    return read(folder, month, out)
