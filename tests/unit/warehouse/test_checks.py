"""What features.sql returns is checked before anybody sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.core.errors import FeatureCheckFailed
from include.core.model_spec import Features
from include.warehouse.checks import check_features
from include.warehouse.duckdb_month import BUILT
from include.warehouse.leaks import single_feature_strengths
from tests.unit.warehouse.conftest import plain_duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

ROWS = 1000
FEATURES = Features(numeric=["x"], categorical=["c"])
GOOD = {
    "row_id": "CAST(i AS VARCHAR)",
    "label": "CASE WHEN i % 10 > 0 THEN CAST(i % 3 = 0 AS INTEGER) END",
    "x": "CASE WHEN i % 7 > 0 THEN i % 100 END",
    "c": "'c' || CAST(i % 11 AS VARCHAR)",
}


@pytest.fixture
def warehouse() -> Iterator[DuckDBPyConnection]:
    """Return an empty warehouse."""
    with plain_duckdb() as connection:
        yield connection


def build(warehouse: DuckDBPyConnection, **columns: str | None) -> None:
    """Make the table that features.sql would have returned: the good one, with some columns changed or left out."""
    chosen = {name: sql for name, sql in (GOOD | columns).items() if sql is not None}
    select = ", ".join(f"{sql} AS {name}" for name, sql in chosen.items())
    warehouse.execute(f"CREATE TABLE {BUILT} AS SELECT {select} FROM range({ROWS}) AS numbers(i)")


def test_good_features_pass(warehouse: DuckDBPyConnection) -> None:
    """Missing values, missing labels and features that say little about the label are no fault."""
    build(warehouse)
    check_features(warehouse, "binary_classification", FEATURES, ROWS, "features.sql")
    assert all(auc < 0.6 for auc in single_feature_strengths(warehouse, "binary_classification", FEATURES).values())


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        ({"x": None, "label": None}, ROWS, "it does not return label, x. Rule: features.sql returns row_id, label and"),
        ({"x": "'a'"}, ROWS, "x is VARCHAR. Rule:"),
        ({"c": "i"}, ROWS, "c is BIGINT. Rule:"),
        ({"row_id": "i"}, ROWS, "row_id is BIGINT. Rule:"),
        ({}, ROWS + 1, "it returns 1000 rows for 1001 rows of the main table. Rule:"),
        ({"row_id": "CAST(i // 2 AS VARCHAR)"}, ROWS, "1000 rows have 500 different row_ids, for example twice: ['0',"),
        ({"row_id": "CASE WHEN i > 0 THEN CAST(i AS VARCHAR) END"}, ROWS, "row_id is unique and never NULL"),
        ({"label": "i % 3"}, ROWS, "label holds [2]. Rule: a label is 0, 1 or NULL"),
        ({"x": "CAST('infinity' AS DOUBLE)"}, ROWS, "infinite or not a number: x in 1000 rows"),
    ],
)
def test_what_breaks_the_contract_of_features_sql_is_named(
    warehouse: DuckDBPyConnection, columns: dict[str, str | None], rows: int, message: str
) -> None:
    """Columns, types, rows, keys, labels, numbers: each message says where, what, which rule and what to do."""
    build(warehouse, **columns)
    with pytest.raises(FeatureCheckFailed) as raised:
        check_features(warehouse, "binary_classification", FEATURES, rows, "features.sql")
    assert str(raised.value).startswith("features.sql: ")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("columns", "feature"),
    [
        ({"x": "CAST(i % 3 = 0 AS INTEGER) * 100 + i % 7"}, "x"),
        ({"x": "-CAST(i % 3 = 0 AS INTEGER) * 100.0"}, "x"),
        ({"x": "CASE WHEN i % 2 = 0 THEN i % 3 = 0 END"}, "x"),
        ({"x": "CASE WHEN i % 3 = 0 THEN i END"}, "x"),
        ({"c": "CASE WHEN i % 3 = 0 THEN 'late' ELSE 'early' END"}, "c"),
        ({"c": "CASE WHEN i % 3 = 0 THEN 'late' END"}, "c"),
    ],
)
def test_a_feature_that_holds_the_label_is_found(
    warehouse: DuckDBPyConnection, columns: dict[str, str], feature: str
) -> None:
    """Rising, falling, where it is known, by where it is missing, or as a category: the message names it."""
    build(warehouse, **columns)
    with pytest.raises(FeatureCheckFailed, match=rf"{feature} alone ranks the labels with ROC AUC 1\.000"):
        check_features(warehouse, "binary_classification", FEATURES, ROWS, "features.sql")


def test_a_category_for_each_row_is_no_leak_by_itself(warehouse: DuckDBPyConnection) -> None:
    """A rate is taken from other rows than those it is judged by."""
    build(warehouse, c="CAST(i AS VARCHAR)")
    assert pytest.approx(single_feature_strengths(warehouse, "binary_classification", FEATURES)["c"], abs=0.01) == 0.5


def test_too_few_labels_show_nothing(warehouse: DuckDBPyConnection) -> None:
    """With a handful of late flights a high AUC is chance."""
    build(warehouse, label="CAST(i < 5 AS INTEGER)", x="i")
    check_features(warehouse, "binary_classification", FEATURES, ROWS, "features.sql")


def regression(**columns: str) -> dict[str, str]:
    """The columns of a regression whose features say little about the label, some of them changed."""
    return {"label": "CASE WHEN i % 10 > 0 THEN (i * 37 % 101) * 1.5 END"} | columns


def test_a_regressions_labels_are_numbers(warehouse: DuckDBPyConnection) -> None:
    """Any finite number or none; what a classification would refuse."""
    build(warehouse, **regression())
    check_features(warehouse, "regression", FEATURES, ROWS, "features.sql")
    strengths = single_feature_strengths(warehouse, "regression", FEATURES)
    assert all(strength < 0.2 for strength in strengths.values()), strengths


@pytest.mark.parametrize("value", ["CAST('infinity' AS DOUBLE)", "CAST('nan' AS DOUBLE)"])
def test_a_regressions_label_is_finite(warehouse: DuckDBPyConnection, value: str) -> None:
    """Infinite or not a number: named, with the rule."""
    build(warehouse, **regression(label=f"CASE WHEN i = 7 THEN {value} ELSE i END"))
    with pytest.raises(
        FeatureCheckFailed, match=r"label holds \[(inf|nan)\]\. Rule: a label is a finite number or NULL"
    ):
        check_features(warehouse, "regression", FEATURES, ROWS, "features.sql")


@pytest.mark.parametrize(
    ("columns", "feature"),
    [
        ({"x": "(i * 37 % 101) * 1.5 * 9 / 5 + 32"}, "x"),
        ({"x": "-ln(1 + i * 37 % 101)"}, "x"),
        ({"x": "CASE WHEN i % 2 = 0 THEN i * 37 % 101 END"}, "x"),
        ({"c": "CAST(i * 37 % 101 AS VARCHAR)"}, "c"),
    ],
)
def test_a_feature_that_holds_a_regressions_label_is_found(
    warehouse: DuckDBPyConnection, columns: dict[str, str], feature: str
) -> None:
    """In another unit, bent and falling, where it is known, or as a category: the message names it."""
    build(warehouse, **regression(**columns))
    with pytest.raises(FeatureCheckFailed) as raised:
        check_features(warehouse, "regression", FEATURES, ROWS, "features.sql")
    assert f"{feature} alone ranks the labels with rank correlation " in str(raised.value)
    assert "Rule: no single feature reaches rank correlation 0.995" in str(raised.value)


def test_a_label_near_its_own_past_is_no_leak(warehouse: DuckDBPyConnection) -> None:
    """A feature that follows the label closely, but not exactly, may be what a forecast is made of."""
    build(warehouse, label="i", x="i + (i * 37 % 101) * 2")
    check_features(warehouse, "regression", FEATURES, ROWS, "features.sql")
    assert 0.9 < single_feature_strengths(warehouse, "regression", FEATURES)["x"] < 0.995


@pytest.mark.parametrize("columns", [{"x": "1"}, {"label": "1"}, {"label": "CASE WHEN i < 20 THEN i END", "x": "i"}])
def test_nothing_to_rank_shows_nothing(warehouse: DuckDBPyConnection, columns: dict[str, str]) -> None:
    """Where feature or label never changes, or labels are few, no correlation is claimed."""
    build(warehouse, **regression(**columns))
    assert single_feature_strengths(warehouse, "regression", FEATURES)["x"] == 0
