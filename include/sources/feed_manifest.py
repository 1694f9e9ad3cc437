"""manifest.json, with which a feed ends a month's delivery, and what of it can be checked without reading a table.

The form: ``{"month": "2013-01", "files": {"flights.csv.gz": {"rows": 27004, "sha256": "…"}, …}}``. A source's
``read_month`` asks here first, and compares the announced row counts once it has read its tables.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from include.core.source import FEED_MANIFEST, MAX_EXAMPLES, Violation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from include.core.months import Month


class AnnouncedFile(BaseModel, frozen=True, extra="forbid"):
    """What the feed says of one file."""

    rows: int
    sha256: str


class FeedManifest(BaseModel, frozen=True, extra="forbid"):
    """What the feed says of one month."""

    month: str
    files: dict[str, AnnouncedFile]


def read_feed_manifest(folder: Path) -> tuple[FeedManifest | None, list[Violation]]:
    """Return the manifest in ``folder``, or None and what is wrong with it."""
    path = folder / FEED_MANIFEST
    if not path.is_file():
        return None, [Violation(file=FEED_MANIFEST, check="the feed ends a month with this file")]
    try:
        return FeedManifest.model_validate_json(path.read_bytes()), []
    except ValidationError as error:
        problems = [_problem(each["loc"], each["msg"]) for each in error.errors()]
        check = "it has the agreed form"
        return None, [
            Violation(file=FEED_MANIFEST, check=check, count=len(problems), examples=tuple(problems[:MAX_EXAMPLES]))
        ]


def check_delivery(folder: Path, month: Month, files: Sequence[str], manifest: FeedManifest) -> list[Violation]:
    """Return what is wrong with the delivery as a whole: its month, missing and additional files, digests."""
    violations = []
    if manifest.month != str(month):
        violations.append(
            Violation(file=FEED_MANIFEST, check=f"month is {month}", column="month", examples=(repr(manifest.month),))
        )
    for names, check in (
        (sorted(set(files) - set(manifest.files)), "it names every agreed file"),
        (sorted(set(manifest.files) - set(files)), "it names agreed files only"),
    ):
        if names:
            violations.append(
                Violation(
                    file=FEED_MANIFEST,
                    check=check,
                    column="files",
                    count=len(names),
                    examples=tuple(names[:MAX_EXAMPLES]),
                )
            )
    for name in files:
        path, announced = folder / name, manifest.files.get(name)
        if not path.is_file():
            violations.append(Violation(file=name, check="the file has arrived"))
        elif announced is not None:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != announced.sha256:
                violations.append(
                    Violation(
                        file=name, check=f"SHA-256 is the announced {announced.sha256}", examples=(f"SHA-256 {found}",)
                    )
                )
    return violations


def check_row_count(file: str, rows: int, manifest: FeedManifest) -> list[Violation]:
    """Return whether a table has another number of rows than the feed announced."""
    announced = manifest.files.get(file)
    if announced is None or announced.rows == rows:
        return []
    return [Violation(file=file, check=f"it holds the announced {announced.rows} rows", examples=(f"{rows} rows",))]


def _problem(location: tuple[str | int, ...], message: str) -> str:
    key = ".".join(str(part) for part in location)
    return f"{key}: {message}" if key else message
