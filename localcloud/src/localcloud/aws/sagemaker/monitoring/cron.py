"""When a monitoring schedule runs: the expressions that SageMaker takes, and the times they mean.

`NOW` runs once, at once. Else `cron(0 HOURS ? * * *)` in UTC, where HOURS is `*` (every hour), a number (once a day)
or `start/n`, as in `17/12` (every n hours; of the day's hours those that are whole steps of n away from the start).

What it does not do: the 0 to 20 minutes by which SageMaker may be late.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

NOW = "NOW"
_CRON = re.compile(r"cron\(0 (\*|\d{1,2})(?:/(\d{1,2}))? \? \* \* \*\)")
_DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_DAY = 24


class ExpressionError(ValueError):
    """No expression that SageMaker takes."""


@dataclass(frozen=True)
class Hours:
    """The hours of the day, in UTC, at which a schedule runs."""

    hours: frozenset[int]

    def after(self, time: datetime) -> datetime:
        """Return the first time to run that is later than `time` (UTC)."""
        found = time.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        while found.hour not in self.hours:
            found += timedelta(hours=1)
        return found

    def before(self, time: datetime) -> datetime:
        """Return the last time to run that is earlier than `time`."""
        found = time.replace(minute=0, second=0, microsecond=0)
        if found == time:
            found -= timedelta(hours=1)
        while found.hour not in self.hours:
            found -= timedelta(hours=1)
        return found


def read_expression(expression: str) -> Hours | None:
    """Return the hours of an expression; None of NOW.

    Raises:
        ExpressionError: SageMaker does not take it.
    """
    if expression == NOW:
        return None
    found = _CRON.fullmatch(expression)
    if found is None:
        message = (
            f"Invalid schedule expression '{expression}'. It must be NOW, or cron(0 HOURS ? * * *) with HOURS of *, "
            "0 to 23, or START/STEP."
        )
        raise ExpressionError(message)
    start, step = found.groups()
    first = 0 if start == "*" else int(start)
    size = int(step) if step else 1 if start == "*" else _DAY
    if first >= _DAY or not 1 <= size <= _DAY:
        message = f"Invalid schedule expression '{expression}'. Hours are 0 to 23, steps 1 to 24."
        raise ExpressionError(message)
    return Hours(frozenset((first + number * size) % _DAY for number in range(_DAY // size)))


def read_offset(duration: str) -> timedelta:
    """Return an ISO 8601 duration of days and less, as in `-PT1H`.

    Raises:
        ExpressionError: it is none.
    """
    found = _DURATION.fullmatch(duration)
    if found is None or not any(found.groups()[1:]):
        message = f"Invalid duration '{duration}'. It must be an ISO 8601 duration such as -PT1H."
        raise ExpressionError(message)
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return -span if found.group(1) else span
