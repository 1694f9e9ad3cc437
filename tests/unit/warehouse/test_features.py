"""Which months' features are due, and what building one leaves in the lake."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from include.core.errors import ArtifactError, FeatureCheckFailed
from include.core.lake import features_prefix, raw_prefix
from include.core.model_spec import MODELS_FOLDER, load_model_spec
from include.core.months import Month
from include.core.snapshots import read_snapshot, write_snapshot
from include.warehouse.features import build_month, due_months

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.core.lake import Lake
    from include.core.snapshots import Snapshot

SPEC = load_model_spec(MODELS_FOLDER / "flight_delay")
JANUARY, FEBRUARY = Month(2013, 1), Month(2013, 2)
ROWS = {JANUARY: 27004, FEBRUARY: 24951}


@pytest.fixture
def landed(lake: Lake, raw: Callable[[Month], Path]) -> Lake:
    """Return a lake in which January and February have landed."""
    for month in ROWS:
        land(lake, month, raw(month))
    return lake


def land(lake: Lake, month: Month, folder: Path, feed: str = "first") -> None:
    """Make a folder of tables the month's raw snapshot."""
    files = {}
    for table in ("flights", "weather"):
        path = folder / f"{table}.parquet"
        files[table] = (path, len(pd.read_parquet(path)))
    write_snapshot(lake, raw_prefix("flights", month), month, files, {"feed": feed})


def snapshot(lake: Lake, month: Month) -> Snapshot:
    """The month's features."""
    found = read_snapshot(lake, features_prefix("flight_delay", month))
    assert found is not None
    return found


def table(lake: Lake, month: Month, name: str) -> pd.DataFrame:
    """One of the two tables of a month's features."""
    content = lake.read_bytes(snapshot(lake, month).files[name].key)
    assert content is not None
    return pd.read_parquet(io.BytesIO(content))


def test_features_and_labels_of_real_months(landed: Lake) -> None:
    """Each flight has its features, in model.yaml's order; labels are those of flights that arrived; keys agree."""
    assert due_months(landed, SPEC) == [JANUARY, FEBRUARY]
    built = build_month(landed, SPEC, JANUARY)
    assert (built.month, built.rows, built.labelled, built.changed) == ("2013-01", 27004, 26398, True)
    assert due_months(landed, SPEC) == [FEBRUARY]
    features, labels = table(landed, JANUARY, "features"), table(landed, JANUARY, "labels")
    assert ["row_id", *SPEC.features.names] == list(features.columns)
    assert {"float64"} == {str(features[name].dtype) for name in SPEC.features.numeric}
    assert features["row_id"].is_unique
    assert features["row_id"].is_monotonic_increasing
    assert set(labels["row_id"]) <= set(features["row_id"])
    # FACTS of the data set: 22.7 percent of January's flights were late
    assert labels["label"].mean() == pytest.approx(0.227, abs=0.001)


def test_a_month_built_twice_changes_nothing(landed: Lake) -> None:
    """The second time says so; the manifest stays the very same object."""
    build_month(landed, SPEC, JANUARY)
    before = {key: landed.read_bytes(key) for key in landed.keys("features/")}
    assert not build_month(landed, SPEC, JANUARY).changed
    assert before == {key: landed.read_bytes(key) for key in landed.keys("features/")}


def test_features_are_made_the_same_way_in_every_lake(
    landed: Lake, s3_lakes: Callable[[], Lake], raw: Callable[[Month], Path]
) -> None:
    """Equal inputs give equal bytes."""
    other = s3_lakes()
    land(other, JANUARY, raw(JANUARY))
    build_month(landed, SPEC, JANUARY)
    build_month(other, SPEC, JANUARY)
    assert snapshot(landed, JANUARY).digest == snapshot(other, JANUARY).digest


def test_a_corrected_month_makes_itself_and_the_next_one_due(
    landed: Lake, raw: Callable[[Month], Path], tmp_path: Path
) -> None:
    """February's first flights look back into January."""
    for month in ROWS:
        build_month(landed, SPEC, month)
    assert due_months(landed, SPEC) == []
    shutil.copytree(raw(JANUARY), tmp_path, dirs_exist_ok=True)
    flights = pd.read_parquet(tmp_path / "flights.parquet")
    flights.loc[flights["day"] == 31, "dep_delay"] += 100
    flights.to_parquet(tmp_path / "flights.parquet", index=False)
    land(landed, JANUARY, tmp_path, feed="second")
    assert due_months(landed, SPEC) == [JANUARY, FEBRUARY]
    before = table(landed, FEBRUARY, "features").set_index("row_id")
    assert build_month(landed, SPEC, FEBRUARY).changed
    after = table(landed, FEBRUARY, "features").set_index("row_id")
    differ = before["carrier_mean_delay"].fillna(-1) != after["carrier_mean_delay"].fillna(-1)
    assert differ.any()
    assert set(before[differ].index.str[:10]) == {"2013-02-01"}


def test_other_sql_makes_every_month_due(landed: Lake, tmp_path: Path) -> None:
    """The SQL's own text is one of the inputs."""
    build_month(landed, SPEC, JANUARY)
    models = models_with(tmp_path, "-- changed\n", "")
    assert due_months(landed, SPEC, models) == [JANUARY, FEBRUARY]


def test_a_planted_arrival_delay_is_found_and_nothing_is_written(landed: Lake, tmp_path: Path) -> None:
    """The delay at arrival ranks the labels perfectly; the message names feature, value, bound and remedy."""
    models = models_with(tmp_path, "", "wanted.distance,", "COALESCE(wanted.arr_delay, 0) AS distance,")
    with pytest.raises(FeatureCheckFailed) as raised:
        build_month(landed, SPEC, JANUARY, models)
    assert str(raised.value).startswith(
        "include/models/flight_delay/features.sql for 2013-01: distance alone ranks the labels with ROC AUC 1.000. "
        "Rule: no single feature reaches ROC AUC 0.85"
    )
    assert list(landed.keys("features/")) == []


def test_sql_that_the_warehouse_refuses_is_named(landed: Lake, tmp_path: Path) -> None:
    """The database's own words are passed on."""
    models = models_with(tmp_path, "", "wanted.distance,", "wanted.speed,")
    with pytest.raises(FeatureCheckFailed, match=r"features\.sql for 2013-01: DuckDB refuses it: .*speed"):
        build_month(landed, SPEC, JANUARY, models)


def test_a_month_that_has_not_landed_cannot_be_built(landed: Lake) -> None:
    """The message names the month and where it was looked for."""
    with pytest.raises(ArtifactError, match=r"raw/flights/month=2013-03: the month has not landed"):
        build_month(landed, SPEC, Month(2013, 3))


def models_with(folder: Path, prefix: str, old: str, new: str = "") -> Path:
    """A folder of models whose flight_delay has another features.sql."""
    sql = (MODELS_FOLDER / "flight_delay" / "features.sql").read_text()
    assert old in sql
    (folder / "flight_delay").mkdir(exist_ok=True)
    (folder / "flight_delay" / "features.sql").write_text(prefix + (sql.replace(old, new) if old else sql))
    return folder
