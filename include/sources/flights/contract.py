"""The data contract of the flights source: the columns, types, ranges and keys on which its users rely.

Times: ``year`` to ``minute`` and the ``*_time`` columns are New York's or the destination's clock as HHMM;
``time_hour`` is the scheduled hour, or the hour of the weather, in UTC.

Heavy (pandas, pandera): reached through the package's ``read_month``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandera.pandas as pa

from include.sources.csv_month import read_csv_month
from include.sources.csv_table import CsvTable

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from include.core.months import Month
    from include.core.source import MonthRead

_NEW_YORK = "America/New_York"
_ORIGINS = ["EWR", "JFK", "LGA"]


def read_month(folder: Path, month: Month, out: Path) -> MonthRead:
    """Check the month that arrived in ``folder``; write its tables to ``out`` if it keeps the contract."""
    return read_csv_month(folder, month, out, (_flights(month), _weather(month)))


def _flights(month: Month) -> CsvTable:
    return CsvTable(
        name="flights",
        file="flights.csv.gz",
        columns={
            "year": "integer",
            "month": "integer",
            "day": "integer",
            "dep_time": "integer",
            "sched_dep_time": "integer",
            "dep_delay": "integer",
            "arr_time": "integer",
            "sched_arr_time": "integer",
            "arr_delay": "integer",
            "carrier": "text",
            "flight": "integer",
            "tailnum": "text",
            "origin": "text",
            "dest": "text",
            "air_time": "integer",
            "distance": "integer",
            "hour": "integer",
            "minute": "integer",
            "time_hour": "UTC timestamp",
        },
        key=("time_hour", "carrier", "flight", "origin"),
        rules=pa.DataFrameSchema(
            {
                **_calendar(month),
                "dep_time": _between(1, 2400, nullable=True),
                "sched_dep_time": _between(0, 2359),
                "dep_delay": _between(-120, 3000, nullable=True),
                "arr_time": _between(1, 2400, nullable=True),
                "sched_arr_time": _between(0, 2400),
                "arr_delay": _between(-240, 3000, nullable=True),
                "carrier": pa.Column(checks=pa.Check.str_matches(r"^[A-Z0-9]{2}$")),
                "flight": _between(1, 9999),
                "tailnum": pa.Column(nullable=True),
                "origin": pa.Column(checks=pa.Check.isin(_ORIGINS)),
                "dest": pa.Column(checks=pa.Check.str_matches(r"^[A-Z]{3}$")),
                "air_time": _between(1, 1500, nullable=True),
                "distance": _between(1, 12000),
                "minute": _between(0, 59),
            },
            checks=[
                pa.Check(_is_new_york_hour, name=f"time_hour is day and hour in {_NEW_YORK}"),
                pa.Check(_sched_dep_time_is_hour_and_minute, name="sched_dep_time is hour and minute"),
                pa.Check(_departure_is_consistent, name="dep_delay is the difference of dep_time and sched_dep_time"),
                pa.Check(_arrived_only_if_departed, name="a flight that arrived had departed"),
            ],
        ),
    )


def _weather(month: Month) -> CsvTable:
    return CsvTable(
        name="weather",
        file="weather.csv.gz",
        columns={
            "origin": "text",
            "year": "integer",
            "month": "integer",
            "day": "integer",
            "hour": "integer",
            "temp": "number",
            "dewp": "number",
            "humid": "number",
            "wind_dir": "number",
            "wind_speed": "number",
            "wind_gust": "number",
            "precip": "number",
            "pressure": "number",
            "visib": "number",
            "time_hour": "UTC timestamp",
        },
        key=("origin", "time_hour"),
        rules=pa.DataFrameSchema(
            {
                **_calendar(month),
                "origin": pa.Column(checks=pa.Check.isin(_ORIGINS)),
                "temp": _between(-60, 130, nullable=True),
                "dewp": _between(-80, 100, nullable=True),
                "humid": _between(0, 100, nullable=True),
                "wind_dir": _between(0, 360, nullable=True),
                # no upper bound: 2013-02-12 really holds 1,048 mph, and one broken gauge is no reason to refuse a month
                "wind_speed": pa.Column(checks=pa.Check.ge(0), nullable=True),
                "wind_gust": pa.Column(checks=pa.Check.ge(0), nullable=True),
                "precip": _between(0, 20, nullable=True),
                "pressure": _between(850, 1100, nullable=True),
                "visib": _between(0, 100, nullable=True),
            },
            checks=[pa.Check(_is_new_york_hour, name=f"time_hour is day and hour in {_NEW_YORK}")],
        ),
    )


def _calendar(month: Month) -> dict[str, pa.Column]:
    return {
        "year": pa.Column(checks=pa.Check.eq(month.year)),
        "month": pa.Column(checks=pa.Check.eq(month.month)),
        "day": _between(1, 31),
        "hour": _between(0, 23),
        "time_hour": pa.Column(),
    }


def _between(low: float, high: float, *, nullable: bool = False) -> pa.Column:
    return pa.Column(checks=pa.Check.in_range(low, high), nullable=nullable)


def _is_new_york_hour(rows: pd.DataFrame) -> pd.Series:
    clock = rows["time_hour"].dt.tz_localize("UTC").dt.tz_convert(_NEW_YORK).dt
    same: pd.Series = rows["time_hour"].notna()
    for part in ("year", "month", "day", "hour"):
        same &= getattr(clock, part) == rows[part]
    return same


def _sched_dep_time_is_hour_and_minute(rows: pd.DataFrame) -> pd.Series:
    return rows["sched_dep_time"] == rows["hour"] * 100 + rows["minute"]


def _departure_is_consistent(rows: pd.DataFrame) -> pd.Series:
    departed = rows["dep_time"] // 100 * 60 + rows["dep_time"] % 100
    delay = departed - (rows["hour"] * 60 + rows["minute"])
    same = ((delay - rows["dep_delay"]) % (24 * 60) == 0).fillna(value=False)
    consistent: pd.Series = same | (rows["dep_time"].isna() & rows["dep_delay"].isna())
    return consistent


def _arrived_only_if_departed(rows: pd.DataFrame) -> pd.Series:
    return rows["arr_delay"].isna() | rows["dep_time"].notna()
