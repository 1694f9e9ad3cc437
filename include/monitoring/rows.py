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


def add_rows(database: duckdb.DuckDBPyConnection, name: str, paths: Sequence[Path]) -> None:
    """Make the view ``name`` of the rows of the files."""
    database.read_parquet([str(path) for path in paths], hive_partitioning=False, union_by_name=True).create_view(name)


def one_row(database: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the one row of a query of aggregates."""
    row = database.execute(query).fetchone()
    if row is None:
        message = f"the query returned no row: {query}"
        raise AssertionError(message)
    return row
