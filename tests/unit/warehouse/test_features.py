"""Which months' features are due, and what building one leaves in the lake."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException

import include.warehouse.astro_sdk  # noqa: F401 - before astro
from include.core.errors import ArtifactError, AstroSdkRefused, FeatureCheckFailed
from include.core.lake import features_prefix, raw_prefix
from include.core.model_spec import MODELS_FOLDER, load_model_spec
from include.core.months import Month
from include.core.snapshots import read_snapshot
from include.warehouse.duckdb_month import BUILT, statement, write_features, write_labels
from include.warehouse.features import due_months
from include.warehouse.features_operator import FeaturesOperator
from tests.astro.runs import Run
from tests.unit.warehouse.conftest import land, plain_duckdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from include.core.lake import Lake
    from include.core.snapshots import Snapshot

SPEC = load_model_spec(MODELS_FOLDER / "flight_delay")
JANUARY, FEBRUARY = Month(2013, 1), Month(2013, 2)
ROWS = {JANUARY: 27004, FEBRUARY: 24951}
# of the first and the last two days
FEW = {"2013-01": 3613, "2013-02": 3517}


pytestmark = pytest.mark.usefixtures("airflow_environment")


@pytest.fixture
def landed(lake: Lake, raw: Callable[[Month], Path]) -> Lake:
    """Return a lake in which January and February have landed."""
    for month in ROWS:
        land(lake, month, raw(month))
    return lake


def build_month(month: Month, models: Path = MODELS_FOLDER) -> dict[str, Any]:
    """Run the operator; return what it passes on."""
    with DAG("features", schedule=None) as dag:
        FeaturesOperator(task_id="build", model="flight_delay", month=str(month), models=str(models))
    built: dict[str, Any] = Run(dag).task("build")
    return built


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


def in_the_warehouse(file: Path, query: str = "SELECT * FROM features_flight_delay ORDER BY row_id") -> pd.DataFrame:
    """Return a query's rows, over a connection that is not the SDK's."""
    with duckdb.connect(str(file), read_only=True) as warehouse:
        return warehouse.execute(query).df()


def tables_in_the_warehouse(file: Path) -> list[str]:
    """Return the names of all tables."""
    return in_the_warehouse(file, "SELECT table_name FROM information_schema.tables")["table_name"].tolist()


def test_features_and_labels_of_real_months(landed: Lake) -> None:
    """Each flight has its features, in model.yaml's order; labels are those of flights that arrived; keys agree."""
    assert due_months(landed, SPEC) == [JANUARY, FEBRUARY]
    assert build_month(JANUARY) == {
        "month": "2013-01",
        "rows": 27004,
        "labelled": 26398,
        "uri": landed.uri("features/flight_delay/month=2013-01/manifest.json"),
    }
    assert due_months(landed, SPEC) == [FEBRUARY]
    features, labels = table(landed, JANUARY, "features"), table(landed, JANUARY, "labels")
    assert ["row_id", *SPEC.features.names] == list(features.columns)
    assert {"float64"} == {str(features[name].dtype) for name in SPEC.features.numeric}
    assert features["row_id"].is_unique
    assert features["row_id"].is_monotonic_increasing
    assert set(labels["row_id"]) <= set(features["row_id"])
    # FACTS of the data set: 22.7 percent of January's flights were late
    assert labels["label"].mean() == pytest.approx(0.227, abs=0.001)


def test_the_astro_sdk_changes_no_byte(landed: Lake, raw: Callable[[Month], Path], tmp_path: Path) -> None:
    """The files are those of a DuckDB without the SDK that reads the same raw files: of February, which looks back."""
    build_month(FEBRUARY)
    tables = {
        name: [f"{name}_{number}" for number, _ in enumerate((JANUARY, FEBRUARY))] for name in ("flights", "weather")
    }
    features, labels = tmp_path / "features.parquet", tmp_path / "labels.parquet"
    with plain_duckdb() as plain:
        for name, parts in tables.items():
            for part, month in zip(parts, (JANUARY, FEBRUARY), strict=True):
                plain.execute(f"CREATE TABLE {part} AS SELECT * FROM read_parquet('{raw(month) / name}.parquet')")
        sql = (MODELS_FOLDER / "flight_delay" / "features.sql").read_text()
        plain.execute(f"CREATE TABLE {BUILT} AS {statement(FEBRUARY, sql, tables)}")
        rows = write_features(plain, SPEC.features, features), write_labels(plain, SPEC.objective, labels)
    files = snapshot(landed, FEBRUARY).files
    assert (24951, 23611) == rows == (files["features"].rows, files["labels"].rows)
    for name, path in (("features", features), ("labels", labels)):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == files[name].sha256


