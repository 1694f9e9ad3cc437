"""Loading files and dataframes into tables: completely or not at all.

Upstream drops the old table, makes the new one and fills it, each in a transaction of its own: a crash in the middle
leaves half a table (astro-sdk#1816). Here all of it is one transaction, on each of the three engines; a rerun gives the
same table. The columns' types come from the first file's first rows (``load_table_autodetect_rows_count``), as
upstream; files of a pattern are loaded in the order of their names.

How a file is loaded: natively, by the engine's own reader, where the engine has one for it (``native``) and
``use_native_support`` is on; else as a dataframe. What the native reader refuses is loaded as a dataframe if
``enable_native_fallback`` is on, which is ``load_file``'s default, and the log says so.

What it does not do: remember what was appended. A task that appends, and runs twice, appends twice.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from include.warehouse.astro_sdk.on_import import put
from include.warehouse.astro_sdk.tables import fresh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from sqlalchemy.engine import Connection

logger = logging.getLogger(__name__)


def change_load_file(module: ModuleType) -> None:
    """Change ``astro.sql.operators.load_file``."""
    upstream = module.LoadFileOperator

    class LoadFileOperator(upstream):  # type: ignore[misc, valid-type] # the SDK carries no types
        """As upstream's, which see."""

        def __init__(self, input_file: Any, output_table: Any = None, **kwargs: Any) -> None:
            super().__init__(input_file=input_file, output_table=fresh(output_table), **kwargs)

        @staticmethod
        def _populate_normalize_config(*args: Any, **kwargs: Any) -> dict[str, str]:
            # pandas 3 gives it to every column, earlier ones to those below a record_path, which the SDK never sets
            config = upstream._populate_normalize_config(*args, **kwargs)  # noqa: SLF001 - what changes
            return {key: value for key, value in config.items() if key != "record_prefix"}

    put(module, LoadFileOperator, upstream)


class Target(ABC):
    """A table that is being filled, inside the transaction that makes it whole.

    Args:
        database: The SDK's database.
        connection: A connection in a transaction.
        table: The SDK's table.
        name: The name under which it is filled.
        is_new: It is to be created by what comes first.
    """

    def __init__(self, database: Any, connection: Connection, table: Any, name: str, *, is_new: bool) -> None:
        self.database, self.connection, self.table, self.name, self.is_new = database, connection, table, name, is_new

    def prepare(self, frame: Any) -> None:
        """Create the table, if it is new, with its own columns or the frame's."""
        from include.warehouse.astro_sdk.statements import create_empty_table  # noqa: PLC0415 - circular otherwise

        if not self.is_new:
            return
        if self.table.columns:
            import sqlalchemy  # noqa: PLC0415 - heavy

            metadata = self.table.sqlalchemy_metadata
            metadata.create_all(self.connection, tables=[sqlalchemy.Table(self.name, metadata, *self.own_columns())])
        else:
            create_empty_table(self.connection, self.table, frame, name=self.name)
        self.is_new = False

    def own_columns(self) -> list[Any]:
        """Return the columns that the SDK's table names, as columns that belong to no table yet."""
        return [column._copy() for column in self.table.columns]  # noqa: SLF001 - a column has one table

    @property
    def quoted(self) -> str:
        """The table's name, with its schema, as SQL."""
        quote = self.connection.dialect.identifier_preparer.quote_identifier
        schema = self.table.metadata.schema if self.has_schemas else None
        return f"{quote(schema.lower())}.{quote(self.name)}" if schema else quote(self.name)

    has_schemas = False

    def add(self, frame: Any) -> None:
        """Append a frame's rows.

        Raises:
            ValueError: it has none.
        """
        self.database._assert_not_empty_df(frame)  # noqa: SLF001 - upstream's own check
        self.prepare(frame)
        self.insert(frame)

    @abstractmethod
    def insert(self, frame: Any) -> None:
        """Append a frame's rows to the table, which is there."""

    def reader(self, file: Any) -> Callable[[], int] | None:  # noqa: ARG002 - for engines to override
        """Return what loads a file natively and gives the number of its rows, or None."""
        return None

    @property
    def native_errors(self) -> tuple[type[Exception], ...]:
        """What a native reader raises for a file that it cannot read."""
        return ()


