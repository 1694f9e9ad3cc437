"""How files are loaded: the same rows and types as upstream's, by the database's own reader where it has one."""

# annotations are real objects here: the SDK's decorators look for `pd.DataFrame`
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import DAG
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, Text

from tests.astro.conftest import Warehouse
from tests.astro.runs import Run

from astro import sql as aql
from astro.dataframes.load_options import PandasLoadOptions
from astro.files import File


def load(warehouse: Warehouse, path: Path | str, name: str = "t", table: Any = None, **arguments: Any) -> None:
    """Load a file into a table."""
    with DAG("d") as dag:
        aql.load_file(
            File(str(path), filetype=arguments.pop("filetype", None)),
            table or warehouse.table(name),
            task_id="load",
            **arguments,
        )
    Run(dag).all()


def types(warehouse: Warehouse, name: str = "t") -> list[str]:
    """Return the types of a table's columns, in lower case."""
    if warehouse.engine == "sqlite":
        return [kind.lower() for _, _, kind, *_ in warehouse.rows(f"PRAGMA table_info({name})")]
    return [
        kind.lower()
        for (kind,) in warehouse.rows(
            f"SELECT data_type FROM information_schema.columns WHERE table_name = '{name}' "
            f"AND table_schema = '{warehouse.schema or 'main'}' ORDER BY ordinal_position"
        )
    ]


TYPES = {
    "sqlite": ["bigint", "float", "text", "boolean", "text"],
    "duckdb": ["bigint", "double", "varchar", "boolean", "varchar"],
    "postgres": ["bigint", "double precision", "text", "boolean", "text"],
}


@pytest.mark.parametrize("native", [True, False])
def test_types_and_missing_values_of_csv(warehouse: Warehouse, tmp_path: Path, native: bool) -> None:  # noqa: FBT001 - a table's column
    """Types are pandas' for the first rows; what pandas takes for missing is NULL, a quoted comma is text."""
    (tmp_path / "t.csv").write_text(
        'i,x,s,b,d\n1,0.1,"a, ""b""",True,2020-01-02\n\n2,NA,N/A,False,\n3,1e300,\u00e4\u20ac,True,null\n'
    )
    load(warehouse, tmp_path / "t.csv", use_native_support=native)

    assert [
        (1, 0.1, 'a, "b"', True, "2020-01-02"),
        (2, None, None, False, None),
        (3, 1e300, "\u00e4\u20ac", True, None),
    ] == warehouse.content("t")
    assert TYPES[warehouse.engine] == types(warehouse)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(-(2**60), 2**60),
            st.floats(allow_nan=False, allow_infinity=False),
            st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_native_readers_give_what_pandas_gives(
    warehouse: Warehouse, tmp_path: Path, rows: list[tuple[int, float, str | None]]
) -> None:
    """For any integers, numbers and texts a CSV is the same table by either way.

    Numbers up to the last bit: pandas' parser is not exact there, the databases' are.
    """
    pd.DataFrame(rows, columns=["i", "x", "s"]).to_csv(tmp_path / "t.csv", index=False)
    load(warehouse, tmp_path / "t.csv", "by_reader")
    load(warehouse, tmp_path / "t.csv", "by_pandas", use_native_support=False)

    by_pandas, by_reader = (warehouse.content(name, "i, x, s") for name in ("by_pandas", "by_reader"))
    assert [(i, pytest.approx(x, rel=1e-14), s) for i, x, s in by_pandas] == by_reader


def test_parquet_keeps_its_types(warehouse: Warehouse, tmp_path: Path) -> None:
    """Integers, dates and times of Parquet stay what they are; a NaN and a missing value are NULL."""
    frame = pd.DataFrame(
        {
            "i": pd.array([1, 2], dtype="int32"),
            "x": [0.5, float("nan")],
            "s": ["a", None],
            "at": pd.to_datetime(["2020-01-02 03:04:05", None]),
        },
        index=pd.Index(["p", "q"], name="label"),
    )
    frame.to_parquet(tmp_path / "t.parquet")
    load(warehouse, tmp_path / "t.parquet")

    content = warehouse.content("t")
    assert [(1, 0.5, "a"), (2, None, None)] == [row[:3] for row in content]
    assert ["2020-01-02 03:04:05", "None"] == [str(row[3]).partition(".")[0] for row in content]


def test_parquet_with_a_list_goes_by_pandas(warehouse: Warehouse, tmp_path: Path) -> None:
    """What Postgres has no plain type for is loaded as upstream does; DuckDB reads it itself."""
    pd.DataFrame({"i": [1], "many": [[1, 2]]}).to_parquet(tmp_path / "t.parquet")
    load(warehouse, tmp_path / "t.parquet")

    assert [(1,)] == warehouse.rows(f"SELECT i FROM {warehouse.named('t')}")


@pytest.mark.parametrize("native", [True, False])
def test_append_matches_columns_by_name(warehouse: Warehouse, tmp_path: Path, native: bool) -> None:  # noqa: FBT001 - a table's column
    """A file whose columns have another order appends to the right ones."""
    (tmp_path / "a.csv").write_text("id,name\n1,x\n")
    (tmp_path / "b.csv").write_text("name,id\ny,2\n")
    load(warehouse, tmp_path / "a.csv")
    load(warehouse, tmp_path / "b.csv", if_exists="append", use_native_support=native)

    assert [(1, "x"), (2, "y")] == warehouse.content("t")


