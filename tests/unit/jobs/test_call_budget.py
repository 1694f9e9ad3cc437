"""The budget of calls that all deferred jobs of a triggerer share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flightdeck_triggers.call_budget import CallBudget

RATE, SAVED = 0.2, 12


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@given(pauses=st.lists(st.floats(0, 200), min_size=1, max_size=60))
def test_no_stretch_of_time_has_more_calls_than_its_share_and_the_saved_ones(pauses: list[float]) -> None:
    """Whatever the pauses between the wishes to call: between any two calls lie at most rate x time + saved calls."""
    clock = Clock()
    budget = CallBudget(RATE, SAVED, clock)
    made = []
    for pause in pauses:
        clock.now += pause
        clock.now += budget.wait_seconds()
        made.append(clock.now)
    for first in range(len(made)):
        for last in range(first, len(made)):
            assert last - first + 1 <= SAVED + 1 + RATE * (made[last] - made[first]) + 1e-6


@given(pauses=st.lists(st.floats(0, 200), min_size=1, max_size=60))
def test_the_average_since_the_start_never_exceeds_the_rate(pauses: list[float]) -> None:
    """Whatever the pauses between the wishes to call: no call comes before its share of time is over."""
    clock = Clock()
    begin = clock.now
    budget = CallBudget(RATE, SAVED, clock)
    for number, pause in enumerate(pauses, start=1):
        clock.now += pause
        clock.now += budget.wait_seconds()
        assert number <= RATE * (clock.now - begin) + 1e-6


def test_calls_without_a_pause_come_at_the_rate() -> None:
    """They come five seconds apart, the first one too."""
    clock = Clock()
    budget = CallBudget(RATE, SAVED, clock)
    waits = []
    for _ in range(4):
        waits.append(budget.wait_seconds())
        clock.now += waits[-1]
    assert [5, 5, 5, 5] == [round(wait, 9) for wait in waits]


def test_a_quiet_time_is_saved_up_to_a_limit() -> None:
    """After an hour without calls, as many as may be saved come at once, and then one every five seconds."""
    clock = Clock()
    budget = CallBudget(RATE, SAVED, clock)
    clock.now += 3600
    assert [0.0] * SAVED + [5.0, 10.0] == [round(budget.wait_seconds(), 9) for _ in range(SAVED + 2)]
