"""The page of faults tells what became of each test on each Airflow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
SETTINGS = "[pytest]\ntestpaths = tests\npythonpath = .\naddopts = --import-mode=importlib -p no:cacheprovider\n"
MODULE = '''
import pytest

@pytest.fixture(params=["airflow-3.3", "airflow-3.2"])
def jobs(request): return request.param

def test_one_job(jobs):
    """One job is left.

    More text.
    """

@pytest.mark.parametrize("kind", ["training", "transform"])
def test_a_kill(jobs, kind):
    """A kill costs nothing."""
    assert (jobs, kind) != ("airflow-3.2", "transform")

def test_something_else(): pass
'''


def test_a_page(tmp_path: Path) -> None:
    """A row for each case with its statement, a column for each Airflow; other tests are no part of it."""
    suite = tmp_path / "tests"
    suite.mkdir()
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    shutil.copy(TESTS / "airflow_matrix.py", suite)
    (suite / "conftest.py").write_text('pytest_plugins = ["tests.airflow_matrix"]\n')
    (suite / "test_module.py").write_text(MODULE)
    commit = ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "all"]
    for command in (["init", "-q"], ["add", "-A"], commit):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--faults", "faults.md"], check=False, cwd=tmp_path, capture_output=True
    )
    assert 1 == run.returncode
    assert [
        "| test | states | 3.3 | 3.2 |",
        "|---|---|---|---|",
        "| one job | One job is left. | passed | passed |",
        "| a kill[training] | A kill costs nothing. | passed | passed |",
        "| a kill[transform] | as above | passed | failed |",
    ] == (tmp_path / "faults.md").read_text().splitlines()[5:]
