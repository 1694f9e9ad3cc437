"""What a feed has delivered of a month, and whether just that lies in quarantine.

A delivery's digest is over the names and contents of its files and its manifest. What it does not do: check a delivery
(the source does) or wait for one (``include.feeds``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.core.lake import quarantine_prefix
from include.core.source import FEED_MANIFEST, load_source

if TYPE_CHECKING:
    from include.core.lake import Lake
    from include.core.months import Month
    from include.core.source import Source


@dataclass(frozen=True)
class Delivery:
    """A month's delivery: its digest, and its manifest's bucket, key and time of last modification (ISO 8601)."""

    digest: str
    bucket: str
    manifest_key: str
    manifest_modified: str


def feed_prefix(source: Source, month: Month) -> str:
    """Folder of a month in the source's feed."""
    return f"{source.name}/{month.hive}"


def fetch(feed: Lake, source: Source, month: Month) -> tuple[str, dict[str, bytes]]:
    """Return the digest of what has arrived of a month, and its files by name."""
    files = {}
    digest = hashlib.sha256()
    for name in sorted([*source.feed_files, FEED_MANIFEST]):
        content = feed.read_bytes(f"{feed_prefix(source, month)}/{name}")
        if content is not None:
            files[name] = content
            digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest(), files


def delivery_of(feed: Lake, name: str, month: Month) -> Delivery | None:
    """Return the delivery of a month of the source ``name``, None while its manifest has not arrived."""
    source = load_source(name)
    key = f"{feed_prefix(source, month)}/{FEED_MANIFEST}"
    # The time comes before the contents: of a delivery that arrives in between, the contents are new already.
    modified = feed.modified(key)
    if modified is None:
        return None
    digest, _ = fetch(feed, source, month)
    bucket, manifest_key = feed.address(key)
    return Delivery(digest, bucket, manifest_key, modified.isoformat())


def quarantine_folder(source: str, month: Month, digest: str) -> str:
    """Folder in the lake of one delivery that broke its contract."""
    return f"{quarantine_prefix(source, month)}/{digest[:16]}"


def is_quarantined(lake: Lake, name: str, month: Month, digest: str) -> bool:
    """Return whether the delivery of that digest lies in quarantine, with its report."""
    return lake.size(f"{quarantine_folder(name, month, digest)}/report.json") is not None
