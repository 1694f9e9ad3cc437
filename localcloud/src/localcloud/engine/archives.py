"""Tar archives in and out of a job's tree.

Extraction uses the standard library's "data" filter: members that would leave the target folder, devices and links
that point outside are refused with an error. It does not limit the size of what is extracted.
"""

import tarfile
from collections.abc import Sequence
from pathlib import Path


class ArchiveError(Exception):
    """The file is not a readable tar archive, or a member of it is not safe to extract."""


def pack(folders: Sequence[Path], archive: Path) -> None:
    """Write the contents of all folders to `archive` as .tar.gz; of two files with one path the last one is kept."""
    members = {path.relative_to(folder).as_posix(): path for folder in folders for path in folder.rglob("*")}
    # compresslevel 6: the default 9 costs several times the CPU time for a few per cent
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for name, path in sorted(members.items()):
            tar.add(path, arcname=name, recursive=False)


def unpack(archive: Path, folder: Path) -> None:
    """Extract `archive` (any compression tarfile knows) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        message = f"cannot extract the archive: {type(error).__name__}: {error}"
        raise ArchiveError(message) from error
