"""Postgres over psycopg 3: tables that are swapped in whole, COPY, and merges in SQLAlchemy's quoting.

A table is filled under a name of its own and takes the old one's place at the end of the transaction, so that readers
see the old table until then and wait only for the swap. Rows go in by COPY: a dataframe's as CSV in pieces, a CSV or
Parquet file's through pyarrow's readers and in binary form (``postgres_rows``), batch by batch, so that memory does not
grow with the file.

Rows are matched to columns by name; upstream's COPY matched them by position, so that a file whose columns had another
order filled the wrong ones. What it does not do: keep indexes and grants of a table that is replaced, as upstream.
"""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from include.core.errors import AstroSdkRefused
from include.warehouse.astro_sdk import arrow_rows, native, postgres_rows
from include.warehouse.astro_sdk.loading import Target, make_atomic
from include.warehouse.astro_sdk.statements import replace_table_from_select, swap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import ModuleType

    from sqlalchemy.engine import Connection, Engine

_ROWS_AT_ONCE = 50_000


def change_postgres(module: ModuleType) -> None:
    """Change ``astro.databases.postgres``.

    Raises:
        AstroSdkRefused: the Postgres provider uses psycopg2.
    """
    from airflow.providers.postgres.hooks import postgres as provider  # noqa: PLC0415 - with the database only

    if not getattr(provider, "USE_PSYCOPG3", False):
        raise AstroSdkRefused(
            "apache-airflow-providers-postgres",
            "it uses psycopg2",
            rule="the bridge was tested with psycopg 3, which the provider uses on SQLAlchemy 2",
            remedy="install apache-airflow-providers-postgres>=6.4 and psycopg[binary]>=3.2",
        )
    kind = module.PostgresDatabase
    engine = cached_property(_engine)
    engine.__set_name__(kind, "sqlalchemy_engine")
    kind.sqlalchemy_engine = engine
    kind.table_exists = _table_exists
    kind.create_schema_if_applicable = _create_schema_if_applicable
    kind.merge_table = _merge_table
    kind.replacing = _replacing
    kind.swap = _swap
    kind.replace_table_from_select = replace_table_from_select
    make_atomic(kind, PostgresTarget)


class PostgresTarget(Target):
    """A table of Postgres that is being filled."""

    has_schemas = True

    @property
    def native_errors(self) -> tuple[type[Exception], ...]:
        """What pyarrow and psycopg raise for a value that does not fit its column."""
        import psycopg  # noqa: PLC0415 - with the database only
        import pyarrow  # noqa: PLC0415 - heavy

        return (psycopg.DataError, pyarrow.ArrowException)

    def insert(self, frame: Any) -> None:
        """Append a frame's rows."""
        pieces = (frame.iloc[start : start + _ROWS_AT_ONCE] for start in range(0, len(frame), _ROWS_AT_ONCE))
        self._copy(frame.columns, (piece.to_csv(index=False, header=False).encode() for piece in pieces))

    def reader(self, file: Any) -> Callable[[], int] | None:
        """Read CSV and Parquet by pyarrow, batch by batch."""
        head = native.csv_head(file)
        if head is not None:
            return lambda: self._read_csv(file, head)
        return (lambda: self._read_parquet(file)) if native.is_parquet(file) else None

    def _read_csv(self, file: Any, head: Any) -> int:
        self.prepare(head)
        with native.local_copy(file) as path:
            return self._copy_batches(head.columns, arrow_rows.of_csv(path, native.kinds(head)))

    def _read_parquet(self, file: Any) -> int:
        import sqlalchemy  # noqa: PLC0415 - heavy

        with native.local_copy(file) as path:
            names = [name for name, _ in native.parquet_columns(path)]
            types = arrow_rows.column_types(path, names)
            if types is None:
                # a type without a counterpart (a list, a struct): upstream's way
                frame = file.export_to_dataframe()
                self.add(frame)
                return len(frame)
            if self.is_new and not self.table.columns:
                self.is_new = False
                columns = [sqlalchemy.Column(name, kind) for name, kind in types.items()]
                metadata = self.table.sqlalchemy_metadata
                metadata.create_all(self.connection, tables=[sqlalchemy.Table(self.name, metadata, *columns)])
            self.prepare(None)
            return self._copy_batches(names, arrow_rows.of_parquet(path, names))

    def _copy_batches(self, names: Iterable[Any], batches: Iterator[Any]) -> int:
        """Send rows in binary form where the table's columns have just their types, else as CSV; return how many."""
        first = next(batches, None)
        if first is None:
            return 0
        counted = arrow_rows.Counted(chain([first], batches))
        wanted = postgres_rows.oids(first.schema)
        if wanted is not None and wanted == self._oids(names):
            self._copy(names, postgres_rows.messages(counted), "binary")
        else:
            self._copy(names, map(arrow_rows.as_csv, counted))
        return counted.rows

    def _copy(self, names: Iterable[Any], pieces: Iterable[bytes], form: str = "csv") -> None:
        """Send rows in a form of COPY; the next piece is made while the server reads this one.

        Raises:
            ValueError: a column is not the table's.
        """
        statement = f"COPY {self.quoted} ({self._columns(names)}) FROM STDIN WITH (FORMAT {form})"
        raw: Any = self.connection.connection
        with closing(arrow_rows.ahead(pieces)) as ready, raw.cursor() as cursor, cursor.copy(statement) as copy:
            for piece in ready:
                copy.write(piece)

    def _oids(self, names: Iterable[Any]) -> list[int]:
        """Return the numbers of the columns' types."""
        raw: Any = self.connection.connection
        with raw.cursor() as cursor:
            cursor.execute(f"SELECT {self._columns(names)} FROM {self.quoted} LIMIT 0")
            return [column.type_code for column in cursor.description]

    def _columns(self, names: Iterable[Any]) -> str:
        quote = self.connection.dialect.identifier_preparer.quote
        return ", ".join(quote(name) for name in self._matched([str(name) for name in names]))

    def _matched(self, names: list[str]) -> list[str]:
        import sqlalchemy  # noqa: PLC0415 - heavy

        schema = self.table.metadata.schema
        found = sqlalchemy.inspect(self.connection).get_columns(self.name, schema=schema.lower() if schema else None)
        of_table = [column["name"] for column in found]
        folded = {name.lower(): name for name in of_table}
        matched = [name if name in of_table else folded.get(name.lower()) for name in names]
        if None in matched:
            strange = [name for name, column in zip(names, matched, strict=True) if column is None]
            message = (
                f"{self.quoted}: no column for {', '.join(strange)} among {', '.join(of_table)}. Rule: rows are "
                "matched to columns by name. Remedy: rename the file's columns, or load with if_exists='replace'."
            )
            raise ValueError(message)
        return [name for name in matched if name is not None]


