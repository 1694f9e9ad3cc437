"""The hyperparameters that a tuning job varies: three kinds of range, and how a range is scaled.

A point of the space is one number between 0 and 1 for each parameter; `values` turns it into what a training job gets.
"""

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Values = dict[str, str]


@dataclass(frozen=True)
class NumericRange:
    """An integer or continuous range; `scaling` is Linear, Logarithmic or ReverseLogarithmic."""

    name: str
    low: float
    high: float
    scaling: str
    whole: bool

    def value(self, unit: float) -> str:
        """Return the value at `unit`, as a hyperparameter's text."""
        if self.whole and self.scaling == "Linear":
            # each integer is as likely as any other
            return str(min(int(self.low) + int(unit * (self.high - self.low + 1)), int(self.high)))
        low, high = self._scaled(self.low), self._scaled(self.high)
        value = min(max(self._unscaled(low + unit * (high - low)), self.low), self.high)
        return str(round(value)) if self.whole else repr(value)

    def coordinates(self, value: str) -> list[float]:
        """Return where a value lies between the ends of the range."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return [(self._scaled(float(value)) - low) / (high - low) if high > low else 0.0]

    def _scaled(self, value: float) -> float:
        if self.scaling == "Logarithmic":
            return math.log(value)
        return -math.log(1 - value) if self.scaling == "ReverseLogarithmic" else value

    def _unscaled(self, value: float) -> float:
        if self.scaling == "Logarithmic":
            return math.exp(value)
        return 1 - math.exp(-value) if self.scaling == "ReverseLogarithmic" else value


@dataclass(frozen=True)
class Choice:
    """A categorical range."""

    name: str
    choices: tuple[str, ...]

    def value(self, unit: float) -> str:
        """Return the choice at `unit`."""
        return self.choices[min(int(unit * len(self.choices)), len(self.choices) - 1)]

    def coordinates(self, value: str) -> list[float]:
        """Return a coordinate for each choice: all choices are equally far from each other."""
        return [float(value == choice) for choice in self.choices]


@dataclass(frozen=True)
class Space:
    """All ranges of a tuning job."""

    ranges: tuple[NumericRange | Choice, ...]

    def values(self, point: Sequence[float]) -> Values:
        """Return the hyperparameters at a point."""
        return {item.name: item.value(unit) for item, unit in zip(self.ranges, point, strict=True)}

    def coordinates(self, values: Mapping[str, str]) -> list[float]:
        """Return where hyperparameters lie, for a measure of how far they are from others."""
        return [number for item in self.ranges for number in item.coordinates(values[item.name])]

    def draw(self, generator: random.Random) -> Values:
        """Return hyperparameters at a random point."""
        return self.values([generator.random() for _ in self.ranges])

    def combinations(self) -> Iterator[Values]:
        """Return every combination of choices; numeric ranges have none."""
        names = [item.name for item in self.ranges]
        choices = [item.choices for item in self.ranges if isinstance(item, Choice)]
        return (dict(zip(names, combination, strict=True)) for combination in itertools.product(*choices))
