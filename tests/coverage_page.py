"""localcloud/COVERAGE.md, written and checked: what becomes of each operation, and the test that proves it.

Purpose: the page may call an operation "executes" only if a test says so that ran and passed, and it is never older
than the tests and the code.

How it works: a pytest plugin collects the operations that tests name in ``executes`` and ``refuses`` marks; each has to
be one of botocore's, or of a service of Google's (``coverage_google``). What the others are is asked of localcloud's
classes: a method that is moto's or ours is a record, one that never returns is a refusal (the type checker holds it to
that), and so is an operation without a method.
``--coverage-page check`` compares the page with what was collected (``--collect-only`` will do); ``write`` writes it at
the end of a run in which the tests that it names have passed; ``prove`` runs those tests only, then does as ``write``.
All want every test collected: ``-m ""``.

What it does not do: judge whether a test with the mark really looks at an object, a log, a process or an answer.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import yaml
from botocore.session import get_session

from tests import coverage_google

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

LOCALCLOUD = Path(__file__).parents[1] / "localcloud"
PAGE = LOCALCLOUD / "COVERAGE.md"
DIFFERENCES = LOCALCLOUD / "moto_differences.yaml"
MODES = ("check", "write", "prove")
EXECUTES, REFUSES = "executes", "refuses"
_AWS = ("sagemaker", "sagemaker-runtime")


@dataclass(frozen=True)
class Proof:
    """A test with a mark.

    Args:
        test: Its node id, without the case of a parametrised test.
        slow: Whether it belongs to the full matrix.
        line: Where it stands in its module.
    """

    test: str
    slow: bool
    line: int

    def fits(self, operation: str) -> tuple[bool, bool, str, int]:
        """Return a key by which the fittest of several tests is the least: quick, in a module named for it, early."""
        module, _, _ = self.test.partition("::")
        topic = Path(module).stem.removeprefix("test_").removesuffix("s")
        return self.slow, topic not in operation.lower(), module, self.line


@dataclass
class Marks:
    """The marks of the collected tests: operation to tests, by name of the mark."""

    found: dict[str, dict[str, set[Proof]]] = field(
        default_factory=lambda: {EXECUTES: defaultdict(set), REFUSES: defaultdict(set)}
    )

    def collect(self, items: Iterable[pytest.Item]) -> None:
        """Read the marks of tests.

        Raises:
            pytest.UsageError: A mark names an operation that there is not.
        """
        known = {operation for operations in operations_of_services().values() for operation in operations}
        for item in items:
            slow = item.get_closest_marker("verify") is not None
            proof = Proof(test_of(item.nodeid), slow, item.location[1] or 0)
            for name, tests in self.found.items():
                for operation in (each for mark in item.iter_markers(name) for each in mark.args):
                    if operation not in known:
                        message = f"{item.nodeid}: the mark {name} names {operation!r}, which no service has."
                        raise pytest.UsageError(message)
                    tests[operation].add(proof)

    def fittest(self, name: str, operation: str) -> str | None:
        """Return the node id of the test to be named for an operation."""
        proofs = self.found[name].get(operation)
        return min(proofs, key=lambda proof: proof.fits(operation)).test if proofs else None

    def named(self) -> Iterator[tuple[str, str, str]]:
        """Yield mark, operation and test of all that the page names."""
        for name, tests in self.found.items():
            for operation, proofs in sorted(tests.items()):
                yield name, operation, min(proofs, key=lambda proof, named=operation: proof.fits(named)).test


def test_of(node: str) -> str:
    """Return a node id without the case of a parametrised test."""
    return node.partition("[")[0]


def operations_of_services() -> dict[str, list[str]]:
    """Return the operations of botocore's models and of Google's services, by service."""
    session = get_session()
    aws = {service: list(session.get_service_model(service).operation_names) for service in _AWS}
    return {**aws, **coverage_google.operations()}


def methods_of_services() -> dict[str, Mapping[str, Callable[..., object]]]:
    """Return what localcloud answers operations with, by service and operation."""
    # heavy, and needed only when the page is asked for
    from moto.core.utils import camelcase_to_underscores, method_names_from_class  # noqa: PLC0415

    from localcloud.aws.sagemaker.endpoints.runtime import LocalSageMakerRuntime  # noqa: PLC0415
    from localcloud.aws.sagemaker.front import Front  # noqa: PLC0415
    from localcloud.aws.sagemaker.service import LocalSageMaker  # noqa: PLC0415

    def methods(operations: Iterable[str], front: type[Any]) -> dict[str, Callable[..., object]]:
        names = {name for name in method_names_from_class(front) if name not in vars(Front)}
        found = {operation: camelcase_to_underscores(operation) for operation in operations}
        return {operation: getattr(front, name) for operation, name in found.items() if name in names}

    fronts: dict[str, type[Any]] = {"sagemaker": LocalSageMaker, "sagemaker-runtime": LocalSageMakerRuntime}
    operations = operations_of_services()
    return {
        **{service: methods(operations[service], fronts[service]) for service in _AWS},
        **coverage_google.methods(),
    }


def is_refusal(method: Callable[..., object] | None) -> bool:
    """Whether an operation's method does nothing but refuse."""
    return method is None or inspect.signature(method).return_annotation in {NoReturn, "NoReturn"}


