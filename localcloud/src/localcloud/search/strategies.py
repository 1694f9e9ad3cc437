"""How a tuning job chooses the hyperparameters of its next training job: Random, Grid, Bayesian.

Each strategy returns hyperparameters, or None when it has none left. Given the same RandomSeed, Random chooses the same
again; Bayesian does when its training jobs end in the same order with the same metrics.

What it does not do: Hyperband. What AWS's own Bayesian strategy does beyond a Gaussian process with an acquisition
function is not public; ours begins with random points, then takes, of some hundred random candidates, the one with the
largest expected improvement by the best observations so far. A training job that still runs counts as having met its
prediction.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from localcloud.search.space import Space, Values
from localcloud.search.surrogate import GaussianProcess

_CANDIDATES = 200
_RANDOM_AT_FIRST = 3
# a fit in pure Python costs the third power of this: 60 observations take about a tenth of a second
_OBSERVATIONS = 60


@dataclass(frozen=True)
class Observation:
    """The hyperparameters of a training job that has ended, and its metric: lower is better."""

    values: Values
    loss: float


class Strategy(Protocol):
    """Chooses the next training job's hyperparameters."""

    def propose(self, observed: Sequence[Observation], pending: Sequence[Values]) -> Values | None:
        """Return them, or None when there are no more to try."""


class RandomSearch:
    """Every point is as likely as any other."""

    def __init__(self, space: Space, generator: random.Random) -> None:
        """Draw from `space`."""
        self._space, self._generator = space, generator

    def propose(self, observed: Sequence[Observation], pending: Sequence[Values]) -> Values | None:  # noqa: ARG002
        """Return a random point."""
        return self._space.draw(self._generator)


class GridSearch:
    """Every combination of categorical values once."""

    def __init__(self, space: Space) -> None:
        """Begin with the first combination."""
        self._left = space.combinations()

    def propose(self, observed: Sequence[Observation], pending: Sequence[Values]) -> Values | None:  # noqa: ARG002
        """Return the next combination."""
        return next(self._left, None)


class BayesianSearch:
    """The point that promises most, by a Gaussian process over the jobs that have ended."""

    def __init__(self, space: Space, generator: random.Random) -> None:
        """Begin with random points."""
        self._space, self._generator = space, generator

    def propose(self, observed: Sequence[Observation], pending: Sequence[Values]) -> Values | None:
        """Return the most promising of some random points."""
        if len(observed) < _RANDOM_AT_FIRST:
            return self._space.draw(self._generator)
        known = sorted(observed, key=lambda item: item.loss)[:_OBSERVATIONS]
        xs = [self._space.coordinates(item.values) for item in known]
        losses = [item.loss for item in known]
        process = GaussianProcess(xs, losses)
        if pending:
            running = [self._space.coordinates(values) for values in pending]
            process = GaussianProcess([*xs, *running], [*losses, *(process.predict(x)[0] for x in running)])
        candidates = [self._space.draw(self._generator) for _ in range(_CANDIDATES)]
        return max(candidates, key=lambda values: process.expected_improvement(self._space.coordinates(values)))


def make_strategy(name: str, space: Space, seed: int | None) -> Strategy:
    """Return a strategy by its name: Grid, Bayesian, or else Random."""
    if name == "Grid":
        return GridSearch(space)
    generator = random.Random(seed)  # noqa: S311 - hyperparameters are no secrets
    return BayesianSearch(space, generator) if name == "Bayesian" else RandomSearch(space, generator)
