"""Profiles and drift of Parquet files: which bins a reference is given, and what a month shows in them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.core.errors import FeatureCheckFailed
from include.core.model_spec import Features
from include.monitoring.drift import measure_drift, profile_reference
from include.monitoring.measures import FeatureDrift, month_measures
from include.monitoring.profile import CategoricalProfile, NumericProfile, Profile
from tests.strategies import values_with_gaps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    WriteParquet = Callable[[Mapping[str, Sequence[Any]]], Path]

X = Features(numeric=["x"])
KIND = Features(numeric=[], categorical=["kind"])


def numeric(parquet: WriteParquet, reference: Sequence[float | None], month: Sequence[float | None]) -> FeatureDrift:
    """The drift of one numeric feature."""
    profile = profile_reference([parquet({"x": reference})], X)
    return measure_drift(parquet({"x": month}), profile).features["x"]


def bin_of(value: float, edges: Sequence[float]) -> int:
    """The interval of a value, by looking at one edge after the other."""
    return sum(value > edge for edge in edges)


def test_a_column_of_different_values_is_cut_at_its_deciles(parquet: WriteParquet) -> None:
    """The numbers 1 to 100 fall into ten bins of ten; missing values have a bin of their own in front."""
    found = profile_reference([parquet({"x": [*map(float, range(1, 101)), None, None]})], X).features["x"]
    assert isinstance(found, NumericProfile)
    assert ((), (10, 20, 30, 40, 50, 60, 70, 80, 90)) == (found.own_values, found.edges)
    assert (2, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10) == found.counts
    assert (50.5, 841.6666667) == pytest.approx((found.mean, found.variance))


def test_the_months_of_a_reference_are_one_reference(parquet: WriteParquet) -> None:
    """Two files give the profile of one file with the rows of both."""
    low, high = list(map(float, range(50))), list(map(float, range(50, 90)))
    expected = profile_reference([parquet({"x": low + high})], X)
    assert expected == profile_reference([parquet({"x": low}), parquet({"x": high})], X)


def test_a_value_with_a_fifth_of_the_rows_has_its_own_bin(parquet: WriteParquet) -> None:
    """Rain: 80 of 100 hours are dry, so the deciles are those of the 20 wet ones."""
    found = profile_reference([parquet({"x": [0.0] * 80 + [each / 10 for each in range(1, 21)]})], X).features["x"]
    assert isinstance(found, NumericProfile)
    assert ((0.0,), (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8)) == (found.own_values, found.edges)
    assert (0, 80, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2) == found.counts


def test_a_value_with_less_than_a_fifth_has_none(parquet: WriteParquet) -> None:
    """19 zeros of 100 rows stay among the deciles; equal deciles are one edge."""
    found = profile_reference([parquet({"x": [0.0] * 19 + list(map(float, range(1, 82)))})], X).features["x"]
    assert isinstance(found, NumericProfile)
    assert ((), (0, 1, 11, 21, 31, 41, 51, 61, 71)) == (found.own_values, found.edges)


def test_a_large_reference_is_cut_near_its_deciles_and_counted_whole(parquet: WriteParquet) -> None:
    """Of 300,000 rows every third gives the edges: each bin holds a tenth of the others, and no row is left out."""
    generator = np.random.default_rng(3)
    rain = np.where(generator.random(300_000) < 0.21, 0.0, generator.exponential(1, 300_000))
    found = profile_reference([parquet({"x": rain.tolist()})], X).features["x"]
    assert isinstance(found, NumericProfile)
    assert ((0.0,), 9) == (found.own_values, len(found.edges))
    assert int((rain == 0).sum()) == found.counts[1]
    others = [count / int((rain != 0).sum()) for count in found.counts[2:]]
    assert [0.1] * 10 == pytest.approx(others, abs=0.005)
    assert 300_000 == sum(found.counts)


def test_rain_inside_the_wet_hours_is_seen(parquet: WriteParquet) -> None:
    """As many dry hours as before, but the wet ones pour: quantiles of all hours are 0 and would show nothing."""
    dry = [0.0] * 930
    drizzle, pour = [0.01 * each for each in range(1, 71)], [1.0 + 0.01 * each for each in range(1, 71)]
    found = numeric(parquet, dry + drizzle, dry + pour)
    assert found.psi > 0.2
    assert found.effect_size is not None
    assert found.effect_size > 0


def test_dry_hours_that_become_a_little_wet_are_seen(parquet: WriteParquet) -> None:
    """Zeros that turn into values just beside zero leave the zeros' bin, to whichever side."""
    reference = [-1.0 - each for each in range(20)] + [0.0] * 60 + [1.0 + each for each in range(20)]
    for beside in (-1e-9, 1e-9):
        assert numeric(parquet, reference, [beside if value == 0 else value for value in reference]).psi > 2


def test_values_that_go_missing_are_drift(parquet: WriteParquet) -> None:
    """The shares of missing values are reported, and PSI sees them; the effect size sees only what is known."""
    reference = list(map(float, range(1000)))
    found = numeric(parquet, reference, [None if value % 2 else value for value in reference])
    assert (0.0, 0.5) == (found.missing_reference, found.missing_current)
    assert found.psi > 0.2
    assert found.effect_size == pytest.approx(0, abs=0.01)


