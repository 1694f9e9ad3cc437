"""docs/job-faults.md, written at the end of a run: what became of each fault, on each Airflow.

``--faults FILE`` writes it, also when tests failed; the tests are those with a parameter ``airflow-<version>``. A run
that was interrupted writes nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

_AIRFLOW = re.compile(r"airflow-[\d.]+")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define the option."""
    parser.addoption("--faults", type=Path, help="write what became of each fault on each Airflow to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run if the page is wanted."""
    path = config.getoption("--faults")
    if path and not config.option.collectonly:
        config.pluginmanager.register(Faults(config.rootpath, path), "faults")


class Faults:
    """The outcomes of the tests that run on several Airflows.

    Args:
        root: The tree whose tests run.
        path: What is written.
    """

    def __init__(self, root: Path, path: Path) -> None:
        self._root, self._path = root, path
        self._says: dict[str, str] = {}
        self._outcomes: dict[str, dict[str, str]] = defaultdict(dict)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what each test states."""
        for item in session.items:
            statement = (getattr(getattr(item, "function", None), "__doc__", None) or "").strip().splitlines()
            self._says[_case(item.nodeid)] = statement[0] if statement else ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a phase of a test: it has passed when all have."""
        airflow = _AIRFLOW.search(report.nodeid)
        if airflow and (report.outcome != "passed" or report.when == "call"):
            outcomes = self._outcomes[_case(report.nodeid)]
            known = outcomes.get(airflow[0])
            outcomes[airflow[0]] = "failed" if "failed" in {known, report.outcome} else report.outcome

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the page."""
        if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            self._path.write_text(self.text(), encoding="utf-8")

    def text(self) -> str:
        """Return the page."""
        commit = subprocess.run(
            ["git", "-C", str(self._root), "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True
        ).stdout.strip()
        airflows = sorted({airflow for outcomes in self._outcomes.values() for airflow in outcomes}, reverse=True)
        lines = [
            "# Faults of remote jobs",
            "",
            f"Written by the last run of `tests/pipeline/test_jobs_*.py`; commit {commit}, {os.cpu_count()} cores.",
            "Each test counts the jobs at the cloud.",
            "",
            f"| test | states | {' | '.join(airflows)} |",
            "|---|---|" + "---|" * len(airflows),
        ]
        for case, outcomes in self._outcomes.items():
            name = case.partition("::")[2].removeprefix("test_").replace("_", " ")
            cells = " | ".join(outcomes.get(airflow, "not run") for airflow in airflows)
            lines.append(f"| {name} | {self._says.get(case, '')} | {cells} |")
        return "\n".join(lines) + "\n"


def _case(test: str) -> str:
    """Return a test's id without the Airflow that it runs on."""
    return _AIRFLOW.sub("", test).replace("[-", "[").replace("-]", "]").replace("[]", "")
