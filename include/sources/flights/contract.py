"""The data contract of the flights source: the columns, types, ranges and keys on which its users rely.

Times: ``year`` to ``minute`` and the ``*_time`` columns are New York's or the destination's clock as HHMM;
``time_hour`` is the scheduled hour, or the hour of the weather, in UTC.

Heavy (pandas, pandera): reached through the package's ``read_month``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandera.pandas as pa
from pyarrow import Table, parquet

from include.core.source import MonthRead
from include.sources.csv_table import CsvTable, read_csv_table
from include.sources.feed_manifest import check_delivery, check_row_count, read_feed_manifest

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from include.core.months import Month

_NEW_YORK = "America/New_York"
_ORIGINS = ["EWR", "JFK", "LGA"]


def read_month(folder: Path, month: Month, out: Path) -> MonthRead:
    """Check the month that arrived in ``folder``; write its tables to ``out`` if it keeps the contract."""
    tables = (_flights(month), _weather(month))
    manifest, violations = read_feed_manifest(folder)
    if manifest is not None:
        violations += check_delivery(folder, month, [table.file for table in tables], manifest)
    counts: dict[str, int] = {}
    typed: dict[str, pd.DataFrame] = {}
    broken = {violation.file for violation in violations}
    for table in tables:
        # a file that is missing or not the announced one has its violation; what it holds would be noise
        if table.file in broken:
            continue
        read = read_csv_table(folder, table)
        violations += read.violations
        if read.count is not None:
            counts[table.name] = read.count
            if manifest is not None:
                violations += check_row_count(table.file, read.count, manifest)
        if read.rows is not None:
            typed[table.name] = read.rows
    if not violations:
        _write(typed, out)
    return MonthRead(rows=counts, violations=tuple(violations))


def _write(tables: dict[str, pd.DataFrame], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        # without pandas' own metadata: equal rows make an equal file, whichever pandas wrote it
        table = Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
        parquet.write_table(table, out / f"{name}.parquet")


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
