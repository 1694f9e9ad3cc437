"""Each documented way to install the Astro SDK beside Airflow 3, in a fresh environment of Python 3.12, and used there.

What is as on the platforms: the commands, the files they read, and for Amazon MWAA plain pip with the versions of the
image (envs/mwaa). What is not: packages come from the index that this machine uses; no image is built, so Airflow comes
with the rest instead of being there; and nothing else that an image holds is installed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.platform.astro_cli import PROJECT, copy_project

if TYPE_CHECKING:
    from collections.abc import Sequence

# environments of 180 packages each
pytestmark = [pytest.mark.verify, pytest.mark.timeout(1800)]

# the limits that uv was told to overrule stay in the published wheel's metadata, where a check finds them
OVERRULED = {"flask-session", "pandas", "smart-open"}
FLIGHTS = [("AA1", 3), ("B62", 16), ("UA3", 240)]
LATE = [("B62", 16), ("UA3", 240)]
WAYS = ("uv sync", "requirements.txt", "Dockerfile", "MWAA 3.2.1", "MWAA 3.3.1")
INSTALL_SECONDS = 1500


@dataclass(frozen=True)
class Installed:
    """An environment and what a check of it says.

    Args:
        way: How it was made.
        python: Its interpreter.
        folder: Where it was made.
        conflicts: What its installer's own check reports, a line each.
    """

    way: str
    python: Path
    folder: Path
    conflicts: Sequence[str]


def execute(folder: Path, *command: str, good: bool = True) -> subprocess.CompletedProcess[str]:
    """Run an installer in a folder; no environment but the folder's is in sight."""
    hidden = {"PYTHONPATH", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV"}
    ran = subprocess.run(
        command,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in hidden}
        # of the packages that are installed, few are imported
        | {"UV_PYTHON_DOWNLOADS": "never", "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    assert not good or ran.returncode == 0, f"{shlex.join(command)}:\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"
    return ran


def uv() -> str:
    """Return uv's path."""
    import uv as package  # noqa: PLC0415 - the name is this function's

    return package.find_uv_bin()


def image_command() -> list[str]:
    """Return the installation in the Dockerfile, word for word."""
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"uv (pip install .*)", text)
    return shlex.split(command)


def with_uv(way: str, folder: Path) -> Installed:
    """Install with uv, which overrides the Astro SDK's limits."""
    if way == "Dockerfile":
        # all that the image has of the project at that moment
        for name in ("pyproject.toml", "requirements.txt", "packages.txt"):
            shutil.copy(PROJECT / name, folder / name)
    else:
        copy_project(folder)
    python = folder / ".venv" / "bin" / "python"
    if way == "uv sync":
        execute(folder, uv(), "sync", "--frozen", "--python", "3.12")
    else:
        execute(folder, uv(), "venv", "--python", "3.12")
        # the venv stands for the image's system environment; the cache only keeps the image small
        words = [word for word in image_command() if word not in {"--system", "--no-cache", "--compile-bytecode"}]
        if way == "requirements.txt":
            words = ["pip", "install", "-r", "requirements.txt"]
        execute(folder, uv(), *words[:2], "--python", str(python), *words[2:])
    check = execute(folder, uv(), "pip", "check", "--python", str(python), good=False)
    return Installed(way, python, folder, [line for line in check.stderr.splitlines() if "requires" in line])


def with_pip(way: str, folder: Path, wheels: Path) -> Installed:
    """Install with plain pip under the versions of an image of MWAA."""
    version = way.removeprefix("MWAA ")
    execute(folder, uv(), "venv", "--seed", "--python", "3.12")
    python = folder / ".venv" / "bin" / "python"
    pins, wanted = PROJECT / "envs" / "mwaa" / f"{version}.txt", PROJECT / "envs" / "mwaa" / "requirements.in"
    pip = (str(python), "-m", "pip")
    execute(
        folder, *pip, "install", "--constraint", str(pins), "--find-links", str(wheels), "--requirement", str(wanted)
    )
    check = execute(folder, *pip, "check", good=False)
    assert (check.returncode == 0) == (check.stdout.strip() == "No broken requirements found.")
    return Installed(way, python, folder, [] if check.returncode == 0 else check.stdout.splitlines())


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheels` builds, from the published wheel, fetched anew."""
    folder = tmp_path_factory.mktemp("wheels") / "dist"
    execute(PROJECT, sys.executable, "-m", "deploy.wheels.build", "--into", str(folder))
    return folder


@pytest.fixture(scope="module", params=WAYS)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A fresh environment, made in one of the ways."""
    folder = tmp_path_factory.mktemp("way")
    if request.param.startswith("MWAA"):
        return with_pip(request.param, folder, request.getfixturevalue("wheels"))
    return with_uv(request.param, folder)


def test_the_wheel_is_the_same_twice(wheels: Path, tmp_path: Path) -> None:
    """Built again, the wheel has the same bytes."""
    execute(PROJECT, sys.executable, "-m", "deploy.wheels.build", "--into", str(tmp_path / "again"))

    (first,) = wheels.iterdir()
    (second,) = (tmp_path / "again").iterdir()
    assert "astro_sdk_python-1.9.0+airflow3-py3-none-any.whl" == first.name == second.name
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("version", ["3.2.1", "3.3.1"])
def test_the_published_wheel_does_not_fit(version: str, tmp_path: Path) -> None:
    """Under the versions of MWAA's image the published limits have no solution: the corrected wheel is needed."""
    pins = (PROJECT / "envs" / "mwaa" / f"{version}.txt").read_text(encoding="utf-8").splitlines()
    (tmp_path / "pins.txt").write_text("\n".join(line for line in pins if not line.startswith("astro-sdk-python")))
    (tmp_path / "wanted.in").write_text("astro-sdk-python==1.9.0\n")

    refused = execute(
        tmp_path,
        uv(),
        "pip",
        "compile",
        "--python-version",
        "3.12",
        "--constraint",
        "pins.txt",
        "wanted.in",
        good=False,
    )

    assert 1 == refused.returncode
    said = " ".join(refused.stderr.split())
    assert "No solution found" in said
    assert re.search(rf"astro-sdk-python\S* depends on ({'|'.join(sorted(OVERRULED))})<", said)


def test_what_is_installed_fits_together(installed: Installed) -> None:
    """No conflict is found where the wheel was corrected; elsewhere none but the limits that uv overrules."""
    if installed.way.startswith("MWAA"):
        assert [] == installed.conflicts
    else:
        found = {re.findall(r"`([a-z-]+)[<>=`]", line)[-1] for line in installed.conflicts}
        assert found == OVERRULED
        assert all("astro-sdk-python" in line for line in installed.conflicts)


def test_versions_are_the_platforms(installed: Installed) -> None:
    """Airflow and every other package of MWAA's image keep their versions; elsewhere Airflow is the project's."""
    listed = execute(installed.folder, uv(), "pip", "freeze", "--python", str(installed.python)).stdout.splitlines()
    if installed.way.startswith("MWAA"):
        version = installed.way.removeprefix("MWAA ")
        pins = (PROJECT / "envs" / "mwaa" / f"{version}.txt").read_text(encoding="utf-8").splitlines()
        assert f"apache-airflow=={version}" in listed
        assert {line for line in pins if "astro" not in line} == {
            line for line in listed if not re.match(r"astro|pip==", line)
        }
    else:
        assert {"apache-airflow==3.3.2", "astro-sdk-python==1.9.0"} <= set(listed)


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_rows_arrive(installed: Installed, engine: str, tmp_path: Path) -> None:
    """The bridge accepts what was installed, and a load, a transform and an append leave their rows in the database."""
    source, database = tmp_path / "flights.csv", tmp_path / f"warehouse.{engine}"
    source.write_text("flight,delay\nAA1,3\nB62,16\nUA3,240\n")
    ran = subprocess.run(
        [str(installed.python), "-m", "tests.astro.installed_program", str(source)],
        cwd=tmp_path,
        env={
            "HOME": str(tmp_path),
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(PROJECT),
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": engine, "host": str(database)}),
            "AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES": "airflow.* astro.*",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert 0 == ran.returncode, ran.stderr[-4000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert Path(told["file"]).is_relative_to(installed.folder)
    assert ("1.9.0+airflow3" if installed.way.startswith("MWAA") else "1.9.0") == told["version"]
    assert {"flights": FLIGHTS, "late": LATE, "twice": sorted([*FLIGHTS, *LATE])} == {
        table: rows(engine, database, f"SELECT flight, delay FROM {table} ORDER BY 1, 2")
        for table in ("flights", "late", "twice")
    }


def rows(engine: str, database: Path, sql: str) -> list[tuple[str, int]]:
    """Return a query's rows over a connection that is not the SDK's."""
    if engine == "sqlite":
        connection = sqlite3.connect(database)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()
    with duckdb.connect(str(database)) as session:
        return session.execute(sql).fetchall()
