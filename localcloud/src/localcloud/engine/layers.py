"""A job's own layer over a shared environment: what the job installs is its own, and gone with it.

Purpose: an environment is shared by every job of its image. On a cloud each job has a fresh container, so one that
calls pip must neither change the others' packages nor meet what an earlier job installed.

How it works: a virtual environment of a few small files, made in milliseconds in the job's tree. Its interpreter finds
the job's own packages first and then those of the shared environment; its pip installs into the first place, and takes
what is in the second for installed.

What it does not do: remove a package of the shared environment (`pip uninstall` says that it is outside), or offer the
shared environment's own scripts a second interpreter: they run with the shared packages alone.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from localcloud.engine.indexes import write_pip_settings

# found by its own place: the path of an interpreter may be longer than a first line may be
_PIP = """#!/bin/sh
# the layer is the job's alone: what containers take `--user` for, and a virtual environment refuses
for argument do
    shift
    [ "$argument" = --user ] || set -- "$@" "$argument"
done
exec "$(dirname "$0")/python" -m pip "$@"
"""


def lay_over(programs: Path, layers: Path, settings: Mapping[str, str]) -> Path:
    """Make a layer over the environment whose programs lie in `programs`, unless it is there; return its programs.

    Args:
        programs: The environment's `bin`.
        layers: The folder to make it in, below a name of its own for each environment.
        settings: pip's options for the layer's pip.
    """
    library = next((programs.parent / "lib").glob("python*/site-packages"), None)
    if library is None:  # not an environment: nothing to lay over
        return programs
    layer = layers / programs.parent.name
    if not layer.exists():
        layers.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=layers))
        _fill(unfinished, library, (programs / "python").resolve(), settings)
        try:
            unfinished.rename(layer)
        except OSError:  # another program of the job was faster
            shutil.rmtree(unfinished)
    return layer / "bin"


def _fill(layer: Path, library: Path, interpreter: Path, settings: Mapping[str, str]) -> None:
    packages = layer / "lib" / library.parent.name / "site-packages"
    packages.mkdir(parents=True)
    (packages / "shared.pth").write_text(f"import site; site.addsitedir({str(library)!r})\n")
    (layer / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\ninclude-system-site-packages = false\n")
    write_pip_settings(settings, layer / "pip.conf")
    own = layer / "bin"
    own.mkdir()
    for name in ("python", "python3", library.parent.name):
        (own / name).symlink_to(interpreter)
    for name in ("pip", "pip3"):
        (own / name).write_text(_PIP)
        (own / name).chmod(0o755)


def search_path(programs: str, layers: Path, settings: Mapping[str, str]) -> str:
    """Return the beginning of a job's PATH: its layer's programs, then the shared environment's."""
    return os.pathsep.join(dict.fromkeys([str(lay_over(Path(programs), layers, settings)), programs]))
