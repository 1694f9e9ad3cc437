"""One month's features, computed by ``features.sql`` on an in-memory DuckDB.

The contract with features.sql: it is one SELECT over the source's tables (the target month's rows and, where there is
one, the month before's) and ``target(month_start, month_end)``, one row of dates, the end exclusive. It returns
``row_id`` (unique text), ``label`` (0, 1 or NULL; of a regression a number or NULL) and every feature that model.yaml
names, one row for each row of the source's main table in the target month.

What it does not do: check that contract (``include.warehouse.checks``), read or write the lake. Heavy (duckdb).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from include.core.errors import FeatureCheckFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from include.core.model_spec import Features, Objective
    from include.core.months import Month

BUILT = "built_features"
_LABEL_TYPES: dict[Objective, str] = {"binary_classification": "TINYINT", "regression": "DOUBLE"}


def connect() -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB that gives the same rows in the same order everywhere and fetches nothing."""
    return duckdb.connect(
        config={
            "threads": 1,
            "TimeZone": "UTC",
            "autoinstall_known_extensions": False,
            "preserve_insertion_order": True,
        }
    )


def load_tables(warehouse: duckdb.DuckDBPyConnection, tables: Mapping[str, Sequence[Path]]) -> None:
    """Make each table of the Parquet files given for it."""
    for name, paths in tables.items():
        files = [str(path) for path in paths]
        warehouse.execute(f'CREATE TABLE "{name}" AS SELECT * FROM read_parquet($files)', {"files": files})


def build(warehouse: duckdb.DuckDBPyConnection, month: Month, sql: str, where: str) -> None:
    """Run features.sql for ``month`` over the loaded tables.

    Raises:
        FeatureCheckFailed: the database refuses the SQL.
    """
    warehouse.execute(
        "CREATE TABLE target AS SELECT CAST($start AS DATE) AS month_start, CAST($end AS DATE) AS month_end",
        {"start": month.start.date(), "end": (month + 1).start.date()},
    )
    try:
        warehouse.execute(f"CREATE TABLE {BUILT} AS {sql.strip().removesuffix(';')}")
    except duckdb.Error as error:
        raise FeatureCheckFailed(
            where,
            f"DuckDB refuses it: {error}",
            rule="features.sql is one SELECT that the warehouse can run",
            remedy="correct the SQL",
        ) from error


def write_features(warehouse: duckdb.DuckDBPyConnection, features: Features, path: Path) -> int:
    """Write row_id and the features, in model.yaml's order and ordered by row_id; return the number of rows."""
    columns = ["row_id"]
    columns += [f'CAST("{name}" AS DOUBLE) AS "{name}"' for name in features.numeric]
    columns += [f'CAST("{name}" AS VARCHAR) AS "{name}"' for name in features.categorical]
    return _write(warehouse, f"SELECT {', '.join(columns)} FROM {BUILT} ORDER BY row_id", path)


def write_labels(warehouse: duckdb.DuckDBPyConnection, objective: Objective, path: Path) -> int:
    """Write row_id and label of the rows that have one, ordered by row_id; return the number of rows."""
    kind = _LABEL_TYPES[objective]
    select = f"SELECT row_id, CAST(label AS {kind}) AS label FROM {BUILT} WHERE label IS NOT NULL ORDER BY row_id"
    return _write(warehouse, select, path)


def one_row(warehouse: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the one row of a query that always has one."""
    row = warehouse.execute(query).fetchone()
    if row is None:
        message = f"the query returned no row: {query}"
        raise AssertionError(message)
    return row


def _write(warehouse: duckdb.DuckDBPyConnection, select: str, path: Path) -> int:
    written = warehouse.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)").fetchone()
    return 0 if written is None else int(written[0])
