"""DuckDB: one process at a time has the file open, and the others wait for it.

DuckDB locks its file for the process that opened it. Here the file is open only while a statement or a load runs, every
part of the SDK opens it in the same way (upstream's checks opened it a second time with other settings), and a process
that finds it locked waits, 10 minutes by default: the connection's extra ``lock_timeout`` (seconds) says otherwise.
The file's path may name environment variables (``${AIRFLOW_HOME}/warehouse.duckdb``): one connection serves workers
whose disks are their own.

Reading is native for CSV and Parquet (``native``); the memory for it is bounded. What it does not do: tables in
schemas, which the SDK does not know on DuckDB either. A database in memory lives as long as the SDK's object for it.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from include.core.errors import AstroSdkRefused, WarehouseLocked
from include.warehouse.astro_sdk import native
from include.warehouse.astro_sdk.loading import Target, make_atomic
from include.warehouse.astro_sdk.statements import replace_table_from_select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from sqlalchemy.engine import Connection, Engine

_LOCK_TIMEOUT = 600.0
_POLL_SECONDS = 0.05
# what bounds the memory of a load
_SETTINGS = {"memory_limit": "'256MB'", "preserve_insertion_order": "false", "threads": "2"}
_TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "text": "VARCHAR"}


def change_duckdb(module: ModuleType) -> None:
    """Change ``astro.databases.duckdb``."""
    kind, hook_class = module.DuckdbDatabase, module.DuckDBHook

    class OneOpenHook(hook_class):  # type: ignore[misc, valid-type] # made by a provider without types
        """Opens the file as the SDK's database does."""

        engine: Engine
        in_memory: bool

        def get_conn(self) -> Any:
            """Return a connection of the engine."""
            return self.engine.raw_connection()

        def get_sqlalchemy_engine(self, engine_kwargs: Any = None) -> Engine:  # noqa: ARG002 - the hook's signature
            """Return the engine."""
            return self.engine

    def hook(database: Any) -> Any:
        made = OneOpenHook(duckdb_conn_id=database.conn_id)
        uri = _expanded(made.get_uri())
        made.in_memory = ":memory:" in uri
        made.engine = _engine(uri, _lock_timeout(made.get_connection(database.conn_id)))
        return made

    for name, function in (("hook", hook), ("sqlalchemy_engine", lambda database: database.hook.engine)):
        cached = cached_property(function)
        cached.__set_name__(kind, name)
        setattr(kind, name, cached)
    kind.connection = property(lambda database: database.sqlalchemy_engine.connect())
    kind.get_sqla_table = _columns_only
    kind.replacing = _replacing
    kind.replace_table_from_select = replace_table_from_select
    make_atomic(kind, DuckdbTarget)


