"""What passes through XCom comes back as it was."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import serde
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from include.core.errors import AstroSdkRefused
from include.warehouse.astro_sdk.xcoms import allow_through_xcom

from astro.constants import FileType
from astro.dataframes.pandas import PandasDataframe
from astro.files import File
from astro.sql.operators.raw_sql import RawSQLOperator, SdkLegacyRow
from astro.table import Metadata, Table


def through_xcom(value: Any) -> Any:
    """Send a value through Airflow's serialisation and JSON."""
    return serde.deserialize(json.loads(json.dumps(serde.serialize(value))))


@pytest.mark.parametrize("name", ["t", ""])
def test_tables(name: str) -> None:
    """A table keeps its name; a temporary one that was used too."""
    table = Table(name, conn_id="c", metadata=Metadata(schema="s", database="d"))
    used = table.name
    back = through_xcom(table)

    assert (used, "c", "s", "d", not name) == (
        back.name,
        back.conn_id,
        back.metadata.schema,
        back.metadata.database,
        back.temp,
    )


def test_files() -> None:
    """A file keeps its type, also one that its name does not tell."""
    back = through_xcom([File("s3://b/data", conn_id="c", filetype=FileType.PARQUET)])[0]

    assert ("s3://b/data", "c", FileType.PARQUET) == (back.path, back.conn_id, back.filetype)


def test_what_a_deployment_has_to_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Airflow leaves it to the deployment, a class that it does not allow is refused at import."""
    monkeypatch.delattr(serde, "allow_class", raising=False)
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", "airflow.* astro.*")
    allow_through_xcom(Table)
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", "airflow.*")
    with pytest.raises(AstroSdkRefused, match=r"ALLOWED_DESERIALIZATION_CLASSES=.airflow\.\* astro\.\*"):
        allow_through_xcom(Table)


def test_frames_keep_their_types() -> None:
    """Leading zeros, dates, missing integers and the index; upstream's JSON lost each of them."""
    frame = PandasDataframe(
        {
            "zip": ["00123", None],
            "at": pd.to_datetime(["2020-01-02", None]),
            "n": pd.array([1, None], dtype="Int64"),
            "many": [[1, 2], [3]],
        },
        index=[5, 7],
    )
    back = through_xcom(frame)

    assert PandasDataframe is type(back)
    assert ["00123"] == back["zip"].dropna().tolist()
    assert_frame_equal(pd.DataFrame(frame)[["at", "n"]], pd.DataFrame(back)[["at", "n"]])


def test_frames_that_parquet_refuses() -> None:
    """A column of mixed types goes as JSON, as upstream."""
    back = through_xcom(PandasDataframe({"mixed": [1, "a"]}))

    assert [1, "a"] == back["mixed"].tolist()


def test_frames_that_are_too_large() -> None:
    """Airflow's metadata database is spared; the error says what to do."""
    with pytest.raises(AstroSdkRefused, match="XComObjectStorageBackend"):
        through_xcom(PandasDataframe({"a": range(20_000)}))


# Airflow keeps a time as a number of seconds, which is exact to the microsecond only near the present
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.text(),
    st.integers(0, 2**31).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}_x", fullmatch=True), values, min_size=1, max_size=4))
def test_rows(content: dict[str, Any]) -> None:
    """A row keeps its values and its columns' names, through XCom, pickle and Airflow's rendering."""
    row = SdkLegacyRow.of(content.keys(), content.values())
    for back in (through_xcom(row), pickle.loads(pickle.dumps(row)), type(row)(*row)):  # noqa: S301 - its own
        assert tuple(content.values()) == back
        assert content == dict(back.items())
        assert all(content[name] == back[name] == getattr(back, name) for name in content)


def test_a_column_that_a_row_lacks() -> None:
    """It is an error, as with any mapping or object."""
    row = SdkLegacyRow.of(["a"], [datetime(2020, 1, 1, tzinfo=UTC)])

    with pytest.raises(KeyError):
        row["b"]
    with pytest.raises(AttributeError):
        row.b  # noqa: B018 - the lookup is the test


class _Result:
    """A result with so many rows."""

    returns_rows = True

    def __init__(self, rowcount: int) -> None:
        self.rowcount = rowcount


def test_handlers_errors() -> None:
    """A handler's error is None for a query without rows, and an error for one with rows or with `fail_on_empty`."""

    def fails(result: _Result) -> None:
        raise LookupError(str(result.rowcount))

    assert RawSQLOperator.get_wrapped_handler(False, fails)(_Result(0)) is None  # noqa: FBT003 - the SDK's signature
    with pytest.raises(LookupError):
        RawSQLOperator.get_wrapped_handler(False, fails)(_Result(1))  # noqa: FBT003 - the SDK's signature
    with pytest.raises(LookupError):
        RawSQLOperator.get_wrapped_handler(True, fails)(_Result(0))  # noqa: FBT003 - the SDK's signature