def make_atomic(kind: Any, target: type[Target]) -> None:
    """Give an SDK's database class the loading of this module."""
    kind.target_class = target
    kind.target = in_transaction
    kind.load_file_to_table = load_file_to_table
    kind.load_pandas_dataframe_to_table = load_pandas_dataframe_to_table


@contextmanager
def in_transaction(database: Any, table: Any, if_exists: str) -> Iterator[Target]:
    """Yield the table to fill, in place of the one that is there or behind its rows.

    Raises:
        ValueError: ``if_exists`` is none of replace, append and fail, or is fail and the table exists.
    """
    if if_exists not in {"replace", "append", "fail"}:
        message = f"if_exists is {if_exists!r}. Rule: replace, append or fail. Remedy: choose one."
        raise ValueError(message)
    exists = database.table_exists(table)
    if if_exists == "fail" and exists:
        message = f"the table {database.get_table_qualified_name(table)} exists and if_exists is 'fail'"
        raise ValueError(message)
    with database.transaction() as connection:
        if if_exists == "append" and exists:
            yield database.target_class(database, connection, table, table.name.lower(), is_new=False)
        else:
            with database.replacing(connection, table) as name:
                yield database.target_class(database, connection, table, name, is_new=True)


def load_pandas_dataframe_to_table(
    database: Any,
    source_dataframe: Any,
    target_table: Any,
    if_exists: str = "replace",
    chunk_size: int = 0,  # noqa: ARG001 - the SDK's signature
) -> None:
    """Load a dataframe's rows into a table.

    Raises:
        ValueError: the dataframe is empty.
    """
    database._assert_not_empty_df(source_dataframe)  # noqa: SLF001 - upstream's own check
    database.create_schema_if_applicable(target_table.metadata.schema)
    with database.target(target_table, if_exists) as target:
        target.add(source_dataframe)


def load_file_to_table(
    database: Any,
    input_file: Any,
    output_table: Any,
    normalize_config: dict[str, str] | None = None,
    if_exists: str = "replace",
    chunk_size: int = 0,  # noqa: ARG001 - the SDK's signature
    use_native_support: bool = True,  # noqa: FBT001, FBT002 - the SDK's signature
    native_support_kwargs: dict[str, Any] | None = None,  # noqa: ARG001 - the SDK's signature; no engine here has any
    columns_names_capitalization: str = "original",  # noqa: ARG001 - upstream does not use it for tables either
    enable_native_fallback: bool | None = False,  # noqa: FBT001, FBT002 - the SDK's signature
    assume_schema_exists: bool = False,  # noqa: FBT001, FBT002 - the SDK's signature
    **kwargs: Any,  # noqa: ARG001 - what other databases need
) -> None:
    """Load a file, or all files of a pattern, into a table.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file has no rows.
    """
    from astro.files import resolve_file_path_pattern  # noqa: PLC0415 - astro is imported when it is used

    files = resolve_file_path_pattern(
        input_file.path,
        input_file.conn_id,
        normalize_config=normalize_config or {},
        filetype=input_file.type.name,
        load_options=input_file.load_options,
    )
    files = sorted(files, key=lambda file: str(file.path))
    database.create_schema_if_applicable(output_table.metadata.schema, assume_schema_exists)
    if use_native_support and _load_natively(
        database, files, output_table, if_exists, fall_back=bool(enable_native_fallback)
    ):
        return
    with database.target(output_table, if_exists) as target:
        for file in files:
            target.add(database.get_dataframe_from_file(file))


def _load_natively(database: Any, files: list[Any], table: Any, if_exists: str, *, fall_back: bool) -> bool:
    """Load files by the engine's own reader, and say whether that was done."""
    errors: tuple[type[Exception], ...] = ()
    try:
        with database.target(table, if_exists) as target:
            errors = target.native_errors
            for file in files:
                _read(target, file)
    except _NotNative:
        return False
    except errors as error:
        if not fall_back:
            raise
        logger.warning("The database's own reader refuses the file, so pandas reads it: %s", error)
        return False
    return True


def _read(target: Target, file: Any) -> None:
    read = target.reader(file)
    if read is None:
        raise _NotNative
    if read() == 0:
        message = "Can't load empty dataframe"
        raise ValueError(message)


class _NotNative(Exception):
    """A file has no native reader: the transaction is rolled back and the next way is tried."""
