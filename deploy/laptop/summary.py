"""What a run of the pipeline came to, as ``summary.json`` states it: read from the lake and from Airflow.

The form::

    months    [{month, rows_in, rows_quarantined}]
    models    [{version, platform, job_name, trained_on, artifact, artifact_sha256, holdout_month,
                metrics {roc_auc, log_loss, brier, skill, rows}, decision, reason}]
    scores    [{month, rows, predictions, model_version, roc_auc, skill, max_psi}]
    decisions [{as_of, champion_version, decision, reason, evidence_month}]
    plots     [address]
    dag_runs  [{dag_id, run_id, state, seconds, tasks [{task_id, map_index, state, seconds}]}]
    seconds   {setup, cloud_ready, airflow_ready, pipeline}

``predictions``, ``artifact`` and ``plots`` are addresses in the lake. ``roc_auc``, ``skill`` and ``max_psi`` of a score
are what monitoring measured; where a month's labels have not arrived, ``roc_auc`` and ``skill`` are hindsight: the
pipeline does not know them yet, so the verifier fills them in from the data package. ``seconds.setup`` is what the last
``make setup`` took that had something to do, null when there was none.

What it does not do: judge (``verifier``) or recompute anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.core.lake import Lake, monitoring_prefix, promotions_prefix
from include.core.snapshots import months_below
from include.monitoring.decisions import decisions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3.client import S3Client

    from deploy.laptop.airflow_rest import AirflowRest

LAKE = "s3://flightdeck-lake"
MODEL = "flight_delay"
SOURCE = "flights"
_MODEL_FIELDS = (
    "version",
    "platform",
    "job_name",
    "trained_on",
    "artifact",
    "artifact_sha256",
    "holdout_month",
    "metrics",
    "decision",
    "reason",
)


def build_summary(client: S3Client, rest: AirflowRest, seconds: Mapping[str, float | None]) -> dict[str, Any]:
    """Return the summary of everything that the lake and Airflow hold."""
    lake = Lake(client, LAKE)
    return {
        "months": _months(lake),
        "models": _models(lake),
        "scores": _scores(lake),
        "decisions": _decisions(lake),
        "plots": [lake.uri(key) for key in lake.keys(f"{monitoring_prefix(MODEL)}/month=") if key.endswith(".png")],
        "dag_runs": _dag_runs(rest),
        "seconds": {name: None if value is None else round(value, 2) for name, value in seconds.items()},
    }


def _months(lake: Lake) -> list[dict[str, Any]]:
    kept = {
        str(month): {"month": str(month), "rows_in": snapshot.files[SOURCE].rows, "rows_quarantined": 0}
        for month, snapshot in months_below(lake, f"raw/{SOURCE}").items()
    }
    for key in lake.keys(f"quarantine/{SOURCE}/month="):
        report = lake.read_json(key) if key.endswith("/report.json") else None
        if report is not None and report["month"] not in kept:
            kept[report["month"]] = {name: report[name] for name in ("month", "rows_in", "rows_quarantined")}
    return [kept[month] for month in sorted(kept)]


def _models(lake: Lake) -> list[dict[str, Any]]:
    records = [lake.read_json(key) for key in lake.keys(f"{promotions_prefix(MODEL)}/")]
    return [{name: record[name] for name in _MODEL_FIELDS} for record in records]


def _scores(lake: Lake) -> list[dict[str, Any]]:
    reports = {
        str(month): lake.read_json(snapshot.files["report"].key)
        for month, snapshot in months_below(lake, monitoring_prefix(MODEL)).items()
    }
    scores = []
    for month, snapshot in months_below(lake, f"predictions/{MODEL}").items():
        report = reports.get(str(month), {})
        performance = report.get("performance") or {}
        scores.append(
            {
                "month": str(month),
                "rows": snapshot.files["predictions"].rows,
                "predictions": lake.uri(snapshot.files["predictions"].key),
                "model_version": int(snapshot.inputs["model_version"]),
                "roc_auc": performance.get("roc_auc"),
                "skill": performance.get("skill"),
                "max_psi": report.get("max_psi"),
            }
        )
    return scores


def _decisions(lake: Lake) -> list[dict[str, Any]]:
    return [
        {
            name: getattr(decision, name)
            for name in ("as_of", "champion_version", "decision", "reason", "evidence_month")
        }
        for decision in decisions(lake, MODEL)
    ]


def _dag_runs(rest: AirflowRest) -> list[dict[str, Any]]:
    tasks: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for task in sorted(rest.task_instances(), key=lambda task: (task.started is None, task.started, task.task_id)):
        tasks.setdefault((task.dag_id, task.run_id), []).append(
            {"task_id": task.task_id, "map_index": task.map_index, "state": task.state, "seconds": task.seconds}
        )
    return [
        {
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "state": run.state,
            "seconds": run.seconds,
            "tasks": tasks.get((run.dag_id, run.run_id), []),
        }
        for run in rest.dag_runs()
    ]
