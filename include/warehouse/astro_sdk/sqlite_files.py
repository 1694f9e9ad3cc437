"""SQLite: transactions that hold for tables too, and writers that wait for each other.

Python's sqlite3 commits before each CREATE and DROP; with its own transactions switched off, SQLAlchemy begins them,
and a load begins as a writer at once, so that two loads wait for each other instead of failing.

What it does not do: read files natively; SQLite has no reader.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from include.warehouse.astro_sdk.loading import Target, make_atomic
from include.warehouse.astro_sdk.statements import replace_table_from_select

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from sqlalchemy.engine import Connection, Engine

# how long a writer waits for another one, in seconds
_WAIT = 600
# SQLite's bound on the values of one statement is 32766; rows are sent one by one, so this only bounds memory
_ROWS_AT_ONCE = 50_000


def change_sqlite(module: ModuleType) -> None:
    """Change ``astro.databases.sqlite``."""
    kind = module.SqliteDatabase
    engine = cached_property(_engine)
    engine.__set_name__(kind, "sqlalchemy_engine")
    kind.sqlalchemy_engine = engine
    kind.transaction = _transaction
    kind.replacing = _replacing
    kind.replace_table_from_select = replace_table_from_select
    make_atomic(kind, SqliteTarget)


class SqliteTarget(Target):
    """A table of SQLite that is being filled."""

    def insert(self, frame: Any) -> None:
        """Append a frame's rows."""
        frame.to_sql(self.name, self.connection, if_exists="append", index=False, chunksize=_ROWS_AT_ONCE)


def _engine(database: Any) -> Engine:
    from sqlalchemy import create_engine, event, pool  # noqa: PLC0415 - heavy

    path = database.hook.get_connection(database.conn_id).host
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _WAIT}, poolclass=pool.NullPool)

    @event.listens_for(engine, "connect")
    def leave_transactions_to_sqlalchemy(connection: Any, record: Any) -> None:  # noqa: ARG001 - SQLAlchemy's signature
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


@contextmanager
def _transaction(database: Any) -> Iterator[Connection]:
    with database.sqlalchemy_engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        yield connection


@contextmanager
def _replacing(database: Any, connection: Connection, table: Any) -> Iterator[str]:
    """Drop the old table in the transaction in which the new one is filled."""
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {database.get_table_qualified_name(table)}")
    yield table.name.lower()
