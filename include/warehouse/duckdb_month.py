"""One month's features as a statement that the warehouse runs, and the files that are written of its result.

The contract with features.sql: it is one SELECT over the source's tables (the target month's rows and, where there is
one, the month before's) and ``target(month_start, month_end)``, one row of dates, the end exclusive. It returns
``row_id`` (unique text), ``label`` (0, 1 or NULL; of a regression a number or NULL) and every feature that model.yaml
names, one row for each row of the source's main table in the target month.

The files are written by DuckDB's own COPY, because equal rows have to be equal bytes: a snapshot is known by its
digest. What it does not do: check that contract (``include.warehouse.checks``), run the statement or read and write the
lake (``include.warehouse.features_operator``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from include.core.model_spec import Features, Objective
    from include.core.months import Month

BUILT = "built_features"
# with these a DuckDB gives the same rows in the same order everywhere, and fetches nothing
SETTINGS = (
    "SET threads = 1",
    "SET TimeZone = 'UTC'",
    "SET preserve_insertion_order = true",
    "SET autoinstall_known_extensions = false",
)
LABEL_TYPES: dict[Objective, str] = {"binary_classification": "TINYINT", "regression": "DOUBLE"}


def statement(month: Month, sql: str, tables: Mapping[str, Sequence[str]]) -> str:
    """Return features.sql for ``month`` as one SELECT.

    Args:
        month: The month.
        sql: The text of features.sql.
        tables: The tables of the warehouse that hold the rows of each of the source's tables, by the latter's name.
    """
    named = {name: " UNION ALL ".join(f'SELECT * FROM "{part}"' for part in parts) for name, parts in tables.items()}
    named["target"] = (
        f"SELECT CAST('{month.start.date()}' AS DATE) AS month_start, "
        f"CAST('{(month + 1).start.date()}' AS DATE) AS month_end"
    )
    given = ",\n".join(f'"{name}" AS NOT MATERIALIZED ({select})' for name, select in named.items())
    return f"WITH {given}\nSELECT * FROM (\n{sql.strip().removesuffix(';')}\n) AS features"


def write_features(warehouse: duckdb.DuckDBPyConnection, features: Features, path: Path) -> int:
    """Write row_id and the features, in model.yaml's order and ordered by row_id; return the number of rows."""
    columns = ["row_id"]
    columns += [f'CAST("{name}" AS DOUBLE) AS "{name}"' for name in features.numeric]
    columns += [f'CAST("{name}" AS VARCHAR) AS "{name}"' for name in features.categorical]
    return _write(warehouse, f"SELECT {', '.join(columns)} FROM {BUILT} ORDER BY row_id", path)


def write_labels(warehouse: duckdb.DuckDBPyConnection, objective: Objective, path: Path) -> int:
    """Write row_id and label of the rows that have one, ordered by row_id; return the number of rows."""
    kind = LABEL_TYPES[objective]
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
