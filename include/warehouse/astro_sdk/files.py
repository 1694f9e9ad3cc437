"""Files: they keep their type through XCom, and a local file appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
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
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix="".join(path.suffixes[-1:]))
    os.close(handle)
    temporary = Path(name)
    try:
        with smart_open.open(name, mode="wb") as stream:  # compresses by the name's ending
            yield stream
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
