from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from tests.required import read_names

TESTS = Path(__file__).resolve().parents[2]
SETTINGS = """
[pytest]
testpaths = tests
pythonpath = .
addopts = --strict-markers --import-mode=importlib -p no:cacheprovider
markers = verify: slow
"""
MODULE = """
import pytest

def test_passes():
    pass

@pytest.mark.parametrize("number", [1, 2])
def test_cases(number):
    pass
"""


class Run(Protocol):
    """A suite that can be run with a list of required tests."""

    def __call__(
        self, required: str, *arguments: str, module: str = MODULE, ci: str | None = None
    ) -> tuple[int, list[str]]:
        """Return pytest's exit code and what the plugin said."""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A suite with this repository's plugin and list of required tests in a folder of its own."""
    tests = tmp_path / "tests"
    tests.mkdir()
    shutil.copy(TESTS / "required.py", tests)
    (tests / "conftest.py").write_text('pytest_plugins = ["tests.required"]\n')
    (tmp_path / "pytest.ini").write_text(SETTINGS)

    def run_suite(required: str, *arguments: str, module: str = MODULE, ci: str | None = None) -> tuple[int, list[str]]:
        (tests / "required.txt").write_text(required)
        (tests / "test_it.py").write_text(module)
        environment = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=tmp_path,
            # without the plugins that the suite's environment has: they cost half of the time
            env=environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | ({} if ci is None else {"CI": ci}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        _, _, said = ended.stdout.partition("required tests that did not pass")
        return ended.returncode, re.findall(r"^(tests/\S+: .*)$", said, re.MULTILINE)

    return run_suite


@pytest.mark.parametrize(
    "required",
    [
        "tests/test_it.py",
        "tests/test_it.py::test_passes",
        "tests/test_it.py::test_cases",
        "tests/test_it.py::test_cases[2]",
    ],
)
def test_required_tests_that_pass_change_nothing(run: Run, required: str) -> None:
    """A module, a test, a test with cases and one case can be required."""
    assert (0, []) == run(f"# a comment\n\n{required}  # why\n")


def test_a_missing_test_fails_the_run(run: Run) -> None:
    """A name of nothing fails, also when every test passes, and so does a name that is only a beginning."""
    code, said = run("tests/test_it.py::test_gone\ntests/test_gone.py\ntests/test_it.py::test_pass\n")

    assert 1 == code
    names = [line.partition(": missing")[0] for line in said]
    assert ["tests/test_it.py::test_gone", "tests/test_gone.py", "tests/test_it.py::test_pass"] == names


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("pytest.skip('no reason')", "skipped"),
        ("pytest.importorskip('no_such_module')", "skipped"),
        ("pytest.xfail('known')", "expected to fail"),
        ("assert False", "failed"),
    ],
)
def test_a_test_that_does_not_pass_fails_the_run(run: Run, body: str, why: str) -> None:
    """Skipped and expected to fail is not passed."""
    module = f"import pytest\n\ndef test_passes():\n    {body}\n"

    assert (1, [f"tests/test_it.py::test_passes: {why}"]) == run("tests/test_it.py", module=module)


def test_a_module_that_skips_itself_fails_the_run(run: Run) -> None:
    """No test of it is collected: it is missing."""
    module = "import pytest\n\npytest.skip('all of it', allow_module_level=True)\n"

    code, said = run("tests/test_it.py", module=module)

    assert 1 == code
    assert ["tests/test_it.py: missing"] == [line.partition(" (")[0] for line in said]


def test_one_case_that_is_skipped_fails_the_run(run: Run) -> None:
    """All cases of a required test have to pass."""
    module = MODULE.replace("[1, 2]", "[1, pytest.param(2, marks=pytest.mark.skip)]")

    assert (1, ["tests/test_it.py::test_cases[2]: skipped"]) == run("tests/test_it.py::test_cases", module=module)


def test_a_required_test_that_is_slow_is_missed(run: Run) -> None:
    """A name all of whose tests moved to the slow ones, which the default marks leave out, fails the run."""
    module = MODULE.replace("def test_passes", "@pytest.mark.verify\ndef test_passes")

    code, said = run("tests/test_it.py::test_passes", "-m", "not verify", module=module)

    assert (1, ["tests/test_it.py::test_passes: deselected"]) == (code, said)


def test_the_slow_tests_of_a_module_are_required_where_they_run(run: Run) -> None:
    """The default marks may leave out a part of a required module; the run of everything may not."""
    module = MODULE.replace("def test_passes():\n    pass", "@pytest.mark.verify\ndef test_passes():\n    assert False")

    assert (0, []) == run("tests/test_it.py", "-m", "not verify", module=module)
    assert (1, ["tests/test_it.py::test_passes: failed"]) == run("tests/test_it.py", "-m", "", module=module)


@pytest.mark.parametrize(
    "selection",
    [
        ["-k", "passes"],
        ["-m", "verify or not verify"],
        ["tests/test_it.py"],
        ["--deselect", "tests/test_it.py::test_cases"],
    ],
)
def test_a_run_of_a_part_is_not_judged(run: Run, selection: list[str]) -> None:
    """Whoever runs a part of the suite at his desk is left in peace; in CI he is not."""
    required = "tests/test_it.py::test_gone"

    assert (0, []) == run(required, *selection)
    code, said = run(required, *selection, ci="true")
    assert (1, 1) == (code, len(said))


def test_a_deselected_test_is_named_in_ci(run: Run) -> None:
    """CI that runs a part without the required test fails."""
    code, said = run("tests/test_it.py::test_passes", "-k", "cases", ci="true")

    assert (1, ["tests/test_it.py::test_passes: deselected"]) == (code, said)


def test_the_list_names_modules_that_exist() -> None:
    """Each required name is of a file in this tree, and stands there once."""
    names = read_names(TESTS / "required.txt")

    assert len(names) == len(set(names))
    assert [] == [name for name in names if not (TESTS.parent / name.partition("::")[0]).is_file()]
