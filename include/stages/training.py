"""The tasks of ``train_<model>``: which months, which jobs, and what becomes of the candidate."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from include.core.due import NotDue, labelled_months, training_window
from include.core.errors import ArtifactError, RecordConflict
from include.core.promotion import Candidate, read_report
from include.core.snapshots import months_below
from include.evaluation.gate import decide, refuse_unfair_holdout
from include.jobs.code_package import CodePackage, publish_code
from include.jobs.requests import evaluation_request, publish_channel, serving_image, training_request
from include.registry.promotions import append_record, current_champion, promotion_records, record_of_job

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.core.due import Window
    from include.core.lake import Lake
    from include.core.model_spec import ModelSpec
    from include.core.months import Month
    from include.core.promotion import PromotionRecord
    from include.core.snapshots import Snapshot
    from include.jobs.result import JobResult


class TrainingPlan(BaseModel, frozen=True):
    """What a candidate is trained and compared on.

    ``training`` and ``holdout`` hold the addresses of the S3 manifests of features and labels; ``champion_version`` is
    the champion that the candidate will be compared with.
    """

    trained_on: list[str]
    holdout_month: str
    code: CodePackage
    training: dict[str, str]
    holdout: dict[str, str]
    champion_version: int | None


def training_due(lake: Lake, spec: ModelSpec, *, again: bool = False) -> Window | NotDue:
    """Return the window of the training that is due by what the lake holds.

    Nothing is due when a candidate of this window became the champion or was compared with it already; ``again`` asks
    for it all the same.
    """
    window = training_window(_labelled(lake, spec), spec.training.window)
    if isinstance(window, NotDue) or again:
        return window
    champion = current_champion(lake, spec.name)
    version = champion.version if champion else None
    for record in promotion_records(lake, spec.name):
        same_window = (record.trained_on, record.holdout_month) == (
            [str(each) for each in window.train],
            str(window.holdout),
        )
        if same_window and version in {record.version, record.champion_version}:
            return NotDue(
                f"version {record.version}, trained on {', '.join(record.trained_on)} and compared on "
                f"{record.holdout_month}, was decided about: {record.decision}"
            )
    return window


def plan_training(lake: Lake, spec: ModelSpec, *, again: bool = False) -> TrainingPlan | NotDue:
    """Choose window and holdout by what the lake holds, and publish the code and the lists of files.

    Raises:
        EvaluationRefused: the champion was trained on the month that would be the holdout.
    """
    window = training_due(lake, spec, again=again)
    if isinstance(window, NotDue):
        return window
    featured = months_below(lake, f"features/{spec.name}")
    champion = current_champion(lake, spec.name)
    trained_on = [str(month) for month in window.train]
    refuse_unfair_holdout(
        str(window.holdout),
        {"the candidate": trained_on} | ({"the champion": champion.trained_on} if champion else {}),
    )
    return TrainingPlan(
        trained_on=trained_on,
        holdout_month=str(window.holdout),
        code=publish_code(lake, spec.name),
        training=_channels(lake, spec, (featured[month] for month in window.train)),
        holdout=_channels(lake, spec, [featured[window.holdout]]),
        champion_version=champion.version if champion else None,
    )


def request_training(lake: Lake, spec: ModelSpec, plan: TrainingPlan, role: str) -> dict[str, Any]:
    """Return the training job's request."""
    return training_request(spec, lake, plan.code, plan.training, role)


def request_evaluation(
    lake: Lake, spec: ModelSpec, plan: TrainingPlan, training: JobResult, role: str
) -> dict[str, Any]:
    """Return the request of the job that compares the candidate with the champion on the holdout."""
    candidate = (training.artifacts["model"], plan.code)
    champion = current_champion(lake, spec.name)
    others = {"champion": (champion.artifact, CodePackage(uri=champion.code))} if champion else {}
    return evaluation_request(spec, lake, plan.holdout_month, plan.holdout, candidate, others, role)


def record_decision(
    lake: Lake, spec: ModelSpec, plan: TrainingPlan, training: JobResult, evaluation: JobResult
) -> PromotionRecord:
    """Decide about the candidate and record it; a candidate that is recorded already keeps its record.

    Args:
        lake: Where the report is read and the record is written.
        spec: The model.
        plan: What the candidate was trained and compared on.
        training: The training job.
        evaluation: The evaluation job.

    Raises:
        ArtifactError: the artifact or the report is missing.
        RecordConflict: the champion changed since the candidate was compared with it.
    """
    known = record_of_job(lake, spec.name, training.job_name)
    if known is not None:
        return known
    champion = current_champion(lake, spec.name)
    if (champion.version if champion else None) != plan.champion_version:
        raise RecordConflict(
            f"champion of {spec.name}",
            f"it was version {plan.champion_version} when the candidate was compared with it and is another one now",
            rule="a candidate is compared with the champion that it would replace",
            remedy="run the training again",
        )
    report_uri = f"{evaluation.artifacts['evaluate']}/evaluation.json"
    report = read_report(_content(lake, report_uri))
    artifact = training.artifacts["model"]
    candidate = Candidate(
        model=spec.name,
        platform="sagemaker",
        job_name=training.job_name,
        artifact=artifact,
        artifact_sha256=hashlib.sha256(_content(lake, artifact)).hexdigest(),
        code=plan.code.uri,
        image=serving_image(spec),
        trained_on=plan.trained_on,
        holdout_month=report.holdout_month,
        evaluation=report_uri,
        metrics=report.models["candidate"],
    )
    champion_metrics = report.models.get("champion")
    return append_record(
        lake,
        candidate,
        champion.model_copy(update={"metrics": champion_metrics}) if champion else None,
        decide(spec.gate, candidate.metrics, champion_metrics),
    )


def _labelled(lake: Lake, spec: ModelSpec) -> list[Month]:
    landed = months_below(lake, f"raw/{spec.source}")
    featured = months_below(lake, f"features/{spec.name}")
    return [month for month in labelled_months(landed, spec.label_delay_months) if month in featured]


def _channels(lake: Lake, spec: ModelSpec, snapshots: Iterable[Snapshot]) -> dict[str, str]:
    months = list(snapshots)
    return {
        name: publish_channel(lake, spec.name, [snapshot.files[name].key for snapshot in months])
        for name in ("features", "labels")
    }


def _content(lake: Lake, uri: str) -> bytes:
    content = lake.read_bytes(lake.key(uri))
    if not content:
        raise ArtifactError(
            uri,
            "it is missing or empty",
            rule="a job that ended as Completed wrote it",
            remedy="read the job's log and run the training again",
        )
    return content
