"""Pages written at the end of a run: what became of each test on each Airflow.

``--faults FILE`` writes docs/job-faults.md, ``--astro FILE`` docs/astro-matrix.md, also when tests failed; the tests
are those with a parameter ``airflow-<version>``, the Astro SDK's in modules ``test_astro_*``. There, engine and place
have a column of their own. A run that was interrupted writes nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

_COLUMN = re.compile(r"airflow-[\d.]+(-(sqlite|duckdb|postgres)(-(local|s3)(?=[-\]]))?)?")


@dataclass(frozen=True)
class Page:
    """What a page is of.

    Args:
        title: Its heading.
        of: What it says of the tests.
        astro: Whether its tests are the Astro SDK's.
    """

    title: str
    of: str
    astro: bool


PAGES = {
    "--faults": Page(
        "Faults of remote jobs",
        "Written by the last run of `tests/pipeline/test_jobs_*.py`. Each test counts the jobs at the cloud.",
        astro=False,
    ),
    "--astro": Page(
        "The Astro SDK's operators on each engine, place and Airflow",
        "Written by the last run of `tests/pipeline/test_astro_matrix.py`. Each test reads what runs under a real "
        "scheduler left, over connections that are not the SDK's. What works on tables alone is tried in one place.",
        astro=True,
    ),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define the options."""
    for option, page in PAGES.items():
        parser.addoption(option, type=Path, help=f"write the page `{page.title}` to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run for the pages that are wanted."""
    for option, page in PAGES.items():
        path = config.getoption(option)
        if path and not config.option.collectonly:
            config.pluginmanager.register(Outcomes(config.rootpath, path, page), option)


class Outcomes:
    """The outcomes of the tests that run on several Airflows.

    Args:
        root: The tree whose tests run.
        path: What is written.
        page: What it is of.
    """

    def __init__(self, root: Path, path: Path, page: Page) -> None:
        self._root, self._path, self._page = root, path, page
        self._says: dict[str, str] = {}
        self._outcomes: dict[str, dict[str, str]] = defaultdict(dict)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what each test states."""
        for item in session.items:
            statement = (getattr(getattr(item, "function", None), "__doc__", None) or "").strip().splitlines()
            self._says[_case(item.nodeid)] = statement[0] if statement else ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a phase of a test: it has passed when all have."""
        column = _COLUMN.search(report.nodeid)
        if column is None or self._page.astro != ("/test_astro_" in report.nodeid):
            return
        if report.outcome != "passed" or report.when == "call":
            outcomes = self._outcomes[_case(report.nodeid)]
            known = outcomes.get(column[0])
            outcomes[column[0]] = "failed" if "failed" in {known, report.outcome} else report.outcome

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the page."""
        if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            self._path.write_text(self.text(), encoding="utf-8")

    def text(self) -> str:
        """Return the page."""
        commit = subprocess.run(
            ["git", "-C", str(self._root), "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True
        ).stdout.strip()
        columns = list(dict.fromkeys(column for outcomes in self._outcomes.values() for column in outcomes))
        columns.sort(key=lambda column: column.split("-")[1], reverse=True)
        counts = Counter(outcome for outcomes in self._outcomes.values() for outcome in outcomes.values())
        counted = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
        heads = " | ".join(column.removeprefix("airflow-").replace("-", " ") for column in columns)
        lines = [
            f"# {self._page.title}",
            "",
            self._page.of,
            f"Commit {commit}, {os.cpu_count()} cores: {counted}.",
            "",
            f"| test | states | {heads} |",
            "|---|---|" + "---|" * len(columns),
        ]
        said: set[str] = set()
        for case, outcomes in self._outcomes.items():
            name = case.partition("::")[2].removeprefix("test_").replace("_", " ")
            cells = " | ".join(outcomes.get(column, "") for column in columns)
            statement = self._says.get(case, "")
            # a test of many cases states it once
            shown = "as above" if statement and statement in said else statement
            said.add(statement)
            lines.append(f"| {name} | {shown} | {cells} |")
        return "\n".join(lines) + "\n"


def _case(test: str) -> str:
    """Return a test's id without what has a column of its own."""
    return _COLUMN.sub("", test).replace("[-", "[").replace("-]", "]").replace("[]", "")
