"""A month that arrives as gzipped CSV tables with a manifest: the whole delivery checked, then every table written.

What it does not do: know any source's tables (each gives its own). Heavy (pandas, pandera): not for DAG files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyarrow import Table, parquet

from include.core.source import MonthRead
from include.sources.csv_table import read_csv_table
from include.sources.feed_manifest import check_delivery, check_row_count, read_feed_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from include.core.months import Month
    from include.sources.csv_table import CsvTable


def read_csv_month(folder: Path, month: Month, out: Path, tables: Sequence[CsvTable]) -> MonthRead:
    """Check the month that arrived in ``folder``; write its tables to ``out`` if it keeps the contract."""
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