@given(values_with_gaps)
@settings(max_examples=25)
def test_the_reference_itself_has_not_drifted(parquet: WriteParquet, drawn: list[float | None]) -> None:
    """PSI is exactly 0 against the rows that the bins were made from, and the effect size 0 or undefined."""
    found = numeric(parquet, drawn, drawn)
    assert (0.0, True) == (found.psi, not found.effect_size)


@given(values_with_gaps, values_with_gaps)
@settings(max_examples=25)
def test_every_row_is_counted_in_the_bin_where_it_lies(
    parquet: WriteParquet, reference: list[float | None], month: list[float | None]
) -> None:
    """Counts by plain comparison, row by row, are those of the one pass; drift is finite and never negative."""
    profile = profile_reference([parquet({"x": reference})], X)
    bins = profile.features["x"]
    assert isinstance(bins, NumericProfile)
    expected = [0] * len(bins.counts)
    for value in reference:
        if value is None:
            expected[0] += 1
        elif value in bins.own_values:
            expected[1 + bins.own_values.index(value)] += 1
        else:
            expected[1 + len(bins.own_values) + bin_of(value, bins.edges)] += 1
    assert tuple(expected) == bins.counts
    often = {value for value in reference if value is not None and reference.count(value) >= 0.2 * len(reference)}
    assert often == set(bins.own_values)
    assert measure_drift(parquet({"x": month}), profile).features["x"].psi >= 0


@given(st.floats(-100, 100).filter(lambda drawn: abs(drawn) > 1e-3))
@settings(max_examples=10)
def test_the_effect_size_has_the_sign_of_the_shift(parquet: WriteParquet, shift: float) -> None:
    """A column that lies higher has a positive effect size, by the shift in standard deviations."""
    reference = list(map(float, range(100)))
    found = numeric(parquet, reference, [value + shift for value in reference]).effect_size
    assert shift / math.sqrt(841.6666667) == pytest.approx(found)


def test_rare_and_unseen_categories_share_a_bin(parquet: WriteParquet) -> None:
    """A category with 1 % of the rows is kept, a rarer one is among the others."""
    path = parquet({"kind": ["a"] * 150 + ["b"] * 46 + ["c"] * 2 + ["d", None]})
    expected = CategoricalProfile(categories=("a", "b", "c"), counts=(1, 150, 46, 2, 1))
    assert expected == profile_reference([path], KIND).features["kind"]


def test_a_new_category_is_drift(parquet: WriteParquet) -> None:
    """An airline that nobody has flown before takes a quarter of the flights."""
    profile = profile_reference([parquet({"kind": ["a"] * 500 + ["b"] * 500})], KIND)
    found = measure_drift(parquet({"kind": ["a"] * 375 + ["b"] * 375 + ["new"] * 250}), profile).features["kind"]
    assert "categorical" == found.kind
    assert found.psi > 0.2
    assert found.effect_size == pytest.approx(math.sqrt(1 / 7))


def test_a_category_may_hold_any_text(parquet: WriteParquet) -> None:
    """Quotes are data."""
    path = parquet({"kind": ["O'Hare", 'say "x"', "O'Hare"]})
    expected = CategoricalProfile(categories=("O'Hare", 'say "x"'), counts=(0, 2, 1, 0))
    assert expected == profile_reference([path], KIND).features["kind"]


def test_a_feature_without_values_can_be_compared(parquet: WriteParquet) -> None:
    """A column that was always missing and now has values has drifted, without an effect size."""
    found = numeric(parquet, [None] * 100, [1.0] * 50 + [None] * 50)
    assert found.psi > 0.2
    assert found.effect_size is None


def test_files_without_rows_are_refused(parquet: WriteParquet) -> None:
    """There is nothing to compare."""
    profile = profile_reference([parquet({"x": [1.0, 2.0]})], X)
    with pytest.raises(FeatureCheckFailed, match="features of the month: there are no rows"):
        measure_drift(parquet({"x": []}), profile)
    with pytest.raises(FeatureCheckFailed, match="features of the reference: there are no rows"):
        profile_reference([parquet({"x": []})], X)


def test_a_profile_survives_json(parquet: WriteParquet) -> None:
    """Kept as a record, it serves for the champion's later months with exactly the same edges."""
    path = parquet({"x": [0.1 * each for each in range(50)], "kind": ["a", "b"] * 25})
    profile = profile_reference([path], Features(numeric=["x"], categorical=["kind"]))
    assert profile == Profile.model_validate_json(profile.model_dump_json())


def test_a_months_report_names_the_feature_that_moved_most(parquet: WriteParquet) -> None:
    """Of a shifted and an unchanged feature, the shifted one."""
    features = Features(numeric=["still", "moved"])
    rows = list(map(float, range(100)))
    profile = profile_reference([parquet({"still": rows, "moved": rows})], features)
    drift = measure_drift(parquet({"still": rows, "moved": [each + 50 for each in rows]}), profile)
    report = month_measures(
        model="m",
        month="2013-04",
        reference_months=["2013-01"],
        model_version=1,
        drift=drift,
        performance=None,
        scored_by=None,
    )
    assert (100, "moved", drift.features["moved"].psi) == (report.rows, report.max_psi_feature, report.max_psi)
