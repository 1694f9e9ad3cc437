"""The Cloud Storage and the Vertex AI that the tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.gcp.local_vertex import LocalVertex, Storage

StartVertex = Callable[[], LocalVertex]


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Return a Cloud Storage with the bucket `models`."""
    running = Storage(tmp_path_factory.mktemp("storage") / "root")
    yield running
    running.end()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, storage: Storage, _environments: None) -> Iterator[LocalVertex]:
    """Return a running Vertex AI."""
    running = LocalVertex(tmp_path_factory.mktemp("vertex") / "root", storage)
    yield running
    running.end()


@pytest.fixture
def start_vertex(tmp_path: Path, storage: Storage, _environments: None) -> Iterator[StartVertex]:
    """Return a function that starts a Vertex AI of the test's own, each time over the same root."""
    started: list[LocalVertex] = []

    def start() -> LocalVertex:
        started.append(LocalVertex(tmp_path / "root", storage))
        return started[-1]

    yield start
    for running in started:
        running.end()
