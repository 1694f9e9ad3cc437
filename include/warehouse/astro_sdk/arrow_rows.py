"""Rows of CSV and Parquet files in batches, and batches as the CSV that Postgres' COPY takes.

Values become what pandas would have made of them: a NaN of a Parquet file is missing. What it does not do: types
without a plain counterpart in Postgres (lists, structs, maps, binary, unsigned 64 bits), for which ``column_types`` is
None.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet
import sqlalchemy
from pyarrow import types

from include.warehouse.astro_sdk.native import NULLS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

_BLOCK_BYTES = 8 << 20
_ROWS_AT_ONCE = 65_536
_KINDS = {
    "integer": pyarrow.int64(),
    "number": pyarrow.float64(),
    "boolean": pyarrow.bool_(),
    "text": pyarrow.string(),
}
_PLAIN: dict[Any, Any] = {
    pyarrow.int8(): sqlalchemy.SmallInteger(),
    pyarrow.uint8(): sqlalchemy.SmallInteger(),
    pyarrow.int16(): sqlalchemy.SmallInteger(),
    pyarrow.uint16(): sqlalchemy.Integer(),
    pyarrow.int32(): sqlalchemy.Integer(),
    pyarrow.uint32(): sqlalchemy.BigInteger(),
    pyarrow.int64(): sqlalchemy.BigInteger(),
    pyarrow.float32(): sqlalchemy.REAL(),
    pyarrow.float64(): sqlalchemy.Double(),
    pyarrow.bool_(): sqlalchemy.Boolean(),
    pyarrow.string(): sqlalchemy.Text(),
    pyarrow.large_string(): sqlalchemy.Text(),
    pyarrow.date32(): sqlalchemy.Date(),
}


class Counted:
    """Batches, and how many rows they had so far."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches, self.rows = batches, 0

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            self.rows += batch.num_rows
            yield batch


def of_csv(path: Path, kinds: dict[str, str]) -> Iterator[Any]:
    """Yield a CSV's rows, its columns in order and of these kinds."""
    with pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES, column_names=list(kinds), skip_rows=1),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: _KINDS[kind] for name, kind in kinds.items()},
            null_values=list(NULLS),
            strings_can_be_null=True,
            true_values=["True", "TRUE", "true"],
            false_values=["False", "FALSE", "false"],
        ),
    ) as batches:
        yield from batches


def of_parquet(path: Path, names: list[str]) -> Iterator[Any]:
    """Yield a Parquet file's rows."""
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=names):
            yield pyarrow.record_batch([_plain(column) for column in batch.columns], names=batch.schema.names)


def column_types(path: Path, names: list[str]) -> dict[str, Any] | None:
    """Return the SQL type of each column of a Parquet file, or None if one has no plain counterpart."""
    schema = pyarrow.parquet.read_schema(path)
    found = {name: _sql_type(schema.field(name).type) for name in names}
    return None if any(kind is None for kind in found.values()) else found


def ahead(pieces: Iterable[bytes]) -> Generator[bytes]:
    """Yield what another thread makes, which is one piece ahead."""
    end, source = b"", iter(pieces)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, source, end)
        while piece := coming.result():
            coming = thread.submit(next, source, end)
            yield piece


def as_csv(batch: Any) -> bytes:
    """Return a batch as CSV without a header; a missing value is an empty one without quotes."""
    sink = pyarrow.BufferOutputStream()
    pyarrow.csv.write_csv(batch, sink, pyarrow.csv.WriteOptions(include_header=False))
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _sql_type(kind: Any) -> Any:
    if types.is_dictionary(kind):
        return _sql_type(kind.value_type)
    if types.is_timestamp(kind):
        return sqlalchemy.DateTime(timezone=kind.tz is not None)
    if types.is_decimal(kind):
        return sqlalchemy.Numeric(kind.precision, kind.scale)
    return _PLAIN.get(kind)


def _plain(column: Any) -> Any:
    kind = column.type
    if types.is_dictionary(kind):
        return column.dictionary_decode()
    if types.is_decimal(kind):
        return column.cast(pyarrow.string())
    if types.is_floating(kind):
        return pyarrow.compute.if_else(pyarrow.compute.is_nan(column), None, column)
    return column
