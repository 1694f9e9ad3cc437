from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

PROJECT = Path(__file__).resolve().parents[3]
SETTINGS = """
[pytest]
testpaths = tests
pythonpath = .
addopts = --strict-markers --import-mode=importlib -p no:cacheprovider
markers =
    verify: slow
    executes: proof
    refuses: refusal
"""
MODULE = """
import pytest

@pytest.mark.executes("CreateTrainingJob")
def test_training():
    pass

@pytest.mark.refuses("CreateAutoMLJob")
def test_automl():
    pass

@pytest.mark.executes("JobService.CreateCustomJob")
def test_custom_job():
    pass
"""
UNPROVED = """
@pytest.mark.executes("CreateModel")
def test_model():
    assert False

@pytest.mark.executes("CreateEndpoint")
def test_endpoint():
    pytest.skip()

@pytest.mark.executes("CreatePipeline")
def test_pipeline():
    pytest.xfail()
"""


class Run(Protocol):
    """A suite that can be run with the plugin."""

    def __call__(self, module: str, mode: str) -> tuple[int, str]:
        """Return pytest's exit code and what it said."""


def said_by(folder: Path, *arguments: str) -> tuple[int, str]:
    """Return the exit code of pytest in a folder, and what it said."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        # without the plugins that the suite's environment has: they cost half of the time
        env={name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A suite with this repository's plugin in a folder of its own."""
    tests = tmp_path / "tests"
    tests.mkdir()
    (tmp_path / "localcloud").mkdir()
    for plugin in ("coverage_page.py", "coverage_google.py"):
        shutil.copy(PROJECT / "tests" / plugin, tests)
    shutil.copy(PROJECT / "localcloud" / "moto_differences.yaml", tmp_path / "localcloud")
    (tests / "conftest.py").write_text('pytest_plugins = ["tests.coverage_page"]\n')
    (tmp_path / "pytest.ini").write_text(SETTINGS)

    def run_suite(module: str, mode: str) -> tuple[int, str]:
        (tests / "test_it.py").write_text(module)
        return said_by(tmp_path, "--coverage-page", mode)

    return run_suite


def test_the_page_is_current() -> None:
    """The committed page is what the tests' marks and the code say."""
    settings = ("-p", "pytest_timeout", "-m", "", "--collect-only", "-q")
    code, said = said_by(PROJECT, *settings, "--coverage-page", "check", "tests/contract")
    assert (0, "") == (code, "" if code == 0 else said[-500:])


def test_what_passed_is_named(run: Run, tmp_path: Path) -> None:
    """An operation executes by the test that passed; others are records or refused, as the code has it.

    The check passes then, and fails when the page names another test.
    """
    assert 0 == run(MODULE, "prove")[0]
    page = tmp_path / "localcloud" / "COVERAGE.md"
    lines = page.read_text().splitlines()
    assert "| CreateTrainingJob | [`test_training`](../tests/test_it.py) |  |" in lines
    assert "| CreateExperiment | moto |  |" in lines
    assert "| StopTrainingJob | localcloud |  |" in lines
    refused = next(line for line in lines if "CreateLabelingJob" in line)
    assert {"CreateAutoMLJob", "CreateLabelingJob", "CreateCompilationJob"} <= set(refused.strip(".").split(", "))

    assert "| JobService.CreateCustomJob | [`test_custom_job`](../tests/test_it.py) |  |" in lines
    assert "| JobService.CancelCustomJob | localcloud |  |" in lines
    refused = next(line for line in lines if line.startswith("- PipelineService: "))
    assert "BatchCancelPipelineJobs" in refused
    assert any(line.startswith("- IndexService (the whole service): ") for line in lines)
    assert "| SecretManagerService.AccessSecretVersion | localcloud |  |" in lines

    assert 0 == run(MODULE, "check")[0]
    page.write_text(page.read_text().replace("test_training", "test_other"))
    code, said = run(MODULE, "check")
    assert 0 != code
    assert "Remedy: `make coverage`" in said


def test_no_page_without_proof(run: Run, tmp_path: Path) -> None:
    """When a test that would be named did not pass, the run fails, says which, and writes nothing."""
    code, said = run(MODULE + UNPROVED, "write")
    assert 1 == code
    for operation, outcome in (("Model", "failed"), ("Endpoint", "skipped"), ("Pipeline", "expected to fail")):
        assert f"executes Create{operation}: tests/test_it.py::test_{operation.lower()} {outcome}" in said, said
    assert "executes CreateTrainingJob:" not in said
    assert not (tmp_path / "localcloud" / "COVERAGE.md").exists()


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("CreateTrainingJobs", "names 'CreateTrainingJobs', which no service has"),
        (
            "JobService.CreateDataLabelingJob",
            "marked as executing JobService.CreateDataLabelingJob, which localcloud only",
        ),
        ("CreateLabelingJob", "marked as executing CreateLabelingJob, which localcloud only refuses"),
    ],
)
def test_wrong_marks(run: Run, mark: str, message: str) -> None:
    """A mark that names no operation, or one that the code refuses, fails the run."""
    code, said = run(MODULE.replace("CreateTrainingJob", mark), "write")
    assert 0 != code
    assert message in said
