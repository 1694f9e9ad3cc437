"""Real months as the lake holds them, and the flight delay model's features of any tables."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import duckdb
import pytest

from include.core.model_spec import MODELS_FOLDER
from include.core.source import load_source
from include.warehouse.duckdb_month import BUILT, SETTINGS, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd

    from include.core.lake import Lake
    from include.core.months import Month

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


def features_of(flights: pd.DataFrame, weather: pd.DataFrame, month: Month, sql: str = FEATURES_SQL) -> pd.DataFrame:
    """Run features.sql (or another one) over tables in memory; rows come ordered and named by row_id."""
    with plain_duckdb() as warehouse:
        given = {"flights": flights, "weather": weather}
        for name, rows in given.items():
            warehouse.register(f"given_{name}", rows)
        select = statement(month, sql, {name: [f"given_{name}"] for name in given})
        warehouse.execute(f"CREATE TABLE {BUILT} AS {select}")
        return warehouse.execute(f"SELECT * FROM {BUILT} ORDER BY row_id").df().set_index("row_id")
