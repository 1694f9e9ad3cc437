"""SQL statements on SQLAlchemy 2: each one is committed, and its rows outlive the commit.

SQLAlchemy 1.4 committed what the SDK executed; SQLAlchemy 2 rolls it back when the connection is closed, while the task
is green. So every statement here ends in a commit, and rows are fetched before it, because a commit may end the cursor.
A statement with its ``pre_queries`` and ``post_queries`` runs on one connection, so that a setting applies to it; the
connection is closed at the end.

A table that ``transform`` replaces is dropped and made in one transaction: a crash leaves the old one. What it does not
do: load files and dataframes (``loading``).
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy

from include.warehouse.astro_sdk.on_import import put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from sqlalchemy.engine import Connection


def change_base(module: ModuleType) -> None:
    """Change ``astro.databases.base``: what all databases inherit."""
    base = module.BaseDatabase
    base.transaction = transaction
    base.run_single_sql_query = run_single_sql_query
    base.run_sql = run_sql
    base.append_table = append_table
    base.swap = swap
    base.table_exists = table_exists
    base.create_table_using_schema_autodetection = create_table_using_schema_autodetection


@contextmanager
def transaction(database: Any) -> Iterator[Connection]:
    """Yield a connection in a transaction that is committed at the end, or rolled back after an exception."""
    with database.sqlalchemy_engine.begin() as connection:
        yield connection


def run_single_sql_query(database: Any, sql: Any = "", parameters: Mapping[str, Any] | None = None) -> Any:
    """Execute one statement, commit it and return its result."""
    with database.sqlalchemy_engine.connect() as connection:
        return _execute(connection, sql, parameters)


def run_sql(
    database: Any,
    sql: Any = "",
    parameters: Mapping[str, Any] | None = None,
    handler: Callable[[Any], Any] | None = None,
    query_modifier: Any = None,
    **kwargs: Any,
) -> Any:
    """Execute a statement between its pre- and post-queries and return what ``handler`` makes of its result."""
    if "sql_statement" in kwargs:
        warnings.warn("`sql_statement` is deprecated: use `sql`", DeprecationWarning, stacklevel=2)
        sql = kwargs["sql_statement"]
    database.sql = sql  # what merge reports as its statement; upstream reports nothing
    before, after = (query_modifier.pre_queries, query_modifier.post_queries) if query_modifier else ((), ())
    with database.sqlalchemy_engine.connect() as connection:
        for query in before:
            _execute(connection, query, parameters)
        result = _execute(connection, sql, parameters)
        for query in after:
            _execute(connection, query, parameters)
    return handler(result) if handler else None


def _execute(connection: Connection, sql: Any, parameters: Mapping[str, Any] | None) -> Any:
    statement = sqlalchemy.text(sql) if isinstance(sql, str) else sql
    result = connection.execution_options(preserve_rowcount=True).execute(statement, dict(parameters or {}))
    if not result.returns_rows:
        connection.commit()
        return result
    frozen = result.freeze()
    connection.commit()
    rows: Any = frozen()
    # what handlers ask a live result, and the number that tells whether there was anything to handle (rows)
    rows.returns_rows, rows.rowcount = True, len(frozen.data)
    return rows


def append_table(
    database: Any, source_table: Any, target_table: Any, source_to_target_columns_map: Mapping[str, str]
) -> None:
    """Append a table's rows to another table: all of them or none."""
    target, source = database.get_sqla_table(target_table), database.get_sqla_table(source_table)
    columns = source_to_target_columns_map or {name: name for name in target.c.keys()}  # noqa: SIM118 - no dict
    rows = sqlalchemy.select(*(sqlalchemy.column(name) for name in columns)).select_from(source)
    database.sql = sqlalchemy.insert(target).from_select(list(columns.values()), rows)
    database.run_sql(sql=database.sql)


def table_exists(database: Any, table: Any) -> bool:
    """Say whether the database has the table."""
    return bool(sqlalchemy.inspect(database.sqlalchemy_engine).has_table(database.get_table_qualified_name(table)))


def create_table_using_schema_autodetection(
    database: Any,
    table: Any,
    file: Any = None,
    dataframe: Any = None,
    columns_names_capitalization: str = "original",  # noqa: ARG001 - the SDK's signature
) -> None:
    """Create an empty table, in place of one that is there, with the columns of a file or dataframe.

    Raises:
        ValueError: neither is given.
    """
    if file is None and dataframe is None:
        message = "File or Dataframe is required for creating table using schema autodetection"
        raise ValueError(message)
    if file is not None:
        from astro.settings import LOAD_TABLE_AUTODETECT_ROWS_COUNT  # noqa: PLC0415 - astro is imported when it is used

        dataframe = file.export_to_dataframe(nrows=LOAD_TABLE_AUTODETECT_ROWS_COUNT)
    with database.transaction() as connection:
        create_empty_table(connection, table, dataframe, if_exists="replace")


def create_empty_table(
    connection: Connection, table: Any, frame: Any, *, name: str | None = None, if_exists: str = "fail"
) -> None:
    """Create a table with a dataframe's columns, in the transaction of the connection."""
    from pandas.io.sql import SQLDatabase  # type: ignore[attr-defined] # noqa: PLC0415 - heavy; not in its stubs

    SQLDatabase(connection).prep_table(
        frame, name or table.name.lower(), schema=table.metadata.schema, if_exists=if_exists, index=False
    )


def change_transform(module: ModuleType) -> None:
    """Change ``astro.sql.operators.transform``."""
    upstream, decorated = module.TransformOperator, module.BaseSQLDecoratedOperator

    class TransformOperator(upstream):  # type: ignore[misc, valid-type] # the SDK carries no types
        """As upstream's, which see."""

        def execute(self, context: Any) -> Any:
            """Make the output table of the statement."""
            decorated.execute(self, context)
            database, table = self.database_impl, self.output_table
            database.create_schema_if_applicable(table.metadata.schema, self.assume_schema_exists)
            if hasattr(database, "replace_table_from_select"):
                database.replace_table_from_select(table, self.sql, self.parameters, self.query_modifier)
            else:
                database.drop_table(table)
                database.create_table_from_select_statement(self.sql, table, self.parameters, self.query_modifier)
            # what the SDK's OpenLineage facets read
            context["ti"].xcom_push(key="output_table_row_count", value=database.row_count(table))
            context["ti"].xcom_push(key="output_table_conn_id", value=str(table.conn_id))
            return table

    put(module, TransformOperator, upstream)


def replace_table_from_select(
    database: Any, table: Any, sql: str, parameters: Mapping[str, Any], query_modifier: Any
) -> None:
    """Make a table of a SELECT; the table that was there is gone only when the new one is there.

    The rows are selected before the old table is dropped, so that a statement may read the table that it replaces.
    """
    new = table.create_similar_table()
    with database.transaction() as connection:
        for query in query_modifier.pre_queries:
            connection.execute(sqlalchemy.text(query), dict(parameters))
        name = database.get_table_qualified_name(new)
        connection.execute(sqlalchemy.text(f"CREATE TABLE {name} AS {sql}"), dict(parameters))
        database.swap(connection, table, new)
        for query in query_modifier.post_queries:
            connection.execute(sqlalchemy.text(query), dict(parameters))


def swap(database: Any, connection: Connection, table: Any, new: Any) -> None:
    """Put a table in the place of the one that is there, if one is."""
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {database.get_table_qualified_name(table)}")
    connection.exec_driver_sql(f"ALTER TABLE {database.get_table_qualified_name(new)} RENAME TO {table.name.lower()}")
