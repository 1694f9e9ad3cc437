"""A month's snapshot: several files that appear together, with their counts and digests.

How it works: the files go to a folder named by their common digest, then ``manifest.json`` beside that folder is
replaced by one that names them. A reader who goes by the manifest sees the old month or the new month, never a mixture;
writing the same content twice changes nothing. ``inputs`` records what a month was made from, so that whoever made it
can see that it is up to date.

What it does not do: delete files that no manifest names any more.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel

from include.core.months import Month

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from include.core.lake import Lake


class SnapshotFile(BaseModel, frozen=True, extra="forbid"):
    """One file of a snapshot: its key in the lake, its row count, its size in bytes and its SHA-256."""

    key: str
    rows: int
    size: int
    sha256: str


class Snapshot(BaseModel, frozen=True, extra="forbid"):
    """What a month consists of: files by name, and the digests of what it was made from, by name."""

    month: str
    files: dict[str, SnapshotFile]
    inputs: dict[str, str]
    written_at: datetime

    @property
    def digest(self) -> str:
        """SHA-256 over the files' digests: equal for equal content."""
        return _common_digest({name: file.sha256 for name, file in self.files.items()})


def read_snapshot(lake: Lake, prefix: str) -> Snapshot | None:
    """Return the snapshot below ``prefix``, None when none was ever completed."""
    content = lake.read_json(f"{prefix}/manifest.json")
    return None if content is None else Snapshot.model_validate(content)


def write_snapshot(
    lake: Lake, prefix: str, month: Month, files: Mapping[str, tuple[Path, int]], inputs: Mapping[str, str]
) -> Snapshot:
    """Make ``files`` (name to local path and row count) the snapshot below ``prefix``."""
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, (path, _) in files.items()}
    folder = f"{prefix}/{_common_digest(digests)[:16]}"
    entries = {}
    for name, (path, rows) in files.items():
        key = f"{folder}/{path.name}"
        lake.upload(path, key)
        entries[name] = SnapshotFile(key=key, rows=rows, size=path.stat().st_size, sha256=digests[name])
    snapshot = Snapshot(month=str(month), files=entries, inputs=dict(inputs), written_at=datetime.now(UTC))
    lake.write_json(f"{prefix}/manifest.json", snapshot.model_dump(mode="json"))
    return snapshot


def months_below(lake: Lake, prefix: str) -> dict[Month, Snapshot]:
    """Return every completed month below ``prefix`` (for example ``raw/flights``), oldest first."""
    months = {}
    for key in lake.keys(f"{prefix}/month="):
        folder, _, name = key.rpartition("/")
        if name == "manifest.json":
            snapshot = read_snapshot(lake, folder)
            if snapshot is not None:
                months[Month.parse(snapshot.month)] = snapshot
    return dict(sorted(months.items()))


def _common_digest(digests: Mapping[str, str]) -> str:
    return hashlib.sha256("\n".join(f"{name} {digests[name]}" for name in sorted(digests)).encode()).hexdigest()
