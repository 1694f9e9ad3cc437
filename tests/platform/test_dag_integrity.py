"""`astro dev parse`, run as the CLI runs it in standalone mode: on the project, and on projects that have to fail."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.platform.astro_cli import PROJECT, parse, standalone_environment

if TYPE_CHECKING:
    import subprocess

PYTEST = Path(sys.executable).with_name("pytest")
TAGGED = """
from airflow.sdk import DAG

with DAG("{0}", schedule=None, tags=["example"]):
    pass
"""


def parse_with_env_example(project: Path) -> subprocess.CompletedProcess[str]:
    """Parse a project whose .env was made from .env.example, with the test run's own interpreter."""
    shutil.copy(PROJECT / ".env.example", project / ".env")
    environment = standalone_environment(project)
    return parse(project, environment, PYTEST)


def failed_tests(output: str) -> list[str]:
    """Return what pytest's summary names as failed."""
    return re.findall(r"^FAILED \S+::(\S+)", output, re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the integrity test and one good DAG file."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "good.py").write_text(TAGGED.format("good"))
    shutil.copytree(PROJECT / ".astro", tmp_path / ".astro", ignore=shutil.ignore_patterns("standalone", "__pycache__"))
    # as in the project's root: settings that need plugins which no image has
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = ["--strict-config"]\nunknown = 1\n')
    return tmp_path


def test_the_projects_dag_files_pass(tmp_path: Path) -> None:
    """Every DAG file of the project imports in the environment that the CLI makes, and its DAGs have tags."""
    for name in ("dags", "include", "plugins", ".astro"):
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("standalone", "__pycache__"))

    parsed = parse_with_env_example(tmp_path)

    assert 0 == parsed.returncode, parsed.stdout
    files = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "dags").glob("*.py")}
    assert 2 * len(files) + 1 == int(re.findall(r"(\d+) passed", parsed.stdout)[0])


def test_what_is_wrong_fails_and_is_named(project: Path) -> None:
    """A file that does not import, one without a DAG and an untagged DAG fail; good files beside them pass."""
    dags = project / "dags"
    (dags / "broken.py").write_text("import airflow.sdk.dag_that_is_not_there\n")
    (dags / "empty.py").write_text("import airflow.sdk  # no dag\n")
    (dags / "untagged.py").write_text(TAGGED.format("untagged").replace(', tags=["example"]', ""))

    parsed = parse_with_env_example(project)

    assert 1 == parsed.returncode
    expected = [
        "test_file_defines_tagged_dags[dags/empty.py]",
        "test_file_defines_tagged_dags[dags/untagged.py]",
        "test_file_imports[dags/broken.py]",
    ]
    assert expected == sorted(failed_tests(parsed.stdout))
    assert "No module named 'airflow.sdk.dag_that_is_not_there'" in parsed.stdout


@pytest.mark.verify
def test_an_excepted_file_may_be_wrong(project: Path) -> None:
    """A file that the exceptions name is left out; a name of no file fails."""
    (project / "dags" / "broken.py").write_text("import airflow.sdk.dag_that_is_not_there\n")
    exceptions = project / ".astro" / "dag_integrity_exceptions.txt"
    exceptions.write_text("# for now\ndags/broken.py\n")
    excepted = parse_with_env_example(project)
    exceptions.write_text("dags/broken.py\ndags/gone.py\n")
    stale = parse_with_env_example(project)

    assert 0 == excepted.returncode, excepted.stdout
    assert 1 == stale.returncode
    assert ["test_an_exception_names_a_dag_file[dags/gone.py]"] == re.findall(
        r"^FAILED \S+::(\S+)", stale.stdout, re.MULTILINE
    )


def test_a_folder_without_dag_files_fails(project: Path) -> None:
    """Nothing found is no success."""
    (project / "dags" / "good.py").unlink()

    parsed = parse_with_env_example(project)

    assert 1 == parsed.returncode
    assert "no DAG file was found" in parsed.stdout
