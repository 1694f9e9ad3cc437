"""The calendar month."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.core.months import Month

months = st.builds(Month, st.integers(1900, 2100), st.integers(1, 12))


@given(months, st.integers(-500, 500))
def test_going_forth_and_back_ends_where_it_began(month: Month, count: int) -> None:
    """Adding and subtracting the same number of months changes nothing."""
    assert month == month + count - count


@given(months)
def test_a_month_reads_back_what_it_prints(month: Month) -> None:
    """The printed form is the form that is read."""
    assert month == Month.parse(str(month))


@given(months, months)
def test_months_sort_by_time(first: Month, second: Month) -> None:
    """Months and their printed forms sort as their first instants do."""
    assert (first < second) == (first.start < second.start) == (str(first) < str(second))


def test_the_year_turns() -> None:
    """December is followed by January of the next year."""
    assert Month(2014, 1) == Month(2013, 12) + 1


def test_a_month_is_that_of_the_moment() -> None:
    """The last second of a month belongs to it."""
    assert Month(2013, 1) == Month.of(datetime(2013, 1, 31, 23, 59, 59, tzinfo=UTC))


def test_a_feed_writes_a_month_as_hive_folders() -> None:
    """The folders carry year and zero-padded month."""
    assert Month(2013, 4).hive == "year=2013/month=04"


@pytest.mark.parametrize("text", ["2013-13", "2013-0", "2013-1", "13-01", "2013-01-01", ""])
def test_anything_else_is_refused(text: str) -> None:
    """A text that is no month is refused with the form that is."""
    with pytest.raises(ValueError, match="a month is written YYYY-MM"):
        Month.parse(text)
