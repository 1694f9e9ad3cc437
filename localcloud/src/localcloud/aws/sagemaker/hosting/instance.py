"""One instance that hosts a model: its containers in series, each with an /opt/ml of its own.

How it works: a model of one container is a chain of one. In an inference pipeline the answer of a container, with its
content type, is the request of the next; the client's Accept goes to the last.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from localcloud.aws.sagemaker.hosting.container import STARTUP_SECONDS, Answer, ContainerError, ModelContainer
from localcloud.aws.sagemaker.jobs.execution import Surroundings
from localcloud.engine.engine import Job
from localcloud.engine.tree import JobTree

ContainerLog = Callable[[str], Callable[[str], None]]


def container_names(containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what AWS calls the containers of a model in logs and messages."""
    if len(containers) == 1:
        return [containers[0].get("ContainerHostname") or "primary"]
    return [item.get("ContainerHostname") or f"container-{number}" for number, item in enumerate(containers, start=1)]


class ModelInstance:
    """The running containers of one model. Use as a context manager: leaving kills them.

    Args of the constructor: `extra` holds variables over the containers' own, `log` returns where the lines of the
    container of a name go, `startup` is how many seconds each model may take to load.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        job: Job,
        containers: Sequence[Mapping[str, Any]],
        extra: Mapping[str, str],
        log: ContainerLog,
        *,
        startup: float = STARTUP_SECONDS,
    ) -> None:
        """Start all containers; returns when every model is loaded.

        Raises:
            ContainerError: one of them did not start. None is left running.
        """
        self._running = ExitStack()
        self._containers: list[tuple[str, ModelContainer]] = []
        with ExitStack() as started:
            for name, definition in zip(container_names(containers), containers, strict=True):
                housed = job if len(containers) == 1 else in_own_tree(job, name)
                with _naming(name):
                    container = ModelContainer(surroundings, housed, definition, extra, log(name), startup=startup)
                self._containers.append((name, started.enter_context(container)))
            self._running = started.pop_all()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all containers."""
        self.close()

    def close(self) -> None:
        """End all containers."""
        self._running.close()

    @property
    def alive(self) -> bool:
        """Whether every container runs."""
        return all(container.alive for _, container in self._containers)

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout: float) -> tuple[str, Answer]:
        """Send one request through the containers; return the last answer and the name of the container that gave it.

        The first answer that is no success is the last. Raises what `ModelContainer.invoke` raises.
        """
        last = len(self._containers) - 1
        given = {name: value for name, value in headers.items() if name.lower() != "accept"}
        for position, (name, container) in enumerate(self._containers):
            with _naming(name):
                answer = container.invoke(body, headers if position == last else given, timeout)
            if position == last or not answer.ok:
                break
            body = answer.body
            given["Content-Type"] = answer.content_type
            headers = {**headers, "Content-Type": answer.content_type}
        return name, answer


@contextmanager
def _naming(container: str) -> Iterator[None]:
    """Give what is raised inside the container's name."""
    try:
        yield
    except ContainerError as error:
        error.container = container
        raise


def on_host(job: Job, number: int) -> Job:
    """Return the job as the host with this number (from 0) sees it: as its only one."""
    housed = copy.copy(job)
    housed.trees, housed.hosts = (job.trees[number],), (job.hosts[number],)
    return housed


def in_own_tree(job: Job, name: str) -> Job:
    """Return a job of one host as one of its containers sees it: with a tree of its own."""
    housed = copy.copy(job)
    housed.trees = (JobTree(job.tree.path / name),)
    return housed
