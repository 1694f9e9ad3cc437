"""docs/verified.md, written at the end of a full run: what ran, on which commit, and what became of it.

``--report FILE`` writes it, also when tests failed. A run that was interrupted writes nothing.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

OUTCOMES = ("passed", "failed", "skipped")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define the option."""
    parser.addoption("--report", type=Path, help="write what became of the tests to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run if a report is wanted."""
    path = config.getoption("--report")
    if path and not config.option.collectonly:
        config.pluginmanager.register(Report(config.rootpath, path), "report")


class Report:
    """The outcomes of a run, counted by suite; a suite is a folder of tests.

    Args:
        root: The tree whose tests run.
        path: What is written.
    """

    def __init__(self, root: Path, path: Path) -> None:
        self._root, self._path = root, path
        self._outcomes: dict[str, str] = {}
        self._seconds: Counter[str] = Counter()
        self._began = time.monotonic()
        self._commit = self._git("rev-parse", "--short", "HEAD")
        self._changed = bool(self._git("status", "--porcelain", "--untracked-files=no"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a phase of a test: it has passed when all have."""
        self._seconds[_suite(report.nodeid)] += report.duration
        if report.outcome != "passed" or report.when == "call":
            known = self._outcomes.get(report.nodeid)
            self._outcomes[report.nodeid] = "failed" if "failed" in {known, report.outcome} else report.outcome

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the report."""
        if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            self._path.write_text(self.text(), encoding="utf-8")

    def text(self) -> str:
        """Return the page."""
        suites: dict[str, Counter[str]] = defaultdict(Counter)
        for test, outcome in self._outcomes.items():
            suites[_suite(test)][outcome] += 1
        rows = [*sorted(suites.items()), ("**all**", sum(suites.values(), Counter[str]()))]
        seconds = {**self._seconds, "**all**": time.monotonic() - self._began}
        changed = ", with changes that are not committed" if self._changed else ""
        lines = [
            "# The last full run: `make verify`",
            "",
            f"Commit {self._commit}{changed}; Python {platform.python_version()}, {os.cpu_count()} cores.",
            f"Load average over the last 15 minutes: {os.getloadavg()[2]:.1f}. The run itself has written this page.",
            "",
            "| suite | " + " | ".join(OUTCOMES) + " | seconds |",
            "|---|" + "---|" * (len(OUTCOMES) + 1),
            *(_row(suite, [str(counts[outcome]) for outcome in OUTCOMES], seconds[suite]) for suite, counts in rows),
        ]
        others = {test: outcome for test, outcome in sorted(self._outcomes.items()) if outcome != "passed"}
        if others:
            lines += ["", *(f"- {outcome}: `{test}`" for test, outcome in others.items())]
        return "\n".join(lines) + "\n"

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(self._root), *arguments],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()


def _row(name: str, counts: list[str], seconds: float) -> str:
    return f"| {name} | {' | '.join(counts)} | {seconds:.0f} |"


def _suite(test: str) -> str:
    return str(Path(test.partition("::")[0]).parent)
