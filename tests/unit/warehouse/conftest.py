"""Real months as the lake holds them, and the flight delay model's features of any tables."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from include.core.model_spec import MODELS_FOLDER
from include.core.source import load_source
from include.warehouse.duckdb_month import BUILT, build, connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

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


def features_of(flights: pd.DataFrame, weather: pd.DataFrame, month: Month, sql: str = FEATURES_SQL) -> pd.DataFrame:
    """Run features.sql (or another one) over tables in memory; rows come ordered and named by row_id."""
    with connect() as warehouse:
        for name, rows in (("flights", flights), ("weather", weather)):
            warehouse.register(f"given_{name}", rows)
            warehouse.execute(f"CREATE TABLE {name} AS SELECT * FROM given_{name}")
        build(warehouse, month, sql, "features.sql")
        return warehouse.execute(f"SELECT * FROM {BUILT} ORDER BY row_id").df().set_index("row_id")