def _engine(database: Any) -> Engine:
    """Return an engine whose connections end where they are closed: no object of the SDK's ever disposes of a pool."""
    from sqlalchemy.pool import NullPool  # noqa: PLC0415 - heavy

    engine: Engine = database.hook.get_sqlalchemy_engine(engine_kwargs={"poolclass": NullPool})
    return engine


def _table_exists(database: Any, table: Any) -> bool:
    import sqlalchemy  # noqa: PLC0415 - heavy

    schema = table.metadata.schema
    return bool(
        sqlalchemy.inspect(database.sqlalchemy_engine).has_table(table.name, schema=schema.lower() if schema else None)
    )


def _create_schema_if_applicable(database: Any, schema: str | None, assume_exists: bool = False) -> None:  # noqa: FBT001, FBT002 - the SDK's signature
    """Create a schema that is not there; another task may create it at the same moment."""
    import sqlalchemy  # noqa: PLC0415 - heavy

    if assume_exists or not schema or database.schema_exists(schema):
        return
    with suppress(sqlalchemy.exc.IntegrityError), database.transaction() as connection:
        # both may find it missing; IF NOT EXISTS does not keep the second one from a duplicate key
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")


@contextmanager
def _replacing(database: Any, connection: Connection, table: Any) -> Iterator[str]:
    """Yield the name under which the new table is filled; at the end it takes the old one's place."""
    new = table.create_similar_table()
    yield new.name
    database.swap(connection, table, new)


def _swap(database: Any, connection: Connection, table: Any, new: Any) -> None:
    """Put a table in the place of another one; who replaces the same table meanwhile waits, and comes after."""
    lock = {"name": database.get_table_qualified_name(table).lower()}
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%(name)s))", lock)
    swap(database, connection, table, new)


def _merge_table(
    database: Any,
    source_table: Any,
    target_table: Any,
    source_to_target_columns_map: Mapping[str, str],
    target_conflict_columns: list[str],
    if_conflicts: str = "exception",
) -> None:
    """Merge a table's rows into another one: all of them or none."""
    quote = database.sqlalchemy_engine.dialect.identifier_preparer.quote_identifier
    sources = ", ".join(map(quote, source_to_target_columns_map))
    targets = [quote(name) for name in source_to_target_columns_map.values()]
    conflicts = ", ".join(map(quote, target_conflict_columns))
    updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in targets)
    actions = {
        "exception": "",
        "ignore": f" ON CONFLICT ({conflicts}) DO NOTHING",
        "update": f" ON CONFLICT ({conflicts}) DO UPDATE SET {updates}",
    }
    into, rows = (_quoted_name(quote, table) for table in (target_table, source_table))
    database.run_sql(
        sql=f"INSERT INTO {into} ({', '.join(targets)}) SELECT {sources} FROM {rows}{actions[if_conflicts]}"
    )


def _quoted_name(quote: Callable[[str], str], table: Any) -> str:
    schema = table.metadata.schema
    return f"{quote(schema)}.{quote(table.name)}" if schema else quote(table.name)
