"""Which months are due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from include.core.due import NotDue, Window, labelled_months, months_to_score, training_window
from include.core.model_spec import TrainingWindow
from include.core.months import Month

JAN, FEB, MAR, APR, MAY = (Month(2013, number) for number in range(1, 6))
sets_of_months = st.sets(st.builds(Month, st.integers(2012, 2014), st.integers(1, 12)), max_size=20)


def test_labels_arrive_one_month_late() -> None:
    """With a delay of one month the newest landed month has no labels yet."""
    assert labelled_months([APR, JAN, MAR, FEB], 1) == [JAN, FEB, MAR]


def test_nothing_landed_has_no_labels() -> None:
    """Before the first month there is nothing."""
    assert labelled_months([], 1) == []


@given(sets_of_months, st.integers(0, 6))
def test_a_label_never_comes_from_the_future(landed: set[Month], delay: int) -> None:
    """Each labelled month lies at least the delay before the newest landed month, and landed itself."""
    assert all(month in landed and month + delay <= max(landed) for month in labelled_months(landed, delay))


def test_the_newest_labelled_month_is_the_holdout() -> None:
    """January and February are trained on, March is compared on."""
    assert Window(train=(JAN, FEB), holdout=MAR) == training_window(
        [MAR, JAN, FEB], TrainingWindow(min_months=2, max_months=3)
    )


def test_an_old_month_leaves_the_window() -> None:
    """At most max_months months before the holdout are trained on."""
    assert Window(train=(FEB, MAR, APR), holdout=MAY) == training_window(
        [JAN, FEB, MAR, APR, MAY], TrainingWindow(min_months=2, max_months=3)
    )


def test_too_few_months_are_not_due() -> None:
    """With two labelled months of the three that are needed nothing is trained, and the reason says so."""
    expected = NotDue("2 labelled months, 2 to train on and 1 as holdout are needed: 2013-01, 2013-02")
    assert expected == training_window([JAN, FEB], TrainingWindow(min_months=2, max_months=3))


@given(sets_of_months, st.integers(1, 5), st.integers(0, 5))
def test_the_window_lies_before_the_holdout(labelled: set[Month], least: int, more: int) -> None:
    """A window is as long as it may be, sorted, and wholly before its holdout."""
    found = training_window(labelled, TrainingWindow(min_months=least, max_months=least + more))
    if isinstance(found, NotDue):
        assert len(labelled) <= least
    else:
        assert found.holdout == max(labelled)
        assert list(found.train) == sorted(labelled)[:-1][-(least + more) :]


def test_the_champion_scores_what_it_has_not_seen() -> None:
    """Months up to the holdout were seen; a month with predictions is done."""
    assert months_to_score([JAN, FEB, MAR, APR, MAY], {MAY}, MAR) == [APR]
