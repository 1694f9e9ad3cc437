"""A wheel with other metadata around the same code.

Purpose: pip takes the limits in a wheel's metadata at their word, and a managed platform's pip knows no overrides.

How it works: requirements are replaced, the version gets a local label, RECORD is written anew; every other file stays
as it is, the licence included. Members are stored, not compressed: zlib's output differs from version to version, and
the same input has to become the same bytes everywhere.

What it does not do: judge whether the code works with what the new requirements let in.

Formats: https://packaging.python.org/en/latest/specifications/binary-distribution-format/ and
https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from deploy.wheels.errors import WheelRefused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UNIX = 3
# The earliest moment that a zip archive can name
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Correction:
    """What becomes different in a wheel.

    Args:
        label: The local version that marks the result, as in ``1.9.0+airflow3``.
        limits: For each requirement to correct, by its lower-case name, the version limits that replace its own, in
            the extras' requirements too; ``""`` for none.
    """

    label: str
    limits: Mapping[str, str]


def correct(published: Path, folder: Path, correction: Correction) -> Path:
    """Write the corrected wheel into a folder and return its path; the same input gives the same bytes.

    Raises:
        WheelRefused: the wheel is signed, has no metadata of its own, or does not require what is to be corrected.
    """
    name, version, _, _ = parse_wheel_filename(published.name)
    old_stem, rest = published.name.split("-", 1)[0], published.name.split("-", 2)[2]
    old = f"{old_stem}-{version}"
    new = f"{old}+{correction.label}"
    members: dict[str, tuple[bytes, int]] = {}
    with zipfile.ZipFile(published) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            content = archive.read(info)
            target = _renamed(info.filename, old, new)
            if target in {f"{new}.dist-info/RECORD.jws", f"{new}.dist-info/RECORD.p7s"}:
                raise WheelRefused(
                    f"{published.name}: {info.filename}",
                    "it is signed",
                    rule="a signature holds for the published bytes only",
                    remedy="correct a wheel without a signature",
                )
            if target == f"{new}.dist-info/METADATA":
                content = _metadata(content.decode(), published.name, str(version), correction).encode()
            if target != f"{new}.dist-info/RECORD":
                members[target] = (content, info.external_attr)
    if f"{new}.dist-info/METADATA" not in members:
        raise WheelRefused(
            published.name,
            f"no {old}.dist-info/METADATA in it",
            rule=f"a wheel of {name} holds its metadata",
            remedy="fetch it again",
        )
    members[f"{new}.dist-info/RECORD"] = (_record(members, f"{new}.dist-info/RECORD"), 0o644 << 16)
    wheel = folder / f"{new}-{rest}"
    partial = wheel.with_name(f"{wheel.name}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for path, (content, attributes) in members.items():
            info = zipfile.ZipInfo(path, _EPOCH)
            info.create_system, info.external_attr = _UNIX, attributes
            archive.writestr(info, content)
    return partial.replace(wheel)


def _renamed(path: str, old: str, new: str) -> str:
    """Return a member's path under the new version, which is part of two folders' names."""
    for kind in (".dist-info/", ".data/"):
        if path.startswith(f"{old}{kind}"):
            return f"{new}{path.removeprefix(old)}"
    return path


def _metadata(text: str, wheel: str, version: str, correction: Correction) -> str:
    """Return the metadata with the label and the new limits; only the header's lines change."""
    header, separator, description = text.partition("\n\n")
    corrected: set[str] = set()
    lines = []
    for line in header.split("\n"):
        field, _, value = line.partition(": ")
        if field == "Version" and value.strip() == version:
            lines.append(f"Version: {version}+{correction.label}")
        elif field == "Requires-Dist" and (requirement := Requirement(value)).name.lower() in correction.limits:
            corrected.add(requirement.name.lower())
            lines.append(f"Requires-Dist: {_limited(requirement, correction.limits[requirement.name.lower()])}")
        else:
            lines.append(line)
    if missing := sorted(correction.limits.keys() - corrected):
        raise WheelRefused(
            f"{wheel}: METADATA",
            f"it does not require {', '.join(missing)}",
            rule="a correction names requirements that the wheel has",
            remedy="leave them out of the correction",
        )
    if f"Version: {version}+{correction.label}" not in lines:
        raise WheelRefused(
            f"{wheel}: METADATA",
            f"no line `Version: {version}` in it",
            rule="the metadata's version is the file name's",
            remedy="fetch the wheel again",
        )
    return "\n".join(lines) + separator + description


def _limited(requirement: Requirement, limits: str) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}{limits}{marker}"


def _record(members: Mapping[str, tuple[bytes, int]], own: str) -> bytes:
    """Return RECORD: path, digest and size of each member, and the record itself without either."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for path, (content, _) in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow((path, f"sha256={digest}", len(content)))
    rows.writerow((own, "", ""))
    return text.getvalue().encode()