def test_a_month_built_twice_changes_nothing(few: Lake) -> None:
    """The second time is skipped; the manifest stays the very same object."""
    build_month(JANUARY)
    before = {key: few.read_bytes(key) for key in few.keys("features/")}
    with pytest.raises(AirflowSkipException, match="flight_delay has the features of 2013-01"):
        build_month(JANUARY)
    assert before == {key: few.read_bytes(key) for key in few.keys("features/")}


def test_the_models_table_holds_what_the_snapshots_hold(few: Lake, airflow_environment: Path) -> None:
    """Two months in the warehouse: the rows of both snapshots with their labels; nothing temporary is left."""
    for month in ROWS:
        build_month(month)
    merged = in_the_warehouse(airflow_environment)
    assert FEW == merged["_month"].value_counts().to_dict()
    expected = pd.concat(
        table(few, month, "features").merge(table(few, month, "labels"), on="row_id", how="left") for month in ROWS
    )
    expected = expected.sort_values("row_id", ignore_index=True)[merged.columns.drop("_month")]
    pd.testing.assert_frame_equal(expected, merged.drop(columns="_month"), check_dtype=False)
    assert ["features_flight_delay"] == tables_in_the_warehouse(airflow_environment)


def test_the_same_month_twice_gives_the_same_table(few: Lake, airflow_environment: Path) -> None:
    """As after a crash between the warehouse and the lake: the table is there, the manifest is not."""
    build_month(JANUARY)
    before, digest = in_the_warehouse(airflow_environment), snapshot(few, JANUARY).digest
    few.client.delete_object(Bucket=few.bucket, Key=f"{features_prefix('flight_delay', JANUARY)}/manifest.json")
    build_month(JANUARY)
    pd.testing.assert_frame_equal(before, in_the_warehouse(airflow_environment))
    assert digest == snapshot(few, JANUARY).digest


def test_a_lost_warehouse_changes_nothing_in_the_lake(
    few: Lake, s3_lakes: Callable[[], Lake], first_and_last_days: Callable[[Month], Path], airflow_environment: Path
) -> None:
    """A month comes from the lake alone: equal inputs give equal bytes, whatever file, or none, a worker has."""
    build_month(JANUARY)
    build_month(FEBRUARY)
    with pytest.MonkeyPatch.context() as patch:
        other = s3_lakes()
        for month in ROWS:
            land(other, month, first_and_last_days(month))
        patch.setenv("AIRFLOW_VAR_LAKE_URI", other.root)
        airflow_environment.unlink()
        build_month(FEBRUARY)
        patch.setenv("AIRFLOW_CONN_WAREHOUSE", '{"conn_type": "duckdb"}')
        build_month(JANUARY)
    for month in ROWS:
        assert snapshot(few, month).digest == snapshot(other, month).digest
    assert {"2013-02"} == set(in_the_warehouse(airflow_environment)["_month"])


def test_a_corrected_month_makes_itself_and_the_next_one_due(
    few: Lake, first_and_last_days: Callable[[Month], Path], tmp_path: Path, airflow_environment: Path
) -> None:
    """February's first flights look back into January; a flight that is taken back leaves the model's table as well."""
    for month in ROWS:
        build_month(month)
    assert due_months(few, SPEC) == []
    folder = tmp_path / "corrected"
    shutil.copytree(first_and_last_days(JANUARY), folder)
    flights = pd.read_parquet(folder / "flights.parquet")
    flights.loc[flights["day"] == 31, "dep_delay"] += 100
    flights.drop(index=flights.index[flights["day"] == 1][0]).to_parquet(folder / "flights.parquet", index=False)
    land(few, JANUARY, folder, feed="second")
    assert due_months(few, SPEC) == [JANUARY, FEBRUARY]
    before = table(few, FEBRUARY, "features").set_index("row_id")
    for month in ROWS:
        build_month(month)
    after = table(few, FEBRUARY, "features").set_index("row_id")
    differ = before["carrier_mean_delay"].fillna(-1) != after["carrier_mean_delay"].fillna(-1)
    assert differ.any()
    assert set(before[differ].index.str[:10]) == {"2013-02-01"}
    merged = in_the_warehouse(airflow_environment).set_index("row_id")
    assert {"2013-01": FEW["2013-01"] - 1, "2013-02": FEW["2013-02"]} == merged["_month"].value_counts().to_dict()
    assert set(table(few, JANUARY, "features")["row_id"]) == set(merged.index[merged["_month"] == "2013-01"])


def test_other_sql_makes_every_month_due(few: Lake, tmp_path: Path) -> None:
    """The SQL's own text is one of the inputs."""
    build_month(JANUARY)
    models = models_with(tmp_path, "-- changed\n", "")
    assert due_months(few, SPEC, models) == [JANUARY, FEBRUARY]


