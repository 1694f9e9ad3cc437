"""Rows of Parquet files for the queries of this room, in an in-memory DuckDB.

Heavy (duckdb): DAG files import what stands on it inside tasks.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextmanager
def open_rows(name: str, paths: Sequence[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in which the view ``name`` is the rows of the files.

    One thread: sums come out the same everywhere, and a task of Airflow shares its worker.
    """
    config: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "autoinstall_known_extensions": False}
    with duckdb.connect(config=config) as database:
        add_rows(database, name, paths)
        yield database


def add_rows(database: duckdb.DuckDBPyConnection, name: str, paths: Sequence[Path], *, every: int = 1) -> None:
    """Make the view ``name`` of the rows of the files, or of each ``every``-th row of each file."""
    files = [str(path) for path in paths]
    rows = database.read_parquet(files, hive_partitioning=False, union_by_name=True, file_row_number=every > 1)
    (rows.filter(f"file_row_number % {every} = 0") if every > 1 else rows).create_view(name)


def one_row(database: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the one row of a query of aggregates."""
    # fetched to its end: DuckDB 2 refuses a new view while a result is open
    (row,) = database.execute(query).fetchall()
    found: tuple[Any, ...] = row
    return found
