"""A pytest plugin: a run of the whole suite fails unless each required test was executed and passed.

Purpose: a suite that says nothing when a test is missing, deselected or skipped goes green without its proofs.

How it works: ``tests/required.txt`` names test modules, tests, or single cases of a test by their node ids, one a line.
All tests below such a name have to pass, and one has to be executed. A run is of the whole suite when the command line
selects nothing, or when the variable CI is ``true``; then the run fails and names what is amiss. ``-m "not verify"`` is
no selection: the slow tests of a name are left out by default, and required of a run with ``-m ""``.

What it does not do: judge a run of a part, or one that was interrupted.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

WHOLE_SUITE_MARKS = ("", "not verify")
_JUDGED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run if it is of the whole suite."""
    if not config.option.collectonly and (os.environ.get("CI") == "true" or _selects_nothing(config)):
        names = read_names(config.rootpath / "tests" / "required.txt")
        config.pluginmanager.register(RequiredTests(names), "required tests")


def read_names(path: Path) -> list[str]:
    """Return the names in a list of required tests; `#` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


class RequiredTests:
    """What became of the required tests.

    Args:
        names: Node ids of modules, tests or cases.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._collected: set[str] = set()
        self._deselected: set[str] = set()
        self._slow: set[str] = set()
        self._outcomes: dict[str, set[str]] = defaultdict(set)
        self._problems: list[str] = []

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note what will not run, and what of it was left out for being slow."""
        self._deselected |= {item.nodeid for item in items}
        self._slow |= {item.nodeid for item in items if _left_out_as_slow(item)}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what should run."""
        self._collected = {item.nodeid for item in session.items}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test's setup, call or teardown ended."""
        if hasattr(report, "wasxfail"):
            self._outcomes[report.nodeid].add("expected to fail")
        elif report.outcome != "passed":
            self._outcomes[report.nodeid].add(report.outcome)
        elif report.when == "call":
            self._outcomes[report.nodeid].add("passed")

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail the run if a required test did not pass."""
        if exitstatus in _JUDGED:
            self._problems = [problem for name in self._names for problem in self._problems_of(name)]
            if self._problems:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what is amiss."""
        if self._problems:
            terminalreporter.section("required tests that did not pass", red=True, bold=True)
            for problem in self._problems:
                terminalreporter.line(problem)

    def _problems_of(self, name: str) -> Iterator[str]:
        tests = sorted(test for test in self._collected | self._deselected if _is_below(test, name))
        if not self._slow.issuperset(tests):
            tests = [test for test in tests if test not in self._slow]
        if not tests:
            yield f"{name}: missing (nothing of this name was collected; correct tests/required.txt or the test)"
        for test in tests:
            outcomes = self._outcomes.get(test, set())
            if test in self._deselected:
                yield f"{test}: deselected"
            elif outcomes != {"passed"}:
                yield f"{test}: {', '.join(sorted(outcomes - {'passed'})) or 'not executed'}"


def _is_below(test: str, name: str) -> bool:
    return test == name or test.startswith((f"{name}::", f"{name}["))


def _left_out_as_slow(item: pytest.Item) -> bool:
    return item.config.option.markexpr == "not verify" and item.get_closest_marker("verify") is not None


def _selects_nothing(config: pytest.Config) -> bool:
    options = config.option
    chosen = (
        options.file_or_dir,
        options.keyword,
        options.markexpr not in WHOLE_SUITE_MARKS,
        options.deselect,
        options.ignore,
        options.ignore_glob,
        getattr(options, "lf", False),
        getattr(options, "stepwise", False),
    )
    return not any(chosen)
