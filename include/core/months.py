"""The calendar month, the unit of time in which sources land, features are built and models are scored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_FORM = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month; sorts by time and prints as ``2013-01``."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read ``2013-01``.

        Raises:
            ValueError: ``text`` is not a month in that form.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            message = f"a month is written YYYY-MM, for example 2013-01; {text!r} is not"
            raise ValueError(message)
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """Return the month that holds ``moment``."""
        return cls(moment.year, moment.month)

    def __add__(self, months: int) -> Month:
        count = self.year * 12 + self.month - 1 + months
        return Month(count // 12, count % 12 + 1)

    def __sub__(self, months: int) -> Month:
        return self + -months

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def start(self) -> datetime:
        """The month's first instant, UTC."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def hive(self) -> str:
        """The month as a feed's folders write it: ``year=2013/month=01``."""
        return f"year={self.year:04d}/month={self.month:02d}"
