"""PSI and effect sizes of counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.monitoring.distances import cohens_d, cramers_v, psi
from include.monitoring.profile import NumericProfile

count_pairs = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=20).filter(
    lambda pairs: all(map(sum, zip(*pairs, strict=True)))
)


def profile(rows: int, mean: float | None, variance: float | None) -> NumericProfile:
    """A profile of which an effect size sees the known rows, their mean and their variance."""
    return NumericProfile(own_values=(), edges=(), counts=(7, rows), mean=mean, variance=variance)


def test_psi_is_the_sum_that_its_docstring_states() -> None:
    """Half a row is added to every bin of both sides: here 10 and 30 rows against 30 and 10."""
    low, high = 10.5 / 41, 30.5 / 41
    assert 2 * (high - low) * math.log(high / low) == pytest.approx(psi([10, 30], [30, 10]))


@given(count_pairs)
def test_psi_is_symmetric_finite_and_never_negative(pairs: list[tuple[int, int]]) -> None:
    """Also with empty bins, exchanging reference and month changes nothing."""
    reference, current = zip(*pairs, strict=True)
    found = psi(reference, current)
    assert found >= 0
    assert math.isfinite(found)
    assert psi(current, reference) == pytest.approx(found, abs=1e-12)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_psi_of_the_same_counts_is_zero(counts: list[int]) -> None:
    """Nothing moved, whatever the bins."""
    assert psi(counts, counts) == 0


def test_an_empty_bin_counts_as_half_a_row() -> None:
    """A bin that is new among 1,000 rows weighs a lot and not infinitely."""
    expected = 100 / 1001 * (math.log(100.5 / 0.5) + math.log(1000.5 / 900.5))
    assert expected == pytest.approx(psi([1000, 0], [900, 100]))


def test_cohens_d_is_positive_when_the_month_lies_higher() -> None:
    """Means 10 and 12 with standard deviation 4 on both sides lie half a standard deviation apart."""
    reference, higher = profile(100, 10, 16), profile(300, 12, 16)
    assert (0.5, -0.5) == (cohens_d(reference, higher), cohens_d(higher, reference))


def test_cohens_d_pools_the_variances_by_their_rows() -> None:
    """101 rows of variance 1 and 301 of variance 5 have the pooled variance 4."""
    assert cohens_d(profile(101, 0, 1), profile(301, 1, 5)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        (profile(0, None, None), profile(9, 1, 1)),
        (profile(9, 1, 1), profile(1, 1, None)),
        (profile(9, 1, 0), profile(9, 2, 0)),
    ],
)
def test_cohens_d_is_undefined_without_spread(reference: NumericProfile, current: NumericProfile) -> None:
    """No values, one value, or constants on both sides have no standard deviation to measure in."""
    assert cohens_d(reference, current) is None


def test_cramers_v_is_that_of_the_contingency_table() -> None:
    """The table [[30, 10], [20, 40]] has chi² 16.6667 over 100 rows (by hand: 100 (30*40 - 10*20)² / (40*60*50*50))."""
    assert cramers_v([30, 10], [20, 40]) == pytest.approx(math.sqrt(16.6666667 / 100))


def test_cramers_v_reaches_from_alike_to_nothing_in_common() -> None:
    """Equal shares give 0, categories that do not overlap give 1."""
    assert (0.0, 1.0) == (cramers_v([10, 30, 0], [20, 60, 0]), cramers_v([10, 0, 0], [0, 4, 5]))


def test_cramers_v_is_undefined_for_a_constant() -> None:
    """A feature that only ever has one category cannot be associated with anything."""
    assert cramers_v([0, 10], [0, 20]) is None


@given(count_pairs)
def test_cramers_v_is_symmetric_and_at_most_one(pairs: list[tuple[int, int]]) -> None:
    """It is a share, whichever side is the reference."""
    reference, current = zip(*pairs, strict=True)
    found = cramers_v(reference, current)
    assert found is None or 0 <= found <= 1
    assert cramers_v(current, reference) == pytest.approx(found)
