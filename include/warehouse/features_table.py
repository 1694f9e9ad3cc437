"""The model's table in the warehouse: the features and labels of every month that was built into it, for whoever asks.

``features_<model>`` has one row for each ``row_id``, of the types of the lake's files, and ``_month``, the month that
it was built for. A month is merged by the key: built twice it leaves the same table, and rows that a corrected month no
longer has are gone. A table whose columns are not the model's is made anew; as features.sql or model.yaml changed,
every month is due and fills it again.

What it does not do: serve any stage. Training, scoring and monitoring read the lake's snapshots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.warehouse.duckdb_month import LABEL_TYPES

from astro.table import Table

if TYPE_CHECKING:
    from include.core.model_spec import ModelSpec
    from include.core.months import Month


def table_name(model: str) -> str:
    """Return the name of a model's table."""
    return f"features_{model}"


def merge_month(database: Any, spec: ModelSpec, month: Month, staged: Table) -> None:
    """Make the rows of ``staged`` the month's rows in the model's table."""
    table = Table(table_name(spec.name), conn_id=staged.conn_id)
    columns = _columns(spec)
    _make(database, table, columns)
    quoted = [f'"{name}"' for name in columns]
    database.merge_table(
        source_table=staged,
        target_table=table,
        source_to_target_columns_map=dict(zip(quoted, quoted, strict=True)),
        target_conflict_columns=["row_id"],
        if_conflicts="update",
    )
    database.run_sql(
        f"DELETE FROM {table.name} WHERE _month = '{month}' AND row_id NOT IN (SELECT row_id FROM {staged.name})"
    )


def _columns(spec: ModelSpec) -> dict[str, str]:
    return {
        "row_id": "VARCHAR",
        "_month": "VARCHAR",
        "label": LABEL_TYPES[spec.objective],
        **dict.fromkeys(spec.features.numeric, "DOUBLE"),
        **dict.fromkeys(spec.features.categorical, "VARCHAR"),
    }


def _make(database: Any, table: Table, columns: dict[str, str]) -> None:
    """Make the table, unless it is there with these columns."""
    if database.table_exists(table):
        described = database.run_sql(f"DESCRIBE {table.name}", handler=lambda result: result.fetchall())
        if columns == {name: kind for name, kind, *_ in described}:
            return
        database.drop_table(table)
    definitions = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    database.run_sql(f"CREATE TABLE {table.name} ({definitions}, PRIMARY KEY (row_id))")
