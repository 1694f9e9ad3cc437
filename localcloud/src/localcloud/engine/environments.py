"""Python environments for jobs: one per image, requirements and interpreter; built once, cached, shared.

Purpose: a job of image I with requirements R runs in a virtual environment that holds I's packages and then R's, as
a container that installs requirements.txt over its image does. The folder name is a digest of what went in.

How it works: built in place under a lock that other threads and other servers respect; the marker file
`environment.json` is written last, so a folder without it is a build that broke and is built again.

What it does not do: update an environment whose unpinned requirements have newer releases (delete the folder), or
install anything but Python packages.

The caller's package index settings (UV_*, PIP_*) reach uv, and the job's own pip by a pip.conf inside the
environment; the user's program does not see them.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uv

MARKER = "environment.json"
_OUTPUT_TAIL_LINES = 20


class EnvironmentBuildError(Exception):
    """Packages could not be installed; carries what uv said."""

    def __init__(self, command: str, exit_code: int, output: str) -> None:
        """Keep the parts for whoever words the job's failure."""
        super().__init__(f"{command} exited with {exit_code}: {output}")
        self.command = command
        self.exit_code = exit_code
        self.output = output


@dataclass(frozen=True)
class EnvironmentSpec:
    """What an environment holds: the image's own packages, then the text of a requirements file over them."""

    image: str
    base: tuple[str, ...]
    requirements: str = ""

    @property
    def requirements_sha256(self) -> str:
        """The digest of the requirements file."""
        return hashlib.sha256(self.requirements.encode()).hexdigest()

    def digest(self, interpreter: str) -> str:
        """The digest of everything that went in."""
        parts = [self.image, list(self.base), self.requirements, interpreter]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class JobEnvironment:
    """A finished environment. `python` is its interpreter's path."""

    image: str
    requirements_sha256: str
    python: str

    @property
    def programs(self) -> str:
        """The folder to put on PATH."""
        return str(Path(self.python).parent)


class Environments:
    """The cache of environments in one folder."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which other servers may use as well."""
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._interpreter = f"{sys.implementation.cache_tag}:{sys.base_prefix}"
        self._lock = threading.Lock()
        self._ready: dict[str, JobEnvironment] = {}

    def get(self, spec: EnvironmentSpec, on_line: Callable[[str], None]) -> JobEnvironment:
        """Return the environment for `spec`, built at most once; installing the requirements talks to `on_line`."""
        digest = spec.digest(self._interpreter)
        if digest in self._ready:
            return self._ready[digest]
        place = self._folder / digest[:20]
        with _exclusive(self._folder / f"{place.name}.lock"):
            found = _read_marker(place)
            if found is None:
                found = self._build(spec, place, on_line)
        with self._lock:
            self._ready[digest] = found
        return found

    def known(self) -> list[JobEnvironment]:
        """Return the finished environments of the folder."""
        places = sorted(path.parent for path in self._folder.glob(f"*/{MARKER}"))
        return [found for place in places if (found := _read_marker(place)) is not None]

    def _build(self, spec: EnvironmentSpec, place: Path, on_line: Callable[[str], None]) -> JobEnvironment:
        shutil.rmtree(place, ignore_errors=True)
        python = str(place / "bin" / "python")
        install = ["pip", "install", "--compile-bytecode", "--python", python, "-r"]
        if spec.requirements.strip():
            # The image's own environment, by hard links: seconds instead of a second installation. Installers replace
            # files and never write into them, so the image's copy stays as it is.
            base = Path(self.get(EnvironmentSpec(spec.image, spec.base), _silent).python).parents[1]
            shutil.copytree(base, place, symlinks=True, copy_function=os.link, ignore=shutil.ignore_patterns(MARKER))
            requirements = place / "requirements.txt"
            requirements.write_text(spec.requirements)
            _run_uv([*install, str(requirements)], on_line)
        else:
            self._build_image(spec, place, install)
        return _complete(place, JobEnvironment(spec.image, spec.requirements_sha256, python))

    @staticmethod
    def _build_image(spec: EnvironmentSpec, place: Path, install: list[str]) -> None:
        # an image's packages are there before a job begins, so installing them is nothing its log should show
        _run_uv(["venv", "--quiet", "--relocatable", "--python", sys.executable, str(place)], _silent)
        packages = place / "image.txt"
        packages.write_text("".join(f"{line}\n" for line in ("pip", *spec.base)))
        _run_uv([*install, str(packages)], _silent)
        _write_pip_settings(place)


def _complete(place: Path, made: JobEnvironment) -> JobEnvironment:
    """Mark an environment as finished: the last thing that is written."""
    unfinished = place / f"{MARKER}.part"
    unfinished.write_text(json.dumps(asdict(made)))
    unfinished.rename(place / MARKER)
    return made


def _silent(_: str) -> None:
    """Take a line that nobody wants (a failed command still carries its output)."""


def _run_uv(arguments: list[str], on_line: Callable[[str], None]) -> None:
    # `--no-config`: a configuration file of whatever project the server was started in must not leak into the jobs
    command = [uv.find_uv_bin(), "--no-config", "--no-progress", *arguments]
    environment = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"}}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    lines: list[str] = []
    with process:
        assert process.stdout is not None  # noqa: S101 - for the type checker: stdout=PIPE above
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            on_line(lines[-1])
    if process.returncode != 0:
        shown = " ".join(["uv", *arguments])
        raise EnvironmentBuildError(shown, process.returncode, "\n".join(lines[-_OUTPUT_TAIL_LINES:]))


def _write_pip_settings(place: Path) -> None:
    """Hand the caller's PIP_* settings to the environment's pip, and to it alone."""
    settings = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in sorted(os.environ.items())
        if name.startswith("PIP_") and value and name != "PIP_CONFIG_FILE"
    }
    file = place / "pip.conf"
    file.touch(mode=0o600)  # an index address may hold a password
    file.write_text("[global]\n" + "".join(f"{k} = {v}\n" for k, v in settings.items()))


def _read_marker(place: Path) -> JobEnvironment | None:
    try:
        found = JobEnvironment(**json.loads((place / MARKER).read_text()))
    except FileNotFoundError:
        return None
    return found if Path(found.python).exists() else None


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold a lock on `path` that excludes other threads and other processes."""
    with path.open("w") as file:  # a new open file per caller, so that flock excludes threads, too
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
