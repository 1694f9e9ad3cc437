"""How far two profiles in the same bins lie apart: PSI and effect sizes. Pure arithmetic on counts.

No p-values: with the tens of thousands of rows of a month every test of equality rejects, however small the difference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from include.monitoring.measures import FeatureDrift, MonthDrift
from include.monitoring.profile import NumericProfile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.monitoring.profile import FeatureProfile, Profile

# what every bin of both sides is given on top of its count, so that no share is 0
SMOOTHING = 0.5


def psi(reference: Sequence[int], current: Sequence[int]) -> float:
    """Return the population stability index of two sets of counts in the same bins.

    ``sum((q - p) ln(q / p))`` over the shares p and q (Siddiqi, Credit Risk Scorecards, 2006), which is Jeffreys'
    symmetric divergence of the two. Each share is ``(count + 1/2) / (rows + bins / 2)``, on both sides alike, so an
    empty bin gives a finite value and exchanging the sides changes nothing. Customary reading: below 0.1 stable, above
    0.2 moved.
    """
    total = 0.0
    for expected, actual in zip(_shares(reference), _shares(current), strict=True):
        total += (actual - expected) * math.log(actual / expected)
    return max(total, 0.0)


def cohens_d(reference: NumericProfile, current: NumericProfile) -> float | None:
    """Return the difference of the means in units of the pooled standard deviation; positive: ``current`` lies higher.

    Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd edition 1988, chapter 2; customary reading of its
    size: 0.2 small, 0.5 medium, 0.8 large. None when a side has fewer than two values or neither side varies.
    """
    if (
        reference.mean is None
        or current.mean is None
        or reference.variance is None
        or current.variance is None
        or reference.variance + current.variance == 0
    ):
        return None
    weight, other = _known(reference) - 1, _known(current) - 1
    pooled = (weight * reference.variance + other * current.variance) / (weight + other)
    return (current.mean - reference.mean) / math.sqrt(pooled)


def cramers_v(reference: Sequence[int], current: Sequence[int]) -> float | None:
    """Return Cramér's V of "which of the two sets" against the bins: 0 alike, 1 nothing in common.

    ``sqrt(chi² / n)`` for a table of two rows (Cramér, Mathematical Methods of Statistics, 1946, chapter 21), without a
    correction for chance, which is about ``sqrt((bins - 1) / n)``. None when only one bin is filled.
    """
    rows, other = sum(reference), sum(current)
    filled = [(here, there) for here, there in zip(reference, current, strict=True) if here + there]
    if len(filled) < 2:  # noqa: PLR2004 - the table has one column
        return None
    # the two terms of each column of the table, put together
    chi_squared = math.fsum((here * other - there * rows) ** 2 / (here + there) for here, there in filled)
    return min(math.sqrt(chi_squared / (rows * other) / (rows + other)), 1.0)


def compare(reference: Profile, current: Profile) -> MonthDrift:
    """Return how far ``current``, counted in the bins of ``reference``, lies from it."""
    return MonthDrift(
        rows=current.rows,
        features={name: _drift(reference.features[name], current.features[name]) for name in reference.features},
    )


def _drift(reference: FeatureProfile, current: FeatureProfile) -> FeatureDrift:
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        effect_size = cohens_d(reference, current)
    else:
        effect_size = cramers_v(reference.counts, current.counts)
    return FeatureDrift(
        kind=reference.kind,
        psi=psi(reference.counts, current.counts),
        effect_size=effect_size,
        missing_reference=reference.counts[0] / sum(reference.counts),
        missing_current=current.counts[0] / sum(current.counts),
    )


def _known(profile: NumericProfile) -> int:
    return sum(profile.counts[1:])


def _shares(counts: Sequence[int]) -> list[float]:
    rows = sum(counts) + SMOOTHING * len(counts)
    return [(count + SMOOTHING) / rows for count in counts]
