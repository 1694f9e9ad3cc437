from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from deploy.laptop.errors import LandingRefused
from deploy.laptop.landing import FLIGHTS_FILE, MANIFEST, WEATHER_FILE, LandedFile, files_in, files_of, land
from include.core.months import Month

if TYPE_CHECKING:
    from pathlib import Path

ROWS = {1: 27_004, 2: 24_951, 3: 28_834, 4: 28_330}


class Bucket:
    """Takes what an S3 client would put, in order."""

    def __init__(self) -> None:
        self.puts: list[tuple[str, bytes]] = []

    def put_object(self, **request: Any) -> None:
        """Take one object."""
        self.puts.append((request["Key"], request["Body"]))


@pytest.mark.parametrize(("number", "rows"), ROWS.items())
def test_a_month_holds_the_rows_of_the_package(number: int, rows: int) -> None:
    """The counts of January to April are those of the data package."""
    files = files_of(Month(2013, number))

    lines = gzip.decompress(files[FLIGHTS_FILE].content).decode().splitlines()
    assert rows == files[FLIGHTS_FILE].rows == len(lines) - 1
    assert lines[0].startswith("year,month,day,dep_time,")
    assert {line.split(",")[1] for line in lines[1:]} == {str(number)}


def test_the_same_month_lands_as_the_same_bytes() -> None:
    """A landing is deterministic, so doing it twice changes nothing downstream."""
    assert files_of(Month(2013, 2)) == files_of(Month(2013, 2))


def test_the_manifest_comes_last_and_states_rows_and_digests() -> None:
    """Whoever waits for the manifest never sees half a month."""
    bucket = Bucket()

    land(bucket, Month(2013, 1))  # type: ignore[arg-type] # it is asked for nothing but put_object

    assert [f"flights/year=2013/month=01/{name}" for name in (FLIGHTS_FILE, WEATHER_FILE, MANIFEST)] == [
        key for key, _ in bucket.puts
    ]
    contents = {key.rpartition("/")[2]: content for key, content in bucket.puts}
    manifest = json.loads(contents.pop(MANIFEST))
    assert manifest["month"] == "2013-01"
    assert {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()} == {
        name: entry["sha256"] for name, entry in manifest["files"].items()
    }
    assert manifest["files"][FLIGHTS_FILE]["rows"] == ROWS[1]


def test_a_landing_that_breaks_off_leaves_no_manifest() -> None:
    """Nothing is half landed: without its manifest a month is not there."""

    class FullBucket(Bucket):
        def put_object(self, **request: Any) -> None:
            if self.puts:
                raise OSError("no space left")
            super().put_object(**request)

    bucket = FullBucket()
    files = {"flights.csv.gz": LandedFile(b"one", 1), "weather.csv.gz": LandedFile(b"two", 1)}

    with pytest.raises(OSError, match="no space"):
        land(bucket, Month(2013, 1), files)  # type: ignore[arg-type] # it is asked for nothing but put_object

    assert not any(key.endswith(MANIFEST) for key, _ in bucket.puts)


def test_a_month_outside_the_package_is_refused() -> None:
    """The message names the month and what there is."""
    with pytest.raises(LandingRefused, match=r"2014-01: .*2013-01 to 2013-12"):
        files_of(Month(2014, 1))


def test_a_folder_of_another_source_lands_as_it_is(tmp_path: Path) -> None:
    """Its gzipped CSV files arrive byte for byte below the source's name, their rows counted, quoted line ends too."""
    content = gzip.compress(b'at,note\n1,"two\nlines"\n2,one\n', mtime=0)
    (tmp_path / "observations.csv.gz").write_bytes(content)
    (tmp_path / "notes.txt").write_text("not a part of the month")
    bucket = Bucket()

    land(bucket, Month(2024, 1), files_in(tmp_path), source="station")  # type: ignore[arg-type] # put_object is enough

    prefix = "station/year=2024/month=01"
    assert [f"{prefix}/observations.csv.gz", f"{prefix}/{MANIFEST}"] == [key for key, _ in bucket.puts]
    assert content == bucket.puts[0][1]
    assert json.loads(bucket.puts[1][1])["files"]["observations.csv.gz"]["rows"] == 2


@pytest.mark.parametrize(
    ("content", "message"), [(None, r"holds no \*\.csv\.gz"), (b"at\n1\n", "observations.csv.gz: Not a gzipped file")]
)
def test_a_folder_that_holds_no_month_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    """No file, or one that is not gzipped: the message names the place."""
    if content is not None:
        (tmp_path / "observations.csv.gz").write_bytes(content)
    with pytest.raises(LandingRefused, match=message):
        files_in(tmp_path)
