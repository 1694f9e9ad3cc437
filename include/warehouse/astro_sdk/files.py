"""Files: they keep their type through XCom, and a local file appears whole or not at all.

A local file's content grows in a hidden file beside it, ``.<name>.<random>``, which takes its place at the end. What a
killed process leaves of it the next export to the same file removes. What it does not do: end the multipart upload that
a killed export to an object store leaves; that is the bucket's lifecycle rule's (AbortIncompleteMultipartUpload).
"""

from __future__ import annotations

import fcntl
import glob
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from include.warehouse.astro_sdk.xcoms import allow_through_xcom

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def change_files(module: ModuleType) -> None:
    """Change ``astro.files.base``."""
    file = module.File

    def deserialize(data: dict[str, Any], version: int) -> Any:  # noqa: ARG001 - Airflow's signature
        return file.from_json(data)

    # Airflow would take the fields one by one, and a file type as text is none
    file.serialize = file.to_json
    file.deserialize = staticmethod(deserialize)
    allow_through_xcom(file)


def change_local(module: ModuleType) -> None:
    """Change ``astro.files.locations.local``."""
    module.LocalLocation.get_stream = _whole_or_not_at_all


@contextmanager
def _whole_or_not_at_all(location: Any) -> Iterator[IO[bytes]]:
    """Yield a stream whose content takes the file's place when it is complete."""
    import smart_open  # noqa: PLC0415 - heavy

    path = Path(location.path)
    _remove_what_was_left(path)
    handle, part = _part(path)
    try:
        with smart_open.open(str(part), mode="wb") as stream:  # compresses by the name's ending
            yield stream
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        os.close(handle)


def _part(path: Path) -> tuple[int, Path]:
    """Make the file in which the content grows, locked for as long as the descriptor is open."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix="".join(path.suffixes[-1:]))
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # another process took it for left before it was locked


def _remove_what_was_left(path: Path) -> None:
    """Remove the parts of exports that were killed: a lock ends with its process."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with suppress(OSError), part.open("rb") as stream:  # it is being written, or was removed meanwhile
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
