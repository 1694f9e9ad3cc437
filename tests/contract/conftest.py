"""The local cloud that the contract tests share. Environments are cached where LOCALCLOUD_ENVIRONMENTS says."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.contract.local_cloud import LocalCloud

# short, so that a program that ignores SIGTERM does not hold a test up
GRACE_SECONDS = "2"
REPOSITORY = Path(__file__).parents[2]
StartCloud = Callable[..., LocalCloud]


@pytest.fixture(scope="session", autouse=True)
def _environments() -> Iterator[None]:
    """Keep job environments between test runs unless told where."""
    with pytest.MonkeyPatch.context() as patch:
        folder = os.environ.get("LOCALCLOUD_ENVIRONMENTS", f"{REPOSITORY}/.local/environments")
        patch.setenv("LOCALCLOUD_ENVIRONMENTS", folder)
        yield


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, _environments: None) -> Iterator[LocalCloud]:
    """Return a running cloud with the bucket `data`."""
    running = LocalCloud(tmp_path_factory.mktemp("cloud") / "root", "--grace", GRACE_SECONDS)
    yield running
    running.end()


@pytest.fixture
def start_cloud(tmp_path: Path, _environments: None) -> Iterator[StartCloud]:
    """Return a function that starts a cloud of the test's own; what it started is ended with the test."""
    started: list[LocalCloud] = []

    def start(*options: str, within: Sequence[str] = ()) -> LocalCloud:
        started.append(LocalCloud(tmp_path / "root", "--grace", GRACE_SECONDS, *options, within=within))
        return started[-1]

    yield start
    for running in started:
        running.end()
