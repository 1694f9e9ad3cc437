"""A feature holds only what was known two hours before the flight's scheduled departure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.core.months import Month
from tests.unit.warehouse.conftest import FEATURES_SQL, features_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JANUARY, FEBRUARY = Month(2013, 1), Month(2013, 2)
# the blizzard of 2013: every kind of delay, and 1,400 cancelled flights
DAYS = (7, 8, 9, 10)
BEGIN = pd.Timestamp("2013-02-07 10:00")
TWO_HOURS = pd.Timedelta(hours=2)


@pytest.fixture(scope="module")
def blizzard(raw: Callable[[Month], Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return flights and weather of four days."""
    flights, weather = (
        pd.read_parquet(raw(FEBRUARY) / f"{name}.parquet", dtype_backend="numpy_nullable").query("day in @DAYS")
        for name in ("flights", "weather")
    )
    return flights, weather


@pytest.fixture(scope="module")
def winter(raw: Callable[[Month], Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return flights and weather of all of January and February, what February's features are made from."""
    flights, weather = (
        pd.concat(
            pd.read_parquet(raw(month) / f"{name}.parquet", dtype_backend="numpy_nullable")
            for month in (JANUARY, FEBRUARY)
        ).reset_index(drop=True)
        for name in ("flights", "weather")
    )
    return flights, weather


def scheduled_at(flights: pd.DataFrame) -> pd.Series:
    """The instant of scheduled departure."""
    return flights["time_hour"] + pd.to_timedelta(flights["minute"], unit="min")


def departed_at(flights: pd.DataFrame) -> pd.Series:
    """The instant of departure, NaT for a flight that never left."""
    return scheduled_at(flights) + pd.to_timedelta(flights["dep_delay"].astype("float64"), unit="min")


def another_future(
    flights: pd.DataFrame, weather: pd.DataFrame, now: pd.Timestamp, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rewrite all that nobody could know at ``now``: departures, cancellations, arrivals, aircraft, weather."""
    random = np.random.default_rng(seed)
    flights, weather = flights.copy(), weather.copy()
    # whatever has not left by now leaves at another moment after now, or never
    open_still = ~(departed_at(flights) <= now).to_numpy()
    wait = (now - scheduled_at(flights)).dt.total_seconds().to_numpy() // 60 + 1
    delay = pd.Series(wait + random.integers(0, 600, len(flights)), flights.index).astype("Int32")
    delay = delay.mask(random.random(len(flights)) < 0.2)
    flights.loc[open_still, "dep_delay"] = delay[open_still]
    flights.loc[open_still, "dep_time"] = (delay * 0 + 1200)[open_still]
    # no feature may hold what is known at arrival only, whenever that was
    for column in ("arr_time", "arr_delay", "air_time"):
        flights[column] = random.integers(1, 600, len(flights))
    flights["tailnum"] = random.permutation(flights["tailnum"])
    ahead = weather["time_hour"] + pd.Timedelta(hours=1) > now
    for column in ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"):
        weather.loc[ahead, column] = random.uniform(0, 100, int(ahead.sum()))
    return flights, weather


def no_future(
    flights: pd.DataFrame, weather: pd.DataFrame, now: pd.Timestamp, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As another future, and what is not yet in sight is gone: later flights and weather; rows in another order."""
    flights, weather = another_future(flights, weather, now, seed)
    # the schedule of an hour is known before the hour in which the last flight that is predicted by now would leave
    flights = flights[flights["time_hour"] <= (now + TWO_HOURS).floor("h")]
    weather = weather[weather["time_hour"] + pd.Timedelta(hours=1) <= now]
    return flights.sample(frac=1, random_state=seed), weather.sample(frac=1, random_state=seed)


def changed_features(
    tables: tuple[pd.DataFrame, pd.DataFrame],
    now: pd.Timestamp,
    seed: int,
    sql: str = FEATURES_SQL,
    change: Callable[..., tuple[pd.DataFrame, pd.DataFrame]] = another_future,
) -> list[str]:
    """The features that differ, for February's flights predicted by ``now``, when the future is another one."""
    flights, _ = tables
    before = features_of(*tables, FEBRUARY, sql)
    after = features_of(*change(*tables, now, seed), FEBRUARY, sql)
    by_now = flights[(scheduled_at(flights) - TWO_HOURS <= now) & (flights["month"] == FEBRUARY.month)]
    row_ids = (by_now["time_hour"].astype(str) + " " + by_now["carrier"] + " ") + (
        by_now["flight"].astype(str) + " " + by_now["origin"]
    )
    assert len(row_ids) > 0
    before, after = (rows.loc[row_ids].drop(columns="label") for rows in (before, after))
    return [str(name) for name in before if not before[name].equals(after[name])]


@settings(max_examples=15, deadline=None)
@given(minutes=st.integers(0, 4 * 24 * 60), seed=st.integers(0, 2**32 - 1))
def test_no_feature_changes_when_the_future_does(
    blizzard: tuple[pd.DataFrame, pd.DataFrame], minutes: int, seed: int
) -> None:
    """At any moment: rewriting everything that happens later leaves every flight predicted until then as it was."""
    assert changed_features(blizzard, BEGIN + pd.Timedelta(minutes=minutes), seed) == []


@pytest.mark.parametrize(
    ("old", "new", "feature"),
    [
        ("- INTERVAL '2 hours' AS predicted_at", "- INTERVAL '1 hours' AS predicted_at", "origin_mean_delay"),
        (
            "(minute + dep_delay) * INTERVAL '1 minute' AS departed_at",
            "minute * INTERVAL '1 minute' AS departed_at",
            "carrier_mean_delay",
        ),
        ("wanted.predicted_at) - INTERVAL '1 hour'", "wanted.predicted_at) + INTERVAL '1 hour'", "temp"),
        ("wanted.distance,", "wanted.arr_delay AS distance,", "distance"),
    ],
)
def test_a_planted_look_ahead_is_found(
    blizzard: tuple[pd.DataFrame, pd.DataFrame], old: str, new: str, feature: str
) -> None:
    """The test above has teeth: a later cutoff, scheduled departures, weather ahead or arrivals do not pass it."""
    assert old in FEATURES_SQL
    now = pd.Timestamp("2013-02-08 18:30")
    assert feature in changed_features(blizzard, now, 1, FEATURES_SQL.replace(old, new))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_feature_of_a_month_needs_the_rest_of_it(winter: tuple[pd.DataFrame, pd.DataFrame], seed: int) -> None:
    """At a moment of February: without a row of what came later, every flight predicted until then has its features."""
    minutes = int(np.random.default_rng(seed).integers(6 * 60, 28 * 24 * 60))
    assert (
        changed_features(
            winter, pd.Timestamp("2013-02-01 10:00") + pd.Timedelta(minutes=minutes), seed, change=no_future
        )
        == []
    )


@pytest.mark.parametrize(
    ("old", "new", "features"),
    [
        (
            "COUNT(*) AS flights_in_hour",
            "SUM(COUNT(*)) OVER (PARTITION BY origin, date_trunc('day', time_hour)) AS flights_in_hour",
            {"flights_in_hour"},
        ),
        (
            "RANGE BETWEEN INTERVAL '4 hours' PRECEDING AND CURRENT ROW",
            "RANGE BETWEEN INTERVAL '4 hours' PRECEDING AND INTERVAL '1 hour' FOLLOWING",
            {"carrier_departures", "carrier_mean_delay", "carrier_late_share"},
        ),
    ],
)
def test_a_feature_that_needs_the_rest_of_the_month_is_found(
    winter: tuple[pd.DataFrame, pd.DataFrame], old: str, new: str, features: set[str]
) -> None:
    """This one has teeth too: a count over the day, or departures of the next hour, and nothing else is named."""
    assert old in FEATURES_SQL
    now = pd.Timestamp("2013-02-19 18:30")
    assert features == set(changed_features(winter, now, 1, FEATURES_SQL.replace(old, new), no_future))


def flight(number: int, scheduled: str, dep_delay: int | None, *, carrier: str = "UA") -> dict[str, object]:
    """A flight from Newark, by New York's clock in winter."""
    local = pd.Timestamp(scheduled)
    clock = local.hour * 100 + local.minute
    return {
        "year": local.year,
        "month": local.month,
        "day": local.day,
        "dep_time": None if dep_delay is None else clock,
        "sched_dep_time": clock,
        "dep_delay": dep_delay,
        "sched_arr_time": (clock + 200) % 2400,
        "arr_delay": dep_delay,
        "carrier": carrier,
        "flight": number,
        "origin": "EWR",
        "dest": "ORD",
        "distance": 700,
        "hour": local.hour,
        "minute": local.minute,
        "time_hour": local.floor("h") + pd.Timedelta(hours=5),
    }


WEATHER = pd.DataFrame(
    {
        "origin": "EWR",
        "time_hour": pd.date_range("2013-02-01", periods=72, freq="h"),
        **dict.fromkeys(("dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"), 1.0),
        "temp": np.arange(72.0),
    }
)


def small(*flights: dict[str, object]) -> pd.DataFrame:
    """The features of a few flights, by flight number."""
    rows = pd.DataFrame(list(flights)).astype({"dep_time": "Int32", "dep_delay": "Int32", "arr_delay": "Int32"})
    found = features_of(rows, WEATHER, FEBRUARY)
    return found.set_index(found.index.str.split(" ").str[3].astype(int))


def test_a_departure_counts_from_the_minute_it_happened_across_midnight() -> None:
    """Scheduled 23:30 and gone at 00:30: unknown at 00:29, known at 00:30, and forgotten two hours later."""
    found = small(
        flight(1, "2013-02-01 23:30", 60),
        flight(2, "2013-02-02 02:29", 0),
        flight(3, "2013-02-02 02:30", 0),
        flight(4, "2013-02-02 04:30", None),
        flight(5, "2013-02-02 04:31", None),
    )
    assert found["origin_departures"].tolist() == [0, 0, 1, 3, 2]
    assert found["origin_mean_delay"].tolist()[2:] == [60.0, 20.0, 0.0]
    assert found["carrier_departures"].tolist() == [0, 0, 1, 3, 3]


def test_a_flight_that_never_left_is_no_departure_and_has_no_label() -> None:
    """A cancelled flight says nothing about delays, and cannot be learned from; it still gets its features."""
    found = small(
        flight(1, "2013-02-01 10:00", None), flight(2, "2013-02-01 13:00", 16), flight(3, "2013-02-01 13:00", 15)
    )
    assert found["origin_departures"].tolist() == [0, 0, 0]
    assert found["origin_mean_delay"].isna().all()
    assert found.loc[[2, 3], "label"].tolist() == [1, 0]
    assert found["label"].isna().tolist() == [True, False, False]


def test_the_weather_is_that_of_the_last_hour_that_was_over() -> None:
    """Predicted at 11:15 New York, 16:15 UTC: the hour from 15 to 16 is over, the one from 16 to 17 is not."""
    found = small(flight(1, "2013-02-01 13:15", 0))
    assert found.loc[1, "temp"] == 15.0


def test_rolling_features_are_the_means_of_what_left_in_the_window(blizzard: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Computed again flight by flight: delays of two hours at the origin, of four hours of the carrier there."""
    flights, weather = blizzard
    flights = flights.reset_index(drop=True)
    found = features_of(flights, weather, FEBRUARY)
    departed, predicted = departed_at(flights), scheduled_at(flights) - TWO_HOURS
    for at in range(0, len(flights), 37):
        one = flights.loc[at]
        here = flights["origin"] == one["origin"]
        row = found.loc[f"{one['time_hour']} {one['carrier']} {one['flight']} {one['origin']}"]
        for name, hours, chosen in (("origin", 2, here), ("carrier", 4, here & (flights["carrier"] == one["carrier"]))):
            known = chosen & departed.between(predicted[at] - pd.Timedelta(hours=hours), predicted[at])
            delays = flights.loc[known, "dep_delay"].astype(float)
            expected = [len(delays), delays.mean(), (delays > 15).mean()]
            actual = [row[f"{name}_{what}"] for what in ("departures", "mean_delay", "late_share")]
            assert expected == pytest.approx(actual, nan_ok=True)
