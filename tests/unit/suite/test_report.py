"""The report of a full run tells what became of each test, also when some failed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
SETTINGS = "[pytest]\ntestpaths = tests\npythonpath = .\naddopts = --import-mode=importlib -p no:cacheprovider\n"
MODULE = """
import pytest

def test_passes(): pass
def test_fails(): assert False
def test_skips(): pytest.skip()

@pytest.fixture
def broken():
    yield
    assert False

def test_passes_and_then_its_fixture_fails(broken): pass
"""


def test_a_report(tmp_path: Path) -> None:
    """Tests are counted by suite and outcome, what did not pass is named, and so is the commit with its changes."""
    suite = tmp_path / "tests" / "unit"
    suite.mkdir(parents=True)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    shutil.copy(TESTS / "report.py", tmp_path / "tests")
    (tmp_path / "tests" / "conftest.py").write_text('pytest_plugins = ["tests.report"]\n')
    (suite / "test_module.py").write_text("def test_passes(): pass\n")
    commit = ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "all"]
    for command in (["init", "-q"], ["add", "-A"], commit):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    (suite / "test_module.py").write_text(MODULE)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--report", "report.md"], check=False, cwd=tmp_path, capture_output=True
    )
    report = (tmp_path / "report.md").read_text()
    assert run.returncode == 1
    assert re.search(r"^Commit [0-9a-f]{7,}, with changes that are not committed; Python 3", report, re.MULTILINE)
    assert re.findall(r"^\| (.*) \| \d+ \|$", report, re.MULTILINE) == ["tests/unit | 1 | 2 | 1", "**all** | 1 | 2 | 1"]
    assert re.findall(r"^- (.*)$", report, re.MULTILINE) == [
        "failed: `tests/unit/test_module.py::test_fails`",
        "failed: `tests/unit/test_module.py::test_passes_and_then_its_fixture_fails`",
        "skipped: `tests/unit/test_module.py::test_skips`",
    ]
