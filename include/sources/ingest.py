"""A month's way from the feed into the lake: to ``raw/`` when it keeps its contract, to ``quarantine/`` when not.

How it works: the month's files are fetched as they arrived, the source checks them, and either one snapshot of typed
tables appears below ``raw/``, or the files lie unchanged in quarantine with ``report.json``, written last. The digest
of what arrived is recorded, so doing a month twice changes nothing, and a month that is delivered anew is read anew.

What it does not do: wait for a month to land, or delete one from the feed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from include.core.errors import ContractViolation
from include.core.lake import raw_prefix
from include.core.snapshots import read_snapshot, write_snapshot
from include.core.source import MAX_EXAMPLES, MonthRead, load_source
from include.sources.deliveries import feed_prefix, fetch, quarantine_folder

if TYPE_CHECKING:
    from include.core.lake import Lake
    from include.core.months import Month
    from include.core.source import Source


class IngestedMonth(BaseModel, frozen=True, extra="forbid"):
    """A month that kept its contract: the main table's rows, whether the lake changed, the snapshot's manifest."""

    month: str
    rows_in: int
    changed: bool
    uri: str


class QuarantineReport(BaseModel, frozen=True, extra="forbid"):
    """``report.json`` of a quarantined month; a month is quarantined whole. None: the rows could not be counted."""

    source: str
    month: str
    feed: str
    rows_in: int | None
    rows_quarantined: int | None
    files: tuple[str, ...]
    violations: tuple[str, ...]
    details: MonthRead


def ingest_month(feed: Lake, lake: Lake, name: str, month: Month) -> IngestedMonth:
    """Bring a landed month of the source ``name`` into the lake.

    Raises:
        ContractViolation: the month breaks its contract and lies in quarantine.
    """
    source = load_source(name)
    with tempfile.TemporaryDirectory(prefix="flightdeck-ingest-") as scratch:
        arrived, out = Path(scratch, "arrived"), Path(scratch, "out")
        arrived.mkdir()
        digest, contents = fetch(feed, source, month)
        for file, content in contents.items():
            (arrived / file).write_bytes(content)
        prefix = raw_prefix(source.name, month)
        uri = lake.uri(f"{prefix}/manifest.json")
        present = read_snapshot(lake, prefix)
        if present is not None and present.inputs.get("feed") == digest:
            rows = present.files[source.main_table].rows
            return IngestedMonth(month=str(month), rows_in=rows, changed=False, uri=uri)
        read = source.read_month(arrived, month, out)
        if read.violations:
            report = _quarantine(lake, source, month, arrived, digest, read)
            raise _violation(feed, source, month, report, read)
        files = {table: (out / f"{table}.parquet", read.rows[table]) for table in source.tables}
        write_snapshot(lake, prefix, month, files, {"feed": digest})
        return IngestedMonth(month=str(month), rows_in=read.rows[source.main_table], changed=True, uri=uri)


def _quarantine(lake: Lake, source: Source, month: Month, folder: Path, digest: str, read: MonthRead) -> str:
    """Keep the files as they arrived; return the report's address. The same delivery gives the same objects."""
    prefix = quarantine_folder(source.name, month, digest)
    files = sorted(path.name for path in folder.iterdir())
    for name in files:
        lake.upload(folder / name, f"{prefix}/{name}")
    rows = read.rows.get(source.main_table)
    report = QuarantineReport(
        source=source.name,
        month=str(month),
        feed=digest,
        rows_in=rows,
        rows_quarantined=rows,
        files=tuple(files),
        violations=tuple(str(violation) for violation in read.violations),
        details=read,
    )
    lake.write_json(f"{prefix}/report.json", report.model_dump(mode="json"))
    return lake.uri(f"{prefix}/report.json")


def _violation(feed: Lake, source: Source, month: Month, report: str, read: MonthRead) -> ContractViolation:
    shown = [str(violation) for violation in read.violations[:MAX_EXAMPLES]]
    more = len(read.violations) - len(shown)
    return ContractViolation(
        feed.uri(feed_prefix(source, month)),
        "; ".join(shown) + (f"; and {more} more" if more else ""),
        rule=f"a month keeps the contract in include/sources/{source.name}",
        remedy=f"have the feed deliver the month again; the files as they arrived and the report are at {report}",
    )
