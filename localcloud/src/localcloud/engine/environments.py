"""Python environments for jobs: one per image, requirements and interpreter; built once, cached, shared.

Purpose: a job of image I with requirements R runs in a virtual environment that holds I's packages and then R's, as
a container that installs requirements.txt over its image does. The folder name is a digest of what went in.

How it works: built in place under a lock that other threads and other servers respect; the marker file
`environment.json` is written last, so a folder without it is a build that broke and is built again.

What it does not do: update an environment whose unpinned requirements have newer releases (delete the folder), or
install anything but Python packages.

uv gets its own variables (UV_*) and those of the network, nothing else of the server's environment: building a package
runs its author's code. It keeps the lock open, so that a server that follows a killed one waits for the installer
that was left behind before it builds again.
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
from typing import IO

import uv

MARKER = "environment.json"
_OUTPUT_TAIL_LINES = 20
# what uv inherits besides its own variables: its cache, temporary files, proxies and certificates
_INHERITED = frozenset(
    {
        "HOME",
        "PATH",
        "TMPDIR",
        "LANG",
        "LC_ALL",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "NETRC",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        *(name for proxy in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (proxy, proxy.upper())),
    }
)


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
    """What an environment holds: the image's own packages, then the text of a requirements file over them.

    `python` is the version of its interpreter, as in "3.12"; the server's own if empty.
    """

    image: str
    base: tuple[str, ...]
    requirements: str = ""
    python: str = ""

    @property
    def requirements_sha256(self) -> str:
        """The digest of the requirements file."""
        return hashlib.sha256(self.requirements.encode()).hexdigest()

    def digest(self, interpreter: str) -> str:
        """The digest of everything that went in."""
        parts = [self.image, list(self.base), self.requirements, self.python or interpreter]
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
        with _exclusive(self._folder / f"{place.name}.lock") as lock:
            found = _read_marker(place)
            if found is None:
                found = self._build(spec, place, _Installer(lock, on_line))
        with self._lock:
            self._ready[digest] = found
        return found

    def known(self) -> list[JobEnvironment]:
        """Return the finished environments of the folder."""
        places = sorted(path.parent for path in self._folder.glob(f"*/{MARKER}"))
        return [found for place in places if (found := _read_marker(place)) is not None]

    def _build(self, spec: EnvironmentSpec, place: Path, installer: "_Installer") -> JobEnvironment:
        shutil.rmtree(place, ignore_errors=True)
        python = str(place / "bin" / "python")
        install = ["pip", "install", "--compile-bytecode", "--python", python, "-r"]
        if spec.requirements.strip():
            # The image's own environment, by hard links: seconds instead of a second installation. Installers replace
            # files and never write into them, so the image's copy stays as it is.
            image = EnvironmentSpec(spec.image, spec.base, python=spec.python)
            base = Path(self.get(image, _silent).python).parents[1]
            shutil.copytree(base, place, symlinks=True, copy_function=os.link, ignore=shutil.ignore_patterns(MARKER))
            requirements = place / "requirements.txt"
            requirements.write_text(spec.requirements)
            installer.run([*install, str(requirements)])
        else:
            # an image's packages are there before a job begins, so installing them is nothing its log should show
            silent = _Installer(installer.lock, _silent)
            interpreter = spec.python or sys.executable
            silent.run(["venv", "--quiet", "--relocatable", "--python", interpreter, str(place)])
            packages = place / "image.txt"
            packages.write_text("".join(f"{line}\n" for line in ("pip", *spec.base)))
            silent.run([*install, str(packages)])
        return _complete(place, JobEnvironment(spec.image, spec.requirements_sha256, python))


def _complete(place: Path, made: JobEnvironment) -> JobEnvironment:
    """Mark an environment as finished: the last thing that is written."""
    unfinished = place / f"{MARKER}.part"
    unfinished.write_text(json.dumps(asdict(made)))
    unfinished.rename(place / MARKER)
    return made


def _silent(_: str) -> None:
    """Take a line that nobody wants (a failed command still carries its output)."""


@dataclass(frozen=True)
class _Installer:
    """uv, telling its lines to `on_line`; `lock` is the open file of the lock on what it installs into."""

    lock: IO[str]
    on_line: Callable[[str], None]

    def run(self, arguments: list[str]) -> None:
        """Run uv to its end.

        Raises:
            EnvironmentBuildError: with the last lines of what it said.
        """
        # `--no-config`: a configuration file of whatever project the server was started in must not leak into the jobs
        process = subprocess.Popen(
            [uv.find_uv_bin(), "--no-config", "--no-progress", *arguments],
            env={name: value for name, value in os.environ.items() if name.startswith("UV_") or name in _INHERITED},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=[self.lock.fileno()],
        )
        lines: list[str] = []
        with process:
            assert process.stdout is not None  # noqa: S101 - for the type checker: stdout=PIPE above
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                self.on_line(lines[-1])
        if process.returncode != 0:
            shown = " ".join(["uv", *arguments])
            raise EnvironmentBuildError(shown, process.returncode, "\n".join(lines[-_OUTPUT_TAIL_LINES:]))


def _read_marker(place: Path) -> JobEnvironment | None:
    try:
        found = JobEnvironment(**json.loads((place / MARKER).read_text()))
    except FileNotFoundError:
        return None
    return found if Path(found.python).exists() else None


@contextmanager
def _exclusive(path: Path) -> Iterator[IO[str]]:
    """Hold a lock on `path` that excludes other threads and other processes."""
    with path.open("w") as file:  # a new open file per caller, so that flock excludes threads, too
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
