"""What a promotion record says. The record is the truth about a model's releases; registries only mirror it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, TypeAdapter


class ClassificationMetrics(BaseModel):
    """How a binary classification did on one month.

    ``skill`` is the Brier skill score against the month's own base rate p: 1 - brier / (p (1 - p)); 0 is no better than
    always saying p (Wilks, Statistical Methods in the Atmospheric Sciences, chapter on forecast verification).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    roc_auc: Annotated[float, Field(ge=0, le=1)]
    log_loss: Annotated[float, Field(ge=0)]
    brier: Annotated[float, Field(ge=0, le=1)]
    skill: Annotated[float, Field(le=1)]
    rows: PositiveInt


class RegressionMetrics(BaseModel):
    """How a regression did on one month, in the label's own unit.

    ``skill`` is R² on that month: 1 - mean squared error / variance of the month's labels; 0 is no better than always
    saying the month's own mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rmse: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    mae: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    skill: Annotated[float, Field(le=1, allow_inf_nan=False)]
    rows: PositiveInt


# Each needs a figure that the other forbids, so JSON says which of them it is without a word of its own for it.
Metrics = ClassificationMetrics | RegressionMetrics


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    holdout_month: str
    rows: PositiveInt


class ClassificationReport(_Report):
    """Each compared classification on one holdout, and the share of ones among its labels."""

    base_rate: Annotated[float, Field(ge=0, le=1)]
    models: dict[str, ClassificationMetrics]


class RegressionReport(_Report):
    """Each compared regression on one holdout, and its labels' mean and standard deviation."""

    label_mean: float
    label_deviation: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    models: dict[str, RegressionMetrics]


EvaluationReport = ClassificationReport | RegressionReport
_REPORT: TypeAdapter[EvaluationReport] = TypeAdapter(EvaluationReport)


def read_report(content: bytes | str) -> EvaluationReport:
    """Read ``evaluation.json``, which an evaluation job writes."""
    return _REPORT.validate_json(content)


class Candidate(BaseModel):
    """A trained model before anything is decided about it: where it came from and how it did on the holdout.

    ``artifact`` is the address of its model.tar.gz, ``code`` of its code package, ``evaluation`` of the report.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    platform: str
    job_name: str
    artifact: str
    artifact_sha256: str
    code: str
    image: str
    trained_on: list[str]
    holdout_month: str
    evaluation: str
    metrics: Metrics


class Decision(BaseModel):
    """Whether a candidate becomes the champion, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["promote", "reject"]
    reason: str


class PromotionRecord(Candidate, Decision):
    """One line of a model's history: the candidate, the champion it was compared with, the decision."""

    version: PositiveInt
    champion_version: int | None
    champion_metrics: Metrics | None
    decided_at: datetime

    @property
    def promoted(self) -> bool:
        """Whether this record made its candidate the champion."""
        return self.decision == "promote"
