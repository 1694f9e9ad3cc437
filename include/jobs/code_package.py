"""A model's code as cloud jobs receive it: one folder, packed the same way every time.

How it works: the model's Python files and requirements.txt and the programs that run beside them are laid flat in one
folder of the lake, named by their digest, next to ``sourcedir.tar.gz`` with the same files (SageMaker's script mode
takes the archive, a processing job the folder). The same code is uploaded once.

What it does not do: run or check the code.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from include.core.lake import code_prefix
from include.core.model_spec import MODELS_FOLDER

if TYPE_CHECKING:
    from include.core.lake import Lake

PROGRAMS_FOLDER = Path(__file__).resolve().parent.parent / "programs"
_ARCHIVE = "sourcedir.tar.gz"
PROGRAMS = ("evaluate.py", "plot_months.py", "serve.py")


class CodePackage(BaseModel, frozen=True):
    """Where one state of a model's code lies: below ``uri``, as a folder of files and as an archive of the same."""

    uri: str

    @property
    def files(self) -> str:
        """Address of the folder of the files."""
        return f"{self.uri}/files/"

    @property
    def archive(self) -> str:
        """Address of the archive of the files."""
        return f"{self.uri}/{_ARCHIVE}"


def publish_code(lake: Lake, model: str) -> CodePackage:
    """Upload the model's code unless it is there already, and return where it lies."""
    contents = _contents(MODELS_FOLDER / model)
    digest = hashlib.sha256(
        b"".join(hashlib.sha256(name.encode() + b"\0" + content).digest() for name, content in contents.items())
    ).hexdigest()
    prefix = code_prefix(model, digest)
    archive = f"{prefix}/{_ARCHIVE}"
    if lake.size(archive) is None:
        for name, content in contents.items():
            lake.write_bytes(f"{prefix}/files/{name}", content)
        lake.write_bytes(archive, pack(contents))
    return CodePackage(uri=lake.uri(prefix))


def pack(contents: dict[str, bytes]) -> bytes:
    """Return a .tar.gz of ``contents`` whose bytes depend on nothing else: no times, no owners."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _contents(folder: Path) -> dict[str, bytes]:
    paths = [*folder.glob("*.py"), folder / "requirements.txt", *(PROGRAMS_FOLDER / name for name in PROGRAMS)]
    return {path.name: path.read_bytes() for path in sorted(paths, key=lambda path: path.name)}