def test_a_model_with_another_feature_gets_another_table(few: Lake, tmp_path: Path, airflow_environment: Path) -> None:
    """The table has the model's columns; months that were built with others are due and come back."""
    build_month(JANUARY)
    models = models_with(tmp_path, "", "wanted.distance,", 'wanted.distance, wanted.hour AS "order",')
    yaml = models / "flight_delay" / "model.yaml"
    yaml.write_text(yaml.read_text().replace("    - distance\n", "    - distance\n    - order\n"))
    assert JANUARY in due_months(few, load_model_spec(models / "flight_delay"), models)
    build_month(FEBRUARY, models)
    merged = in_the_warehouse(airflow_environment)
    assert "order" in merged
    assert {"2013-02"} == set(merged["_month"])


def test_text_in_the_sql_is_taken_literally(few: Lake, tmp_path: Path) -> None:
    """Colons and braces mean something to SQLAlchemy and Jinja, which pass the statement on; not here."""
    build_month(JANUARY)
    before = table(few, JANUARY, "features")
    models = models_with(tmp_path, "-- {{ ds }} {% x %} :name\n", "wanted.carrier,", "':a{{b}}' AS carrier,")
    build_month(JANUARY, models)
    after = table(few, JANUARY, "features")
    assert {":a{{b}}"} == set(after["carrier"])
    pd.testing.assert_frame_equal(before.drop(columns="carrier"), after.drop(columns="carrier"))


def test_a_planted_arrival_delay_is_found_and_nothing_is_written(
    few: Lake, tmp_path: Path, airflow_environment: Path
) -> None:
    """The delay at arrival ranks the labels perfectly; the message names feature, value, bound and remedy."""
    models = models_with(tmp_path, "", "wanted.distance,", "COALESCE(wanted.arr_delay, 0) AS distance,")
    with pytest.raises(FeatureCheckFailed) as raised:
        build_month(JANUARY, models)
    assert str(raised.value).startswith(
        "include/models/flight_delay/features.sql for 2013-01: distance alone ranks the labels with ROC AUC 1.000. "
        "Rule: no single feature reaches ROC AUC 0.85"
    )
    assert list(few.keys("features/")) == []
    assert [] == tables_in_the_warehouse(airflow_environment)


def test_sql_that_the_warehouse_refuses_is_named(few: Lake, tmp_path: Path, airflow_environment: Path) -> None:
    """The database's own words are passed on, and nothing is written."""
    models = models_with(tmp_path, "", "wanted.distance,", "wanted.speed,")
    with pytest.raises(FeatureCheckFailed, match=r"features\.sql for 2013-01: DuckDB refuses it: .*speed"):
        build_month(JANUARY, models)
    assert list(few.keys("features/")) == []
    assert [] == tables_in_the_warehouse(airflow_environment)


def test_a_raw_file_that_is_not_the_recorded_one_is_refused(few: Lake, airflow_environment: Path) -> None:
    """Another object under the key that January's manifest names: its digest is compared before it is loaded."""
    january = read_snapshot(few, raw_prefix("flights", JANUARY))
    assert january is not None
    few.write_bytes(january.files["weather"].key, b"PAR1 but not the recorded one")
    with pytest.raises(ArtifactError, match=rf"weather\.parquet: .*SHA-256 {january.files['weather'].sha256}"):
        build_month(FEBRUARY)
    assert list(few.keys("features/")) == []
    assert [] == tables_in_the_warehouse(airflow_environment)


def test_a_table_without_rows_is_no_mistake(
    few: Lake, first_and_last_days: Callable[[Month], Path], tmp_path: Path
) -> None:
    """A month without weather has features without weather."""
    folder = tmp_path / "january"
    shutil.copytree(first_and_last_days(JANUARY), folder)
    pd.read_parquet(folder / "weather.parquet").head(0).to_parquet(folder / "weather.parquet", index=False)
    land(few, JANUARY, folder, feed="second")
    assert FEW["2013-01"] == build_month(JANUARY)["rows"]
    assert table(few, JANUARY, "features")["temp"].isna().all()


def test_a_warehouse_that_is_not_duckdb_is_refused(few: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the connection and what to give it."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": "/nowhere/w.sqlite"}))
    with pytest.raises(AstroSdkRefused, match=r"connection warehouse: it leads to sqlite\. Rule: .*conn_type duckdb"):
        build_month(JANUARY)
    assert list(few.keys("features/")) == []


def test_a_month_that_has_not_landed_cannot_be_built(few: Lake) -> None:
    """The message names the month and where it was looked for."""
    with pytest.raises(ArtifactError, match=rf"{few.root}/raw/flights/month=2013-03: the month has not landed"):
        build_month(Month(2013, 3))


def models_with(folder: Path, prefix: str, old: str, new: str = "") -> Path:
    """A folder of models whose flight_delay has another features.sql."""
    models = folder / "models"
    shutil.copytree(MODELS_FOLDER / "flight_delay", models / "flight_delay")
    sql = (MODELS_FOLDER / "flight_delay" / "features.sql").read_text()
    assert old in sql
    (models / "flight_delay" / "features.sql").write_text(prefix + (sql.replace(old, new) if old else sql))
    return models
