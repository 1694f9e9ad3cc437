"""Real months as the lake holds them, and the flight delay model's features of any tables."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import pytest

from include.core.lake import raw_prefix
from include.core.model_spec import MODELS_FOLDER
from include.core.months import Month
from include.core.snapshots import write_snapshot
from include.core.source import load_source
from include.warehouse.duckdb_month import BUILT, SETTINGS, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.core.lake import Lake

FEATURES_SQL = (MODELS_FOLDER / "flight_delay" / "features.sql").read_text()


@pytest.fixture(scope="session")
def raw(delivered: Callable[[Month], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[Month], Path]:
    """Return a function that gives the folder of a real month's typed tables; do not change its files."""

    @cache
    def read(month: Month) -> Path:
        folder = tmp_path_factory.mktemp(f"raw-{month}")
        assert not load_source("flights").read_month(delivered(month), month, folder).violations
        return folder

    return read


@contextmanager
def plain_duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB in memory that is set as the warehouse is."""
    with duckdb.connect() as connection:
        for setting in SETTINGS:
            connection.execute(setting)
        yield connection


@pytest.fixture
def airflow_environment(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The connections and the variable that the feature stage reads; return the path of the warehouse's file."""
    objects = {
        "conn_type": "aws",
        "login": "test",
        "password": "test",
        "extra": {"endpoint_url": lake.client.meta.endpoint_url, "region_name": "us-east-1"},
    }
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("AIRFLOW_CONN_FLIGHTDECK_AWS", json.dumps(objects))
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(file)}))
    monkeypatch.setenv("AIRFLOW_VAR_LAKE_URI", lake.root)
    return file


@pytest.fixture(scope="session")
def first_and_last_days(
    raw: Callable[[Month], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Month], Path]:
    """Return a function that gives a month of four days: enough for every rule, and quickly built."""

    @cache
    def reduce(month: Month) -> Path:
        folder = tmp_path_factory.mktemp(f"few-{month}")
        for name in ("flights", "weather"):
            rows = pd.read_parquet(raw(month) / f"{name}.parquet", dtype_backend="pyarrow")
            rows[rows["day"].isin([1, 2, rows["day"].max() - 1, rows["day"].max()])].to_parquet(
                folder / f"{name}.parquet", index=False
            )
        return folder

    return reduce


@pytest.fixture
def few(lake: Lake, first_and_last_days: Callable[[Month], Path]) -> Lake:
    """Return a lake in which the first and last days of January and February have landed."""
    for month in (Month(2013, 1), Month(2013, 2)):
        land(lake, month, first_and_last_days(month))
    return lake


def land(lake: Lake, month: Month, folder: Path, feed: str = "first") -> None:
    """Make a folder of tables the month's raw snapshot."""
    files = {}
    for table in ("flights", "weather"):
        path = folder / f"{table}.parquet"
        files[table] = (path, len(pd.read_parquet(path)))
    write_snapshot(lake, raw_prefix("flights", month), month, files, {"feed": feed})


def features_of(flights: pd.DataFrame, weather: pd.DataFrame, month: Month, sql: str = FEATURES_SQL) -> pd.DataFrame:
    """Run features.sql (or another one) over tables in memory; rows come ordered and named by row_id."""
    with plain_duckdb() as warehouse:
        given = {"flights": flights, "weather": weather}
        for name, rows in given.items():
            warehouse.register(f"given_{name}", rows)
        select = statement(month, sql, {name: [f"given_{name}"] for name in given})
        warehouse.execute(f"CREATE TABLE {BUILT} AS {select}")
        return warehouse.execute(f"SELECT * FROM {BUILT} ORDER BY row_id").df().set_index("row_id")
