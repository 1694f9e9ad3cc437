"""A month's way from the feed into the lake, or into quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.core.errors import ContractViolation
from include.core.months import Month
from include.core.snapshots import months_below, read_snapshot
from include.sources.ingest import IngestedMonth, ingest_month

if TYPE_CHECKING:
    from pathlib import Path

    from include.core.lake import Lake
    from tests.unit.sources.conftest import Delivery

JANUARY = Month(2013, 1)
RAW = "raw/flights/month=2013-01"
QUARANTINE = "quarantine/flights/month=2013-01"


def land(feed: Lake, folder: Path) -> None:
    """Lay a delivery into the feed, as it is."""
    for path in folder.iterdir():
        feed.upload(path, f"flights/year=2013/month=01/{path.name}")


def contents(lake: Lake, prefix: str) -> dict[str, bytes | None]:
    """Everything below a prefix."""
    return {key: lake.read_bytes(key) for key in lake.keys(prefix)}


def test_a_month_that_keeps_its_contract_lands_once(feed: Lake, lake: Lake, delivery: Delivery) -> None:
    """Its tables appear as one snapshot; doing it again writes nothing and says so."""
    land(feed, delivery.deliver())
    uri = f"{lake.root}/{RAW}/manifest.json"
    assert IngestedMonth(month="2013-01", rows_in=200, changed=True, uri=uri) == ingest_month(
        feed, lake, "flights", JANUARY
    )
    before = contents(lake, "")
    assert IngestedMonth(month="2013-01", rows_in=200, changed=False, uri=uri) == ingest_month(
        feed, lake, "flights", JANUARY
    )
    assert before == contents(lake, "")
    snapshot = months_below(lake, "raw/flights")[JANUARY]
    assert {name: file.rows for name, file in snapshot.files.items()} == {"flights": 200, "weather": 200}


def test_a_month_that_breaks_its_contract_lies_in_quarantine_as_it_arrived(
    feed: Lake, lake: Lake, delivery: Delivery
) -> None:
    """Not a row of it reaches raw/; files and report are kept, the same ones however often it is tried."""
    delivery.change("flights", 2, ",EWR,", ",SFO,")
    folder = delivery.deliver()
    land(feed, folder)
    with pytest.raises(ContractViolation, match=r"year=2013/month=01: flights\.csv\.gz column origin breaks") as raised:
        ingest_month(feed, lake, "flights", JANUARY)
    kept = contents(lake, "")
    (report_key,) = [key for key in kept if key.endswith("report.json")]
    prefix = report_key.removesuffix("/report.json")
    assert prefix.startswith(f"{QUARANTINE}/")
    assert lake.uri(report_key) in raised.value.remedy
    assert {f"{prefix}/{path.name}": path.read_bytes() for path in folder.iterdir()} == {
        key: content for key, content in kept.items() if key != report_key
    }
    report = lake.read_json(report_key)
    assert (report["month"], report["rows_in"], report["rows_quarantined"]) == ("2013-01", 200, 200)
    assert ["'SFO'" in each for each in report["violations"]] == [True]
    with pytest.raises(ContractViolation):
        ingest_month(feed, lake, "flights", JANUARY)
    assert kept == contents(lake, "")


def test_a_month_delivered_anew_lands_and_the_quarantine_keeps_what_was_wrong(
    feed: Lake, lake: Lake, delivery: Delivery
) -> None:
    """A repaired delivery is another delivery."""
    delivery.change("flights", 2, ",EWR,", ",SFO,")
    land(feed, delivery.deliver())
    with pytest.raises(ContractViolation):
        ingest_month(feed, lake, "flights", JANUARY)
    delivery.change("flights", 2, ",SFO,", ",EWR,")
    land(feed, delivery.deliver())
    assert ingest_month(feed, lake, "flights", JANUARY).changed
    assert len(list(lake.keys(QUARANTINE))) == 4


def test_a_corrupt_redelivery_leaves_the_landed_month_alone(feed: Lake, lake: Lake, delivery: Delivery) -> None:
    """What was good once stays readable when the feed breaks it afterwards."""
    land(feed, delivery.deliver())
    ingest_month(feed, lake, "flights", JANUARY)
    before = contents(lake, "raw/")
    feed.write_bytes("flights/year=2013/month=01/flights.csv.gz", b"broken")
    with pytest.raises(ContractViolation, match="SHA-256"):
        ingest_month(feed, lake, "flights", JANUARY)
    assert before == contents(lake, "raw/")


def test_a_manifest_that_arrived_alone_is_a_violation(feed: Lake, lake: Lake, delivery: Delivery) -> None:
    """The feed says that the month is complete, and it is not."""
    folder = delivery.deliver()
    for path in folder.glob("*.csv.gz"):
        path.unlink()
    land(feed, folder)
    with pytest.raises(ContractViolation, match=r"flights\.csv\.gz breaks 'the file has arrived' 1 times"):
        ingest_month(feed, lake, "flights", JANUARY)
    assert read_snapshot(lake, RAW) is None
    (report_key,) = [key for key in lake.keys(QUARANTINE) if key.endswith("report.json")]
    assert lake.read_json(report_key)["rows_in"] is None


def test_a_message_stays_short_however_much_is_wrong(feed: Lake, lake: Lake, delivery: Delivery) -> None:
    """Five rules are told, the others are counted; the report has them all."""
    lines = delivery.tables["flights"]
    for old, new in ((",EWR,", ",X,"), (",JFK,", ",X,"), (",LGA,", ",X,"), ("2013,1,", "2012,3,"), (",UA,", ",u,")):
        lines[1:] = [line.replace(old, new) for line in lines[1:]]
    delivery.change("weather", 2, "EWR,2013,1,", "XXX,2012,3,")
    land(feed, delivery.deliver())
    with pytest.raises(ContractViolation) as raised:
        ingest_month(feed, lake, "flights", JANUARY)
    (report_key,) = [key for key in lake.keys(QUARANTINE) if key.endswith("report.json")]
    violations = lake.read_json(report_key)["violations"]
    assert len(violations) > 5
    assert raised.value.what.endswith(f"; and {len(violations) - 5} more")
    assert len(str(raised.value)) < 3000
