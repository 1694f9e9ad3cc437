"""A real Airflow on the laptop: API server, scheduler, dag processor and triggerer as child processes.

How it works: ``with Airflow(profile) as airflow:`` makes the home, migrates its database, starts the four components
and returns when each of them reports healthy; leaving the block ends them and everything they started, whatever
happened inside. Each component logs to ``<home>/logs/<component>.log``.

What it does not do: start a cloud (``cloud``), unpause or trigger anything (``airflow_rest``). Known limitation: it is
for one user on one machine; the database is SQLite.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Self

import httpx
import yaml

from deploy.laptop.airflow_rest import AirflowRest
from deploy.laptop.errors import ServiceFailed
from deploy.laptop.processes import Service, describe_exit, end_of, require_free_port, stop
from deploy.laptop.profile import USER, Profile, password, prepare_home

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

# The scheduler's and triggerer's log servers are for workers on other machines; here the files are at hand.
_COMPONENTS = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
_HEALTH = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_POLL_SECONDS = 0.25


class Airflow:
    """The four components, and the way to ask them.

    Args:
        profile: Where it lives and what it reads.
        start_seconds: How long it may take until all components are healthy.

    Attributes:
        home: Airflow's home.
        url: Where the API server and the pages answer.
        ready_seconds: How long the start took, the database's migration included.
        rest: A client of the REST interface, logged in.
    """

    rest: AirflowRest

    def __init__(self, profile: Profile, *, start_seconds: float = 180.0) -> None:
        self.profile = profile
        self.home: Path = profile.home
        self.url = profile.url
        self.ready_seconds = 0.0
        self._start_seconds = start_seconds
        self._services: dict[str, Service] = {}

    def __enter__(self) -> Self:
        started = time.monotonic()
        require_free_port("airflow api-server", self.profile.port, "AIRFLOW_PORT")
        prepare_home(self.profile)
        try:
            self._run("db", "migrate")
            for component in _COMPONENTS:
                self.start(component)
            self._wait_until_healthy(started + self._start_seconds)
            self.rest = AirflowRest(self.url, USER, password(self.profile))
            self._create_pools()
        except BaseException:
            self.stop()
            raise
        self.ready_seconds = time.monotonic() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.rest.close()
        self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the components, by name."""
        return {name: service.pid for name, service in self._services.items()}

    def require_running(self) -> None:
        """Return when all components run, else raise ServiceFailed with the end of the log of the one that ended."""
        for service in self._services.values():
            service.require_running()

    def restart(self, *components: str) -> None:
        """Stop some components, start them again and wait until everything is healthy."""
        self.stop(*components)
        for component in components:
            self.start(component)
        self._wait_until_healthy(time.monotonic() + self._start_seconds)

    def start(self, component: str) -> None:
        """Start one component."""
        self._services[component] = Service(
            f"airflow {component}",
            [str(self.profile.python), "-m", "airflow", *_COMPONENTS[component]],
            environment=self.profile.environment(component),
            log=self.home / "logs" / f"{component}.log",
            folder=self.profile.project,
        )

    def stop(self, *components: str) -> None:
        """Stop some components, or all of them."""
        names = components or tuple(self._services)
        stop([self._services.pop(name) for name in names if name in self._services])

    def component_log(self, component: str) -> Path:
        """Return the log file of a component."""
        return self.home / "logs" / f"{component}.log"

    def _run(self, *arguments: str) -> None:
        log = self.home / "logs" / f"{'-'.join(arguments)}.log"
        service = Service(
            f"airflow {' '.join(arguments)}",
            [str(self.profile.python), "-m", "airflow", *arguments],
            environment=self.profile.environment(arguments[0]),
            log=log,
            folder=self.profile.project,
        )
        try:
            code = service.process.wait(timeout=self._start_seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            stop([service])
        if code != 0:
            end = "it did not end in time" if code is None else describe_exit(code)
            raise ServiceFailed(
                service.name,
                f"{end}; the end of {log}:\n{end_of(log)}\n",
                rule="it ends with exit code 0",
                remedy="correct what its log says, then start again",
            )

    def _wait_until_healthy(self, deadline: float) -> None:
        state: dict[str, object] = {}
        with httpx.Client(trust_env=False, timeout=30) as client:
            while True:
                self.require_running()
                try:
                    answer = client.get(f"{self.url}/api/v2/monitor/health").json()
                    state = {part: answer[part]["status"] for part in _HEALTH}
                    # what tasks talk to is put together at its first request, which takes seconds: not a task's seconds
                    state["execution_api"] = client.get(f"{self.url}/execution/health").json()["status"]
                except httpx.TransportError:
                    state = {"api-server": "does not answer yet"}
                if all(status == "healthy" for status in state.values()):
                    return
                if time.monotonic() > deadline:
                    raise ServiceFailed(
                        "airflow",
                        ", ".join(f"{part}: {status}" for part, status in state.items()),
                        rule=f"all components are healthy within {self._start_seconds:.0f} s",
                        remedy=f"read the logs in {self.home / 'logs'}",
                    )
                time.sleep(_POLL_SECONDS)

    def _create_pools(self) -> None:
        settings = yaml.safe_load((self.profile.project / "airflow_settings.yaml").read_text(encoding="utf-8"))
        for pool in settings["airflow"]["pools"]:
            self.rest.create_pool(pool["pool_name"], pool["pool_slot"], pool["pool_description"])
