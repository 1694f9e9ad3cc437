"""A Gaussian process over a handful of observations: what Bayesian optimisation believes about untried points.

Pure Python, because the server carries no numerical library: a kernel Matérn 5/2 with one length scale for all
coordinates, which is the one of a few candidates that explains the observations best (marginal likelihood).
Observations are standardised; a small noise is assumed.
"""

import math
from collections.abc import Sequence

_LENGTHS = (0.1, 0.2, 0.4, 0.8, 1.6)
_NOISE = 1e-3
_ROOT_5 = math.sqrt(5)
Point = Sequence[float]


class GaussianProcess:
    """The posterior after some observations; lower values of `ys` are better."""

    def __init__(self, xs: Sequence[Point], ys: Sequence[float]) -> None:
        """Fit; one observation is enough."""
        self._xs = list(xs)
        self._mean = sum(ys) / len(ys)
        # observations that are all the same have no spread to divide by
        self._spread = math.sqrt(sum((y - self._mean) ** 2 for y in ys) / len(ys)) or 1.0
        targets = [(y - self._mean) / self._spread for y in ys]
        fits = [_Fit(self._xs, targets, length) for length in _LENGTHS]
        self._fit = max(fits, key=lambda fit: fit.likelihood)
        self._best = min(ys)

    def predict(self, point: Point) -> tuple[float, float]:
        """Return mean and standard deviation at a point."""
        kernel = [_kernel(point, x, self._fit.length) for x in self._xs]
        mean = sum(weight * near for weight, near in zip(self._fit.weights, kernel, strict=True))
        explained = sum(value * value for value in _forward(self._fit.lower, kernel))
        return self._mean + self._spread * mean, self._spread * math.sqrt(max(1 - explained, 1e-12))

    def expected_improvement(self, point: Point) -> float:
        """Return by how much a point is expected to undercut the best observation."""
        mean, deviation = self.predict(point)
        gain = (self._best - mean) / deviation
        density = math.exp(-gain * gain / 2) / math.sqrt(2 * math.pi)
        below = (1 + math.erf(gain / math.sqrt(2))) / 2
        return (self._best - mean) * below + deviation * density


class _Fit:
    """The process with one length scale: the Cholesky factor of its covariance and the weights of observations."""

    def __init__(self, xs: Sequence[Point], targets: Sequence[float], length: float) -> None:
        self.length = length
        covariance = [[_kernel(a, b, length) + (_NOISE if a is b else 0.0) for b in xs] for a in xs]
        self.lower = _cholesky(covariance)
        half = _forward(self.lower, targets)
        self.weights = _backward(self.lower, half)
        determinant = sum(math.log(self.lower[i][i]) for i in range(len(xs)))
        self.likelihood = -sum(value * value for value in half) / 2 - determinant


def _kernel(a: Point, b: Point, length: float) -> float:
    distance = _ROOT_5 * math.dist(a, b) / length
    return (1 + distance + distance * distance / 3) * math.exp(-distance)


def _cholesky(matrix: list[list[float]]) -> list[list[float]]:
    lower: list[list[float]] = []
    for i, row in enumerate(matrix):
        new: list[float] = []
        for j in range(i):
            new.append((row[j] - sum(a * b for a, b in zip(new, lower[j], strict=False))) / lower[j][j])
        new.append(math.sqrt(max(row[i] - sum(a * a for a in new), _NOISE * _NOISE)))
        lower.append(new)
    return lower


def _forward(lower: list[list[float]], right: Sequence[float]) -> list[float]:
    solved: list[float] = []
    for row, value in zip(lower, right, strict=True):
        solved.append((value - sum(a * b for a, b in zip(row, solved, strict=False))) / row[-1])
    return solved


def _backward(lower: list[list[float]], right: Sequence[float]) -> list[float]:
    count = len(lower)
    solved = [0.0] * count
    for i in reversed(range(count)):
        rest = sum(lower[k][i] * solved[k] for k in range(i + 1, count))
        solved[i] = (right[i] - rest) / lower[i][i]
    return solved
