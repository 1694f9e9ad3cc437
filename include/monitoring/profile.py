"""What is kept of a set of rows to compare another set with it: counts in bins, means and variances. A few kB of JSON.

The bins are always the reference's:

- numeric: one for missing values; one for each value that alone holds at least 20 % of the reference's rows (the zeros
  of rain, the best visibility), because between the quantiles of such a column there is nothing left to see; and the
  intervals ``(-inf, e1], (e1, e2], … (ek, inf)`` between the deciles of all other values, equal deciles merged;
- categorical: one for missing values, one for each category that holds at least 1 % of the reference's rows, and one
  for all rarer and unseen ones.

What it does not do: read rows (``include.monitoring.drift``). Light: DAG files may import it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

OWN_BIN_SHARE = 0.2
RARE_SHARE = 0.01


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NumericBins(_Record):
    """Where a numeric feature is cut: values with a bin of their own, and the upper ends of the intervals."""

    kind: Literal["numeric"] = "numeric"
    own_values: tuple[float, ...]
    edges: tuple[float, ...]


class NumericProfile(NumericBins):
    """``counts``: missing, then each own value, then each interval. Mean and variance are those of the known values."""

    counts: tuple[NonNegativeInt, ...]
    mean: float | None
    variance: float | None


class CategoricalBins(_Record):
    """The categories that have a bin."""

    kind: Literal["categorical"] = "categorical"
    categories: tuple[str, ...]


class CategoricalProfile(CategoricalBins):
    """``counts``: missing, then each category, then all others together."""

    counts: tuple[NonNegativeInt, ...]


Bins = NumericBins | CategoricalBins
FeatureProfile = Annotated[NumericProfile | CategoricalProfile, Field(discriminator="kind")]


class Profile(_Record):
    """A set of rows, profiled: the reference, or a month in the reference's bins."""

    rows: PositiveInt
    features: dict[str, FeatureProfile]
