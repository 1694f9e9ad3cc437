"""A local file appears whole or not at all."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from astro.files import File

if TYPE_CHECKING:
    from pathlib import Path


def write_half(file: File) -> None:
    """Begin to write a file and fail."""
    with file.location.get_stream() as stream:
        stream.write(b"ha")
        raise RuntimeError


@pytest.mark.parametrize("before", [b"old", None])
def test_a_write_that_fails(tmp_path: Path, before: bytes | None) -> None:
    """What was there stays, and nothing else lies beside it."""
    path = tmp_path / "t.csv"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(RuntimeError):
        write_half(File(str(path)))

    assert {path: before} == {path: path.read_bytes() if path.exists() else None}
    assert ([path] if before else []) == list(tmp_path.iterdir())


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    """Whoever could read the old file can read the new one, and nobody else."""
    path = tmp_path / "t.csv"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with File(str(path)).location.get_stream() as stream:
        stream.write(b"new")

    assert (b"new", 0o640) == (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