class DuckdbTarget(Target):
    """A table of DuckDB that is being filled."""

    @property
    def native_errors(self) -> tuple[type[Exception], ...]:
        """DuckDB's own errors, as they are and as SQLAlchemy wraps them."""
        import duckdb  # noqa: PLC0415 - heavy
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - heavy

        return (duckdb.Error, DBAPIError)

    def own_columns(self) -> list[Any]:
        """Return the columns that the SDK's table names; a key is no SERIAL, a type that DuckDB lacks."""
        columns = super().own_columns()
        for column in columns:
            column.autoincrement = False
        return columns

    def insert(self, frame: Any) -> None:
        """Append a frame's rows, column by name."""
        import pandas as pd  # noqa: PLC0415 - heavy

        raw: Any = self.connection.connection.dbapi_connection
        raw.register("frame_to_insert", pd.DataFrame(frame))
        self.connection.exec_driver_sql(f"INSERT INTO {self.quoted} BY NAME SELECT * FROM frame_to_insert")
        raw.unregister("frame_to_insert")

    def reader(self, file: Any) -> Callable[[], int] | None:
        """Read CSV by ``read_csv`` and Parquet by ``read_parquet``."""
        head = native.csv_head(file)
        if head is not None:
            return lambda: self._read_csv(file, head)
        return (lambda: self._read_parquet(file)) if native.is_parquet(file) else None

    def _read_csv(self, file: Any, head: Any) -> int:
        columns = ", ".join(f"{_text(name)}: '{_TYPES[kind]}'" for name, kind in native.kinds(head).items())
        nulls = ", ".join(_text(null) for null in native.NULLS)
        self.prepare(head)
        with native.local_copy(file) as path:
            return self._insert(
                f"SELECT * FROM read_csv({_text(str(path))}, header = true, auto_detect = false, delim = ',', "
                f"quote = '\"', escape = '\"', columns = {{{columns}}}, nullstr = [{nulls}])"
            )

    def _read_parquet(self, file: Any) -> int:
        with native.local_copy(file) as path:
            quote = self.connection.dialect.identifier_preparer.quote_identifier
            # pandas reads a NaN as missing, and so does the SDK
            columns = ", ".join(
                f"nullif({quote(name)}, 'NaN') AS {quote(name)}" if is_float else quote(name)
                for name, is_float in native.parquet_columns(path)
            )
            select = f"SELECT {columns} FROM read_parquet({_text(str(path))})"
            if self.is_new and not self.table.columns:
                self.is_new = False
                self.connection.exec_driver_sql(f"CREATE TABLE {self.quoted} AS {select} LIMIT 0")
            self.prepare(None)
            return self._insert(select)

    def _insert(self, select: str) -> int:
        if not self.database.hook.in_memory:
            # for the open file only, which ends with the transaction
            for name, value in _SETTINGS.items():
                self.connection.exec_driver_sql(f"SET {name} = {value}")
        inserted = self.connection.exec_driver_sql(f"INSERT INTO {self.quoted} BY NAME {select}").fetchone()
        return int(inserted[0]) if inserted else 0


def _engine(uri: str, lock_timeout: float) -> Engine:
    import duckdb  # noqa: PLC0415 - heavy
    from sqlalchemy import create_engine, event, pool  # noqa: PLC0415 - heavy

    in_memory = ":memory:" in uri
    engine = create_engine(uri, poolclass=pool.StaticPool if in_memory else pool.NullPool)

    @event.listens_for(engine, "do_connect")
    def wait_for_the_file(dialect: Any, record: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG001 - SQLAlchemy's
        deadline = time.monotonic() + lock_timeout
        while True:
            try:
                return dialect.connect(*args, **kwargs)
            except duckdb.IOException as error:
                if "lock" not in str(error):
                    raise
                if time.monotonic() > deadline:
                    raise WarehouseLocked(
                        args[0] if args else uri,
                        f"another process has had it open for {lock_timeout:.0f} s: {error}",
                        rule="one process at a time may open a DuckDB file",
                        remedy="give its tasks a pool of one slot, or the connection's extra a longer lock_timeout",
                    ) from error
            time.sleep(_POLL_SECONDS)

    # a keyword such as AT is no reserved word, and still no column's name without quotes
    keywords = duckdb.cursor().execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
    engine.dialect.identifier_preparer.reserved_words.update(keyword for (keyword,) in keywords)
    return engine


def _expanded(uri: str) -> str:
    unknown = [name for name in re.findall(r"\$\{(\w+)\}", uri) if name not in os.environ]
    if unknown:
        raise AstroSdkRefused(
            uri,
            f"{unknown[0]} is no variable of the task's environment",
            rule="variables in the path of a DuckDB file are set on every worker",
            remedy="set it, or write the path out in the connection's host",
        )
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ[found[1]], uri)


def _lock_timeout(connection: Any) -> float:
    return float(connection.extra_dejson.get("lock_timeout", _LOCK_TIMEOUT))


def _columns_only(database: Any, table: Any) -> Any:
    """Return a table with its columns: duckdb-engine's full reflection asks for catalogues that DuckDB lacks."""
    from sqlalchemy import Column, MetaData, Table, inspect  # noqa: PLC0415 - heavy

    columns = inspect(database.sqlalchemy_engine).get_columns(table.name)
    return Table(table.name, MetaData(), *(Column(column["name"], column["type"]) for column in columns))


@contextmanager
def _replacing(database: Any, connection: Connection, table: Any) -> Iterator[str]:
    """Drop the old table in the transaction in which the new one is filled."""
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {database.get_table_qualified_name(table)}")
    yield table.name.lower()


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
