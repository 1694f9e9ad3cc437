"""The tasks of ``score_<model>``: which months, with which champion, and the predictions' way into the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from include.core.due import NotDue, months_to_score
from include.core.months import Month
from include.core.snapshots import months_below
from include.jobs import requests
from include.jobs.code_package import CodePackage
from include.registry.promotions import current_champion
from include.registry.verification import verify_artifact

if TYPE_CHECKING:
    from include.core.lake import Lake
    from include.core.model_spec import ModelSpec
    from include.jobs.result import JobResult


class ScoredMonth(BaseModel, frozen=True):
    """Predictions of one month in the lake: how many, where, and by which version of the model."""

    month: str
    rows: int
    predictions: str
    model_version: int


class MonthToScore(BaseModel, frozen=True):
    """One month to score: its features by digest and address, and the folder of the transform jobs' output."""

    month: str
    features_digest: str
    features: str
    output: str


class ScoringPlan(BaseModel, frozen=True):
    """Which months the champion scores, and the request of the model that does it."""

    model_version: int
    model: dict[str, Any]
    months: list[MonthToScore]


def plan_scoring(lake: Lake, spec: ModelSpec, role: str) -> ScoringPlan | NotDue:
    """Find the months that have features and no predictions from them, and the champion that scores them.

    Raises:
        ArtifactError: the champion's artifact is missing or is not the one that was released.
    """
    champion = current_champion(lake, spec.name)
    if champion is None:
        return NotDue(f"{spec.name} has no champion yet")
    featured = months_below(lake, f"features/{spec.name}")
    predicted = months_below(lake, f"predictions/{spec.name}")
    up_to_date = {
        month
        for month, predictions in predicted.items()
        if month in featured and predictions.inputs["features"] == featured[month].digest
    }
    due = months_to_score(featured, up_to_date, Month.parse(champion.holdout_month))
    if not due:
        return NotDue(f"every month after {champion.holdout_month} that has features is scored")
    verify_artifact(lake, champion)
    return ScoringPlan(
        model_version=champion.version,
        model=requests.model_request(spec, champion.image, champion.artifact, CodePackage(uri=champion.code), role),
        months=[
            MonthToScore(
                month=str(month),
                features_digest=featured[month].digest,
                features=lake.uri(featured[month].files["features"].key),
                output=requests.scoring_output(spec, lake),
            )
            for month in due
        ],
    )


def request_transform(spec: ModelSpec, scored: MonthToScore, model_name: str) -> dict[str, Any]:
    """Return the request of the job that scores a month with the SageMaker model of that name."""
    return requests.transform_request(spec, scored.features, scored.output, model_name)


def take_predictions(
    lake: Lake, spec: ModelSpec, scored: MonthToScore, model_version: int, transform: JobResult
) -> ScoredMonth:
    """Check a transform job's output against the month's features and make it the month's predictions.

    Raises:
        ArtifactError: the output is missing or does not belong to the features.
    """
    from include.warehouse.predictions import publish_predictions  # noqa: PLC0415 - only this task pays for pandas

    output = f"{transform.artifacts['predictions']}/{scored.features.rpartition('/')[2]}.out"
    snapshot = publish_predictions(
        lake,
        spec,
        Month.parse(scored.month),
        features_uri=scored.features,
        output_uri=output,
        inputs={"features": scored.features_digest, "model_version": str(model_version)},
    )
    file = snapshot.files["predictions"]
    return ScoredMonth(month=scored.month, rows=file.rows, predictions=lake.uri(file.key), model_version=model_version)
