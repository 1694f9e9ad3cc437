"""Land a month of data in the feed bucket, as a source's owner would: real flights, or the files of a folder.

How it works: the month's files are put first and ``manifest.json``, which names their row counts and digests, last;
who waits for the manifest never sees half a month. The same month always lands as the same bytes.

What it does not do: tell anybody. ``ingest`` sees the manifest because it looks for it.

    python -m deploy.laptop.landing 2013-05 [--root .local/cloud | --endpoint http://127.0.0.1:4567]
    python -m deploy.laptop.landing 2013-05 --source weather_station --files <folder>
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import json
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from deploy.laptop.cloud import running_cloud, s3_client
from deploy.laptop.errors import LandingRefused
from deploy.laptop.flights_package import month_of_flights, month_of_weather
from include.core.errors import FlightdeckError
from include.core.months import Month
from localcloud.clients import client_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3.client import S3Client

FEED_BUCKET = "flightdeck-feed"
FLIGHTS = "flights"
FLIGHTS_FILE = "flights.csv.gz"
WEATHER_FILE = "weather.csv.gz"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class LandedFile:
    """A file as it lands: its compressed content and its number of rows, the header not counted."""

    content: bytes
    rows: int

    @property
    def sha256(self) -> str:
        """SHA-256 of the compressed content."""
        return hashlib.sha256(self.content).hexdigest()


def files_of(month: Month) -> dict[str, LandedFile]:
    """Return the files of a month of the data package, by name."""
    return {
        name: LandedFile(gzip.compress(content, mtime=0), rows)
        for name, (content, rows) in {
            FLIGHTS_FILE: month_of_flights(month),
            WEATHER_FILE: month_of_weather(month),
        }.items()
    }


def files_in(folder: Path) -> dict[str, LandedFile]:
    """Return the gzipped CSV files of a folder, by name.

    Raises:
        LandingRefused: there is none, or one is no gzip.
    """
    files = {}
    for path in sorted(folder.glob("*.csv.gz")):
        content = path.read_bytes()
        try:
            text = gzip.decompress(content).decode()
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise _refused(str(path), str(error)) from error
        files[path.name] = LandedFile(content, sum(1 for _ in csv.reader(io.StringIO(text, newline=""))) - 1)
    if not files:
        raise _refused(str(folder), "it holds no *.csv.gz")
    return files


def land(
    client: S3Client, month: Month, files: Mapping[str, LandedFile] | None = None, *, source: str = FLIGHTS
) -> None:
    """Put a month of a source into the feed bucket: the data package's flights, or ``files``."""
    chosen = files_of(month) if files is None else files
    prefix = f"{source}/{month.hive}"
    for name, file in chosen.items():
        client.put_object(Bucket=FEED_BUCKET, Key=f"{prefix}/{name}", Body=file.content)
    manifest = {
        "month": str(month),
        "files": {name: {"rows": file.rows, "sha256": file.sha256} for name, file in chosen.items()},
    }
    body = json.dumps(manifest, indent=2).encode() + b"\n"
    client.put_object(Bucket=FEED_BUCKET, Key=f"{prefix}/{MANIFEST}", Body=body)


def main() -> int:
    """Land the month that the command line names."""
    parser = argparse.ArgumentParser(description="Land a month in the feed bucket of a running local cloud.")
    parser.add_argument("month", help="for example 2013-05")
    parser.add_argument("--source", default=FLIGHTS, help="the source whose month it is")
    parser.add_argument("--files", type=Path, help="the folder of its *.csv.gz; without it, the data package's flights")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--root", type=Path, default=Path(".local/cloud"), help="the running local cloud's root")
    where.add_argument("--endpoint", help="where it answers, when its root is elsewhere (in a container)")
    arguments = parser.parse_args()
    if arguments.files is None and arguments.source != FLIGHTS:
        parser.error(f"--source {arguments.source} needs --files: the data package holds {FLIGHTS} only")
    try:
        month = Month.parse(arguments.month)
        cloud = client_environment(arguments.endpoint) if arguments.endpoint else running_cloud(arguments.root)
        files = None if arguments.files is None else files_in(arguments.files)
        land(s3_client(cloud), month, files, source=arguments.source)
    except (FlightdeckError, BotoCoreError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{month} of {arguments.source} landed in s3://{FEED_BUCKET}\n")
    return 0


def _refused(where: str, what: str) -> LandingRefused:
    return LandingRefused(
        where,
        what,
        rule="a month lands as gzipped CSV files with a header",
        remedy="name the folder that holds the month's files",
    )


if __name__ == "__main__":
    sys.exit(main())
