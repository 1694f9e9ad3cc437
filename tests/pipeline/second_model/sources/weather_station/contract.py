"""The data contract of the weather station: one row for each hour it observed, in Fahrenheit, per cent and mph.

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


def read_month(folder: Path, month: Month, out: Path) -> MonthRead:
    """Check the month that arrived in ``folder``; write its table to ``out`` if it keeps the contract."""
    return read_csv_month(folder, month, out, [_observations(month)])


def _observations(month: Month) -> CsvTable:
    def lies_in_month(instants: pd.Series) -> pd.Series:
        inside: pd.Series = (instants.dt.year == month.year) & (instants.dt.month == month.month)
        return inside

    return CsvTable(
        name="observations",
        file="observations.csv.gz",
        columns={
            "observed_at": "UTC timestamp",
            "temp": "number",
            "dewp": "number",
            "humid": "number",
            "wind_speed": "number",
            "pressure": "number",
        },
        key=("observed_at",),
        rules=pa.DataFrameSchema(
            {
                "observed_at": pa.Column(checks=pa.Check(lies_in_month, name=f"it lies in {month}, UTC")),
                "temp": pa.Column(checks=pa.Check.in_range(-60, 130), nullable=True),
                "dewp": pa.Column(checks=pa.Check.in_range(-80, 100), nullable=True),
                "humid": pa.Column(checks=pa.Check.in_range(0, 100), nullable=True),
                "wind_speed": pa.Column(checks=pa.Check.ge(0), nullable=True),
                "pressure": pa.Column(checks=pa.Check.in_range(850, 1100), nullable=True),
            }
        ),
    )