def test_append_of_a_strange_column_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    """A column that the table lacks is an error, and nothing is appended."""
    (tmp_path / "a.csv").write_text("id,name\n1,x\n")
    (tmp_path / "b.csv").write_text("id,nome\n2,y\n")
    load(warehouse, tmp_path / "a.csv")
    with pytest.raises(Exception, match="nome"):
        load(warehouse, tmp_path / "b.csv", if_exists="append")

    assert [(1, "x")] == warehouse.content("t")


def test_replace_and_rerun(warehouse: Warehouse, tmp_path: Path) -> None:
    """A load replaces the table with its columns; the same load again gives the same table."""
    (tmp_path / "a.csv").write_text("id,name\n1,x\n")
    (tmp_path / "b.csv").write_text("other,id\n5,2\n")
    load(warehouse, tmp_path / "a.csv")
    for _ in range(2):
        load(warehouse, tmp_path / "b.csv")
        assert [(5, 2)] == warehouse.content("t")
    assert {"t"} == warehouse.tables()


def test_if_exists_fail(warehouse: Warehouse, tmp_path: Path) -> None:
    """`fail`, which load_file's documentation names, fails; upstream appended."""
    (tmp_path / "a.csv").write_text("id,name\n1,x\n")
    load(warehouse, tmp_path / "a.csv", if_exists="fail")
    with pytest.raises(ValueError, match="exists"):
        load(warehouse, tmp_path / "a.csv", if_exists="fail")

    assert [(1, "x")] == warehouse.content("t")


def test_files_of_a_pattern(warehouse: Warehouse, tmp_path: Path) -> None:
    """All files of a pattern are one table; one that cannot be read leaves the old table."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.csv").write_text(f"id,name\n{number},x\n")
    load(warehouse, folder / "*.csv")
    assert [(0, "x"), (1, "x"), (2, "x")] == warehouse.content("t")

    (folder / "9.csv").write_text("id,name\n")
    with pytest.raises(ValueError, match="empty"):
        load(warehouse, folder / "*.csv")
    assert [(0, "x"), (1, "x"), (2, "x")] == warehouse.content("t")


def test_an_empty_file_leaves_the_old_table(warehouse: Warehouse, tmp_path: Path) -> None:
    """A file without rows is an error, as upstream; but the old table is not dropped before."""
    (tmp_path / "a.csv").write_text("id,name\n1,x\n")
    (tmp_path / "empty.csv").write_text("id,name\n")
    load(warehouse, tmp_path / "a.csv")
    with pytest.raises(ValueError, match="empty"):
        load(warehouse, tmp_path / "empty.csv")

    assert [(1, "x")] == warehouse.content("t")


@pytest.mark.parametrize(
    "warehouse", ["duckdb", pytest.param("postgres", marks=pytest.mark.verify)], indirect=True
)  # SQLite has no reader of its own
def test_fallback_is_asked_for_and_said(warehouse: Warehouse, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A text among numbers after the first rows fails the native load, or goes by pandas with a warning."""
    lines = [f"{number},x" for number in range(1500)]
    (tmp_path / "t.csv").write_text("\n".join(["id,name", *lines, "many,x"]) + "\n")
    with pytest.raises(Exception, match="many"):
        load(warehouse, tmp_path / "t.csv", enable_native_fallback=False)
    assert set() == warehouse.tables()

    with caplog.at_level(logging.WARNING):
        load(warehouse, tmp_path / "t.csv")
    assert "pandas reads it" in caplog.text
    assert [(1501, 1)] == warehouse.rows(
        f"SELECT COUNT(*), SUM(CASE WHEN id = 'many' THEN 1 ELSE 0 END) FROM {warehouse.named('t')}"
    )


def test_a_table_with_columns_of_its_own(warehouse: Warehouse, tmp_path: Path) -> None:
    """The columns that a Table names are the table's."""
    (tmp_path / "t.csv").write_text("id,name\n1,7\n2,8\n")
    columns = [Column("id", Integer, primary_key=True), Column("name", Text)]
    load(warehouse, tmp_path / "t.csv", table=warehouse.table("t", columns=columns))

    assert [(1, "7"), (2, "8")] == warehouse.content("t")


def test_load_options(warehouse: Warehouse, tmp_path: Path) -> None:
    """A file that is read with options is read by pandas, with these options."""
    (tmp_path / "t.csv").write_text("id;name\n1;007\n")
    options = PandasLoadOptions(delimiter=";", dtype={"name": "str"})
    load(warehouse, tmp_path / "t.csv", load_options=options)

    assert [(1, "007")] == warehouse.content("t")


def test_compressed_csv(warehouse: Warehouse, tmp_path: Path) -> None:
    """A compressed file is decompressed by its name's ending."""
    from astro.constants import FileType  # noqa: PLC0415 - a constant of this test

    pd.DataFrame({"id": [1], "name": ["x"]}).to_csv(tmp_path / "t.csv.gz", index=False)
    load(warehouse, tmp_path / "t.csv.gz", filetype=FileType.CSV)

    assert [(1, "x")] == warehouse.content("t")


@pytest.mark.parametrize("rows", [70_000])
def test_many_rows_and_columns(warehouse: Warehouse, tmp_path: Path, rows: int) -> None:
    """More values than a statement may have parameters; upstream failed on SQLite."""
    frame = pd.DataFrame({f"c{number}": range(rows) for number in range(4)})
    frame.to_parquet(tmp_path / "t.parquet")
    load(warehouse, tmp_path / "t.parquet")

    assert [(rows, rows * (rows - 1) // 2)] == warehouse.rows(f"SELECT COUNT(*), SUM(c3) FROM {warehouse.named('t')}")
