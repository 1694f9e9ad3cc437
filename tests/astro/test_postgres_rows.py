"""Rows that reach Postgres in COPY's binary form are the file's rows: every type, missing values, empty texts.

A real server decodes them; what it gives back is compared with what was written into the file.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.warehouse.astro_sdk import postgres_rows
from tests.astro.test_loading import load, types

if TYPE_CHECKING:
    from pathlib import Path

    from tests.astro.conftest import Warehouse

# a Postgres server is in the environment of `make verify` only
pytestmark = pytest.mark.verify
postgres = pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)

at = datetime.fromisoformat
COLUMNS: dict[str, tuple[Any, str, list[Any]]] = {
    "i8": (pyarrow.int8(), "smallint", [-128, None, 127]),
    "u8": (pyarrow.uint8(), "smallint", [0, None, 255]),
    "i16": (pyarrow.int16(), "smallint", [-(2**15), None, 2**15 - 1]),
    "u16": (pyarrow.uint16(), "integer", [0, None, 2**16 - 1]),
    "i32": (pyarrow.int32(), "integer", [-(2**31), None, 2**31 - 1]),
    "u32": (pyarrow.uint32(), "bigint", [0, None, 2**32 - 1]),
    "i64": (pyarrow.int64(), "bigint", [-(2**63), None, 2**63 - 1]),
    "f32": (pyarrow.float32(), "real", [0.5, None, float("-inf")]),
    "f64": (pyarrow.float64(), "double precision", [0.1 + 0.2, None, 5e-324]),
    "yes": (pyarrow.bool_(), "boolean", [True, None, False]),
    "text": (pyarrow.string(), "text", ["", None, 'a,"b"\n\\N \u20ac\U0001f600']),
    "large": (pyarrow.large_string(), "text", ["NULL", None, "x" * 5000]),
    "kind": (pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), "text", ["p", None, "q"]),
    "day": (pyarrow.date32(), "date", [date(1, 1, 1), None, date(9999, 12, 31)]),
    "s": (
        pyarrow.timestamp("s"),
        "timestamp without time zone",
        [at("1969-12-31T23:59:59"), None, at("2026-01-01")],
    ),
    "us": (
        pyarrow.timestamp("us"),
        "timestamp without time zone",
        [at("1900-01-01T00:00:00.000001"), None, at("2026-01-01T00:00:00.999999")],
    ),
    "zone": (
        pyarrow.timestamp("us", "UTC"),
        "timestamp with time zone",
        [datetime(2026, 1, 1, tzinfo=UTC), None, datetime(1999, 12, 31, 23, 59, tzinfo=UTC)],
    ),
}


@postgres
def test_every_type(warehouse: Warehouse, tmp_path: Path) -> None:
    """Bounds, missing values and empty texts arrive as they are, in columns of the file's types."""
    table = pyarrow.table({name: pyarrow.array(values, kind) for name, (kind, _, values) in COLUMNS.items()})
    pq.write_table(table, tmp_path / "t.parquet")
    plain = [
        pyarrow.field(name, pyarrow.string() if name == "kind" else kind) for name, (kind, _, _) in COLUMNS.items()
    ]
    assert postgres_rows.oids(pyarrow.schema(plain)) is not None
    load(warehouse, tmp_path / "t.parquet", enable_native_fallback=False)

    rows = [tuple(values[number] for _, _, values in COLUMNS.values()) for number in range(3)]
    assert [sql for _, sql, _ in COLUMNS.values()] == types(warehouse)
    assert sorted(rows, key=str) == sorted(warehouse.content("t"), key=str)


@postgres
def test_nanoseconds_are_rounded(warehouse: Warehouse, tmp_path: Path) -> None:
    """Postgres keeps microseconds: what is between two is rounded, before 1970 too."""
    nanoseconds = [1_499, 1_501, -1_499, -1_501, 10**18 + 999_999]
    pq.write_table(
        pyarrow.table({"i": range(5), "at": pyarrow.array(nanoseconds, pyarrow.timestamp("ns"))}),
        tmp_path / "t.parquet",
    )
    load(warehouse, tmp_path / "t.parquet")

    start = at("1970-01-01")
    rounded = [1, 2, -1, -2, 10**15 + 1000]
    assert [(i, start + timedelta(microseconds=number)) for i, number in enumerate(rounded)] == warehouse.content("t")


@postgres
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.one_of(st.none(), st.floats(allow_nan=False)),
            st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
            st.one_of(st.none(), st.datetimes()),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_any_rows(warehouse: Warehouse, tmp_path: Path, rows: list[tuple[Any, ...]]) -> None:
    """Whatever the values, the rows that arrive are the file's."""
    kinds = {"i": pyarrow.int64(), "x": pyarrow.float64(), "s": pyarrow.string(), "at": pyarrow.timestamp("us")}
    columns = [
        pyarrow.array(values, kind) for values, kind in zip(zip(*rows, strict=True), kinds.values(), strict=True)
    ]
    pq.write_table(pyarrow.table(columns, names=list(kinds)), tmp_path / "t.parquet")
    load(warehouse, tmp_path / "t.parquet")

    assert sorted(rows, key=repr) == sorted(warehouse.content("t"), key=repr)


@postgres
def test_texts_of_very_different_length(warehouse: Warehouse, tmp_path: Path) -> None:
    """One text of a megabyte among many short ones: the batch is halved, and all arrive."""
    texts = [str(number) for number in range(5000)]
    texts[1234] = "y" * 1_000_000
    pq.write_table(pyarrow.table({"i": range(5000), "s": texts}), tmp_path / "t.parquet")
    batch = pyarrow.record_batch({"i": range(5000), "s": texts})
    assert len(list(postgres_rows.messages([batch]))) > 3
    load(warehouse, tmp_path / "t.parquet")

    assert list(enumerate(texts)) == warehouse.content("t")


@postgres
def test_columns_of_another_type(warehouse: Warehouse, tmp_path: Path) -> None:
    """Rows for a table whose columns have other types go as CSV, which Postgres converts."""
    warehouse.execute(
        f"CREATE SCHEMA {warehouse.schema}", f"CREATE TABLE {warehouse.named('t')} (i numeric(5, 1), s varchar(5))"
    )
    pq.write_table(
        pyarrow.table({"s": ["", None], "i": pyarrow.array([1, None], pyarrow.int32())}), tmp_path / "t.parquet"
    )
    load(warehouse, tmp_path / "t.parquet", if_exists="append")

    assert [(1, ""), (None, None)] == warehouse.content("t")


@postgres
def test_a_csv_keeps_quoted_text_and_missing_values_apart_as_before(warehouse: Warehouse, tmp_path: Path) -> None:
    """CSV goes in binary form too: an empty field is missing, with quotes or without, as for pandas."""
    (tmp_path / "t.csv").write_text('i,s\n1,""\n2,\n3,"a ""b"""\n')
    load(warehouse, tmp_path / "t.csv")

    assert [(1, None), (2, None), (3, 'a "b"')] == warehouse.content("t")
