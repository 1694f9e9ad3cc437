"""The google provider's transfers, operators, sensors and hooks of Cloud Storage, unmodified, by variables alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.google_cloud.conftest import run_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.google_cloud.conftest import GoogleClients


@pytest.mark.verify  # imports much of Airflow's provider; test_door shows hooks in a program of their own always
def test_transfers(google_cloud: GoogleClients, tmp_path: Path) -> None:
    """Objects come from the disk and from S3, are copied by name, wildcard, pattern and folder, moved and mirrored."""
    s3 = google_cloud.cloud.client("s3")
    s3.create_bucket(Bucket="from-s3")
    months = {f"months/2013-0{number}.bin": bytes([number]) * 9_000_000 for number in (1, 2)}
    for key, body in months.items():
        s3.put_object(Bucket="from-s3", Key=key, Body=body)
    buckets = {name: google_cloud.storage.create_bucket(name) for name in ("source", "target")}
    (tmp_path / "files").mkdir()
    variables = {**google_cloud.variables(), "AIRFLOW_HOME": str(tmp_path / "airflow")}
    answer = run_program("transfers.py", variables, str(tmp_path / "files"))
    assert answer == {
        "from S3": ["months/2013-01.bin", "months/2013-02.bin"],
        "from S3 again": [],
        "listed": [
            "moved.csv",
            "object/a.csv",
            "pattern/a.csv",
            "pattern/b.csv",
            "wildcard/a.csv",
            "wildcard/b.csv",
        ],
        "exists": True,
        "prefix": False,
        "back": "a.csv",
        "composed": "a.csvb.csv",
        "size": 10,
        "token": True,
        "async": "by a trigger",
        "file": "by a file system",
        "folders": [
            "target/async",
            "target/composed",
            "target/file",
            "target/folder",
            "target/moved.csv",
            "target/object",
            "target/wildcard",
        ],
    }
    kept = {blob.name: blob.download_as_bytes() for blob in buckets["source"].list_blobs()}
    files = {f"in/{name}": name.encode() for name in ("a.csv", "b.csv", "c.txt")}
    assert kept == {**files, **{f"s3/{key}": body for key, body in months.items()}}
    kept = {blob.name: blob.download_as_bytes() for blob in buckets["target"].list_blobs()}
    assert kept == {
        "async": b"by a trigger",
        "composed": b"a.csvb.csv",
        "file": b"by a file system",
        **{f"folder/{key}": body for key, body in months.items()},
        "moved.csv": b"a.csv",
        "object/a.csv": b"a.csv",
        "wildcard/a.csv": b"a.csv",
        "wildcard/b.csv": b"b.csv",
    }
    mirrored = [blob.name for blob in google_cloud.storage.bucket("mirror").list_blobs(prefix="folder/")]
    assert mirrored == [f"folder/{key}" for key in months]
