"""What is measured of one month of a model, as typed records; ``MonthMeasures`` is the month's report in the lake.

What it does not do: measure (``include.monitoring.drift``, ``include.monitoring.performance``), judge
(``include.monitoring.retraining``). Light: DAG files may import it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

Share = Annotated[float, Field(ge=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureDrift(_Record):
    """How far one feature moved away from the reference.

    ``effect_size`` is Cohen's d of a numeric feature (positive: the month lies higher) and Cramér's V of a categorical
    one (0 to 1); None where the feature does not vary or has no values. ``missing_…`` are shares of the rows.
    """

    kind: Literal["numeric", "categorical"]
    psi: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    effect_size: Finite | None
    missing_reference: Share
    missing_current: Share


class MonthDrift(_Record):
    """The drift of a month's features."""

    rows: PositiveInt
    features: dict[str, FeatureDrift]


class ClassificationPerformance(_Record):
    """How well probabilities foretold labels 0 and 1.

    ``roc_auc`` and ``skill`` are None when only one of the labels occurs: then neither is defined.
    """

    rows: PositiveInt
    base_rate: Share
    roc_auc: Share | None
    log_loss: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    brier: Share
    skill: Annotated[float, Field(le=1, allow_inf_nan=False)] | None
    calibration_error: Share


class RegressionPerformance(_Record):
    """How well numbers were foretold; ``skill`` is None when all labels are equal."""

    rows: PositiveInt
    rmse: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    mae: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    skill: Annotated[float, Field(le=1, allow_inf_nan=False)] | None


Performance = ClassificationPerformance | RegressionPerformance


class MonthMeasures(_Record):
    """One month as the monitoring saw it.

    ``model_version`` is the champion whose training months, ``reference_months``, the inputs are compared with.
    ``scored_by`` is the version whose predictions ``performance`` measures; both are None while labels or predictions
    are missing.
    """

    model: str
    month: str
    rows: NonNegativeInt
    reference_months: list[str]
    model_version: PositiveInt
    drift: dict[str, FeatureDrift]
    max_psi: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    max_psi_feature: str
    performance: Performance | None
    scored_by: PositiveInt | None


def month_measures(
    *,
    model: str,
    month: str,
    reference_months: list[str],
    model_version: int,
    drift: MonthDrift,
    performance: Performance | None,
    scored_by: int | None,
) -> MonthMeasures:
    """Put a month's report together; of features with the same PSI the first by name is the largest."""
    largest = max(sorted(drift.features), key=lambda name: drift.features[name].psi)
    return MonthMeasures(
        model=model,
        month=month,
        rows=drift.rows,
        reference_months=reference_months,
        model_version=model_version,
        drift=drift.features,
        max_psi=drift.features[largest].psi,
        max_psi_feature=largest,
        performance=performance,
        scored_by=scored_by,
    )
