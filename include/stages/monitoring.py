"""The tasks of ``monitor_<model>``: which months are measured, the picture of them, and whether to train again.

A month is measured from the champion's holdout on: its drift against the training months of the version that scored it,
and its performance once its labels have arrived. While it is not scored, it is compared with the training of the
champion at its first measure: a later version may have been trained on a month that was the holdout of an earlier one.
A measured month is due again when its features, its predictions, its labels or that version changed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.core.due import NotDue, labelled_months, months_to_score
from include.core.lake import monitoring_prefix
from include.core.months import Month
from include.core.snapshots import months_below, read_snapshot, write_snapshot
from include.jobs.code_package import publish_code
from include.jobs.requests import plot_request, publish_channel
from include.monitoring.decisions import record_decision
from include.monitoring.measures import MonthMeasures, month_measures
from include.monitoring.retraining import RetrainingDecision, decide_retraining
from include.registry.promotions import current_champion, promotion_records
from include.stages.training import training_due

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.core.lake import Lake
    from include.core.model_spec import ModelSpec
    from include.core.promotion import PromotionRecord
    from include.core.snapshots import Snapshot
    from include.jobs.result import JobResult

REPORT = "report"


def measure_due_months(lake: Lake, spec: ModelSpec) -> list[str]:
    """Measure each due month into ``monitoring/<model>/month=…`` and return those months."""
    records = {record.version: record for record in promotion_records(lake, spec.name)}
    champion = current_champion(lake, spec.name)
    if champion is None:
        return []
    featured = months_below(lake, f"features/{spec.name}")
    predicted = months_below(lake, f"predictions/{spec.name}")
    measured = months_below(lake, monitoring_prefix(spec.name))
    labelled = set(labelled_months(months_below(lake, f"raw/{spec.source}"), spec.label_delay_months))
    first = min(Month.parse(record.holdout_month) for record in records.values() if record.promoted)
    done = []
    for month, features in featured.items():
        if month < first:
            continue
        predictions = predicted.get(month)
        version = _reference_version(predictions, measured.get(month), champion)
        inputs = {
            "features": features.digest,
            "predictions": predictions.digest if predictions else "",
            "labels": features.files["labels"].sha256 if month in labelled else "",
            "model_version": str(version),
        }
        if month in measured and measured[month].inputs == inputs:
            continue
        reference = [featured[Month.parse(each)] for each in records[version].trained_on]
        scored = predictions if month in labelled else None
        _measure(lake, spec, month, records[version], features, reference, scored, inputs)
        done.append(str(month))
    return done


def decide_about_retraining(lake: Lake, spec: ModelSpec) -> RetrainingDecision | NotDue:
    """Decide once for this as-of month and champion; return the decision when a training has to follow from it.

    A training that was asked for and left no promotion record is asked for again: an event can be lost, a job can fail.
    """
    landed = months_below(lake, f"raw/{spec.source}")
    if not landed:
        return NotDue("no month has landed")
    champion = current_champion(lake, spec.name)
    due = training_due(lake, spec)
    if champion is None and isinstance(due, NotDue):
        return due
    if champion is not None:
        labelled = labelled_months(landed, spec.label_delay_months)
        predicted = months_below(lake, f"predictions/{spec.name}")
        unscored = months_to_score(labelled, predicted, Month.parse(champion.holdout_month))
        if unscored:
            return NotDue(f"version {champion.version} is judged when it has scored {', '.join(map(str, unscored))}")
    measured = [
        MonthMeasures.model_validate(lake.read_json(snapshot.files[REPORT].key))
        for snapshot in months_below(lake, monitoring_prefix(spec.name)).values()
    ]
    decision = record_decision(
        lake,
        decide_retraining(
            spec.monitoring, model=spec.name, as_of=max(landed), champion=champion, measured=measured, window=due
        ),
    )
    if decision.decision == "keep":
        return NotDue(f"as of {decision.as_of}, version {decision.champion_version} stays: {decision.reason}")
    if isinstance(due, NotDue):
        return NotDue(f"as of {decision.as_of} a training was asked for ({decision.reason}); {due.reason}")
    return decision


def request_plots(lake: Lake, spec: ModelSpec, months: list[str], role: str) -> dict[str, Any] | NotDue:
    """Return the request of the job that draws each measured month."""
    if not months:
        return NotDue("no month was measured")
    reports = publish_channel(lake, spec.name, [_report(lake, spec, month).files[REPORT].key for month in months])
    return plot_request(spec, lake, publish_code(lake, spec.name), reports, role)


def keep_plots(lake: Lake, spec: ModelSpec, months: list[str], plotting: JobResult) -> list[str]:
    """Put each month's plot beside its report and return the addresses.

    Raises:
        ArtifactError: the job left no plot of a month.
    """
    folder = plotting.artifacts["plot"]
    kept = []
    with tempfile.TemporaryDirectory() as scratch:
        for month in months:
            plot = lake.download(lake.key(f"{folder}/{month}.png"), Path(scratch) / f"{month}.png")
            key = f"{monitoring_prefix(spec.name)}/month={month}/plot.png"
            lake.upload(plot, key)
            kept.append(lake.uri(key))
    return kept


def _reference_version(predictions: Snapshot | None, measured: Snapshot | None, champion: PromotionRecord) -> int:
    """Return the version against whose training months a month is compared."""
    if predictions is not None:
        return int(predictions.inputs["model_version"])
    return int(measured.inputs["model_version"]) if measured is not None else champion.version


def _measure(
    lake: Lake,
    spec: ModelSpec,
    month: Month,
    reference: PromotionRecord,
    features: Snapshot,
    reference_features: list[Snapshot],
    predictions: Snapshot | None,
    inputs: Mapping[str, str],
) -> None:
    from include.monitoring.drift import measure_drift, profile_reference  # noqa: PLC0415 - only this task needs duckdb
    from include.monitoring.performance import measure_performance  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def fetch(snapshot: Snapshot, file: str) -> Path:
            entry = snapshot.files[file]
            return lake.download(entry.key, folder / entry.sha256 / f"{file}.parquet", sha256=entry.sha256)

        profile = profile_reference([fetch(each, "features") for each in reference_features], spec.features)
        performance = (
            measure_performance(fetch(predictions, "predictions"), fetch(features, "labels"), spec.objective)
            if predictions
            else None
        )
        measures = month_measures(
            model=spec.name,
            month=str(month),
            reference_months=reference.trained_on,
            model_version=reference.version,
            drift=measure_drift(fetch(features, "features"), profile),
            performance=performance,
            scored_by=reference.version if predictions else None,
        )
        report = folder / "report.json"
        report.write_text(measures.model_dump_json(indent=2) + "\n", encoding="utf-8")
        prefix = f"{monitoring_prefix(spec.name)}/month={month}"
        write_snapshot(lake, prefix, month, {REPORT: (report, measures.rows)}, inputs)


def _report(lake: Lake, spec: ModelSpec, month: str) -> Snapshot:
    snapshot = read_snapshot(lake, f"{monitoring_prefix(spec.name)}/month={month}")
    if snapshot is None:
        message = f"{month} was measured and has no report"
        raise AssertionError(message)
    return snapshot