def page(marks: Marks) -> str:
    """Return the page.

    Raises:
        pytest.UsageError: A test is said to execute what the code refuses.
    """
    lines: list[str] = []
    counts: list[str] = []
    for service, methods in methods_of_services().items():
        operations = sorted(operations_of_services()[service])
        executes = [each for each in operations if marks.fittest(EXECUTES, each)]
        for operation in executes:
            if is_refusal(methods.get(operation)):
                test = marks.fittest(EXECUTES, operation)
                message = f"{test}: marked as executing {operation}, which localcloud only refuses."
                raise pytest.UsageError(message)
        records = [each for each in operations if each not in executes and not is_refusal(methods.get(each))]
        refuses = [each for each in operations if is_refusal(methods.get(each))]
        counts.append(
            f"| {service} | {len(executes) + len(records)} | {len(executes)} | {len(refuses)} |",
        )
        lines += ["", f"## {service}", *_tables(marks, executes, records, refuses, methods)]
    head = ["| service | implemented | of them proved to execute | refused |", "|---|---|---|---|"]
    return "\n".join([*_introduction(), "", *head, *counts, *lines, *_differences(), ""])


def _introduction() -> list[str]:
    return [
        "# Coverage",
        "",
        "Generated by `make coverage`; do not edit. Operation by operation of botocore's models, and of",
        "the services that Google's clients know:",
        "",
        "- **executes**: the named test has looked at an object, a log, a process or an answer that only a real",
        "  execution leaves, and has passed; a test of refusals, if named too, shows how the operation refuses.",
        "- **record**: is stored and described; nothing runs, or no test has shown it. Kept by moto or by localcloud.",
        "- **refused**: answered at once with a 400 that names the operation, by Google's half with UNIMPLEMENTED.",
    ]


def _tables(
    marks: Marks,
    executes: Sequence[str],
    records: Sequence[str],
    refuses: Sequence[str],
    methods: Mapping[str, Callable[..., object]],
) -> Iterator[str]:
    yield from (
        "",
        f"### Executes ({len(executes)})",
        "",
        "| operation | proved by | refusals shown by |",
        "|---|---|---|",
    )
    for operation in executes:
        shown = (_shown(marks.fittest(name, operation)) for name in (EXECUTES, REFUSES))
        yield f"| {operation} | {' | '.join(shown)} |"
    if records:
        yield from (
            "",
            f"### Record ({len(records)})",
            "",
            "| operation | kept by | refusals shown by |",
            "|---|---|---|",
        )
    for operation in records:
        keeper = "localcloud" if methods[operation].__module__.startswith("localcloud.") else "moto"
        yield f"| {operation} | {keeper} | {_shown(marks.fittest(REFUSES, operation))} |"
    if refuses:
        yield from ("", f"### Refused ({len(refuses)})", "", *_refused(refuses, methods))


def _refused(refuses: Sequence[str], methods: Mapping[str, Callable[..., object]]) -> Iterator[str]:
    """List the operations; where they are of several services of an API, by service."""
    if "." not in refuses[0]:
        yield ", ".join(refuses) + "."
        return
    served = {name.partition(".")[0] for name, method in methods.items() if not is_refusal(method)}
    by_service: dict[str, list[str]] = defaultdict(list)
    for operation in refuses:
        service, _, name = operation.partition(".")
        by_service[service].append(name)
    for service, names in by_service.items():
        whole = "" if service in served else " (the whole service)"
        yield f"- {service}{whole}: {', '.join(names)}."


def _shown(test: str | None) -> str:
    if test is None:
        return ""
    path, _, name = test.partition("::")
    return f"[`{name}`](../{path})"


def _differences() -> Iterator[str]:
    rows = yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8"))
    yield from ("", "## Where moto contradicts AWS", "")
    yield "What code that was written against moto may meet here. localcloud does as AWS does."
    yield from ("", "| operation | moto | AWS | documented in |", "|---|---|---|---|")
    for row in rows:
        yield f"| {row['operation']} | {row['moto']} | {row['aws']} | {row['documented']} |"


class CoveragePage:
    """Checks or writes the page in one run.

    Args:
        mode: One of MODES.
    """

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._marks = Marks()
        self._outcomes: dict[str, set[str]] = defaultdict(set)
        self._problems: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Read the marks before anything is deselected."""
        self._marks.collect(items)
        if self._mode == "check" and page(self._marks) != _read(PAGE):
            message = f"{PAGE.name} is not what tests and code say. Remedy: `make coverage`."
            raise pytest.UsageError(message)
        if self._mode == "prove":
            named = {test for _, _, test in self._marks.named()}
            config.hook.pytest_deselected(items=[item for item in items if test_of(item.nodeid) not in named])
            items[:] = [item for item in items if test_of(item.nodeid) in named]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test ended; an expected failure is none that passed."""
        if report.when == "call" or report.outcome != "passed":
            outcome = "expected to fail" if hasattr(report, "wasxfail") else report.outcome
            self._outcomes[test_of(report.nodeid)].add(outcome)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page, or fail the run where it would claim what was not seen."""
        if self._mode != "check":
            self._problems = list(self._unproved())
            if self._problems:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            else:
                PAGE.write_text(page(self._marks), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what keeps the page from being written."""
        if self._problems:
            terminalreporter.section(f"{PAGE.name} is not written", red=True, bold=True)
            for problem in self._problems:
                terminalreporter.line(problem)

    def _unproved(self) -> Iterator[str]:
        for name, operation, test in self._marks.named():
            outcomes = self._outcomes.get(test, set())
            if outcomes != {"passed"}:
                yield f"{name} {operation}: {test} {', '.join(sorted(outcomes - {'passed'})) or 'was not executed'}"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the check and the generation."""
    parser.addoption("--coverage-page", choices=MODES, help="check or write localcloud/COVERAGE.md; with -m ''")


def pytest_configure(config: pytest.Config) -> None:
    """Take part when asked to."""
    mode = config.getoption("--coverage-page")
    if mode:
        config.pluginmanager.register(CoveragePage(mode), "coverage page")
