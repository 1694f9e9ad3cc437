"""The laptop's services together: one local cloud and one Airflow on it, in one folder, one pair at a time.

How it works: a lock on the folder says that somebody uses it, and who; what an earlier run left is removed before the
services start; leaving the block stops both, whatever happened inside, and a SIGTERM or a closed terminal counts as
Ctrl-C.

What it does not do: decide what runs on them (``demo``, ``up``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploy.laptop.airflow_services import Airflow
from deploy.laptop.cloud import LocalCloud, require_no_cloud
from deploy.laptop.errors import PipelineFailed, ServiceFailed
from deploy.laptop.processes import require_free_port
from deploy.laptop.profile import PROJECT, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

FOLDER = PROJECT / ".local" / "demo"
CLOUD_PORT = 4567
AIRFLOW_PORT = 8080
STAGES = ("train", "score", "monitor")
_PARSE_SECONDS = 90.0
_POLL_SECONDS = 0.25


def dags_of(models: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of the DAGs in which these models live."""
    return ("ingest", "features", *(f"{stage}_{model}" for model in models for stage in STAGES))


# the demo's
DAGS = dags_of(["flight_delay"])


@dataclass(frozen=True)
class Laptop:
    """What runs."""

    cloud: LocalCloud
    airflow: Airflow

    def require_running(self) -> None:
        """Return when everything runs, else raise ServiceFailed with the end of the log of what ended."""
        self.cloud.require_running()
        self.airflow.require_running()

    def unpause(self, dag_ids: Sequence[str] = DAGS) -> None:
        """Wait until the DAGs are parsed, and let them be scheduled.

        Raises:
            PipelineFailed: a DAG file does not import, or a DAG did not appear in time.
        """
        deadline = time.monotonic() + _PARSE_SECONDS
        while not set(dag_ids) <= set(self.airflow.rest.dag_ids()):
            self.require_running()
            self._require_imports()
            if time.monotonic() > deadline:
                missing = ", ".join(sorted(set(dag_ids) - set(self.airflow.rest.dag_ids())))
                raise PipelineFailed(
                    "dags/",
                    f"{missing} did not appear within {_PARSE_SECONDS:.0f} s",
                    rule="the demo's DAGs are defined in dags/",
                    remedy=f"read {self.airflow.component_log('dag-processor')}",
                )
            time.sleep(_POLL_SECONDS)
        self._require_imports()
        for dag_id in dag_ids:
            self.airflow.rest.unpause(dag_id)

    def _require_imports(self) -> None:
        for file, traceback in self.airflow.rest.import_errors().items():
            raise PipelineFailed(
                file, f"it does not import:\n{traceback}\n", rule="every DAG file imports", remedy="correct the file"
            )


@contextlib.contextmanager
def running_laptop(
    *, cloud_port: int = CLOUD_PORT, airflow_port: int = AIRFLOW_PORT, folder: Path = FOLDER
) -> Iterator[Laptop]:
    """Start both services fresh, and stop them.

    Raises:
        ServiceFailed: somebody uses the folder, a port is taken, or a service did not start.
    """
    with _interruptible(), _locked(folder):
        # before anything is removed, and before a service has cost half a minute
        require_free_port("localcloud", cloud_port, "CLOUD_PORT")
        require_free_port("airflow api-server", airflow_port, "AIRFLOW_PORT")
        # the local cloud's own default, so that its commands find it
        cloud_root = folder.with_name("cloud")
        require_no_cloud(cloud_root)
        for used_before in (cloud_root, folder / "airflow"):
            shutil.rmtree(used_before, ignore_errors=True)
        with (
            LocalCloud(cloud_root, port=cloud_port) as cloud,
            Airflow(Profile(folder / "airflow", airflow_port, cloud.environment)) as airflow,
        ):
            yield Laptop(cloud, airflow)


def user_of(folder: Path = FOLDER) -> int | None:
    """Return the process id of who runs services in the folder; None when nobody does."""
    lock = _lock_file(folder)
    try:
        with lock.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
    except FileNotFoundError:
        pass
    return None


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with _lock_file(folder).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceFailed(
                str(folder),
                f"process {user_of(folder)} runs services there",
                rule="one demo, or one `make up`, at a time",
                remedy="end it with `make down`",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into the KeyboardInterrupt that Ctrl-C is, so that every block on the way is left."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    # a shell that starts a program in the background has it ignore SIGINT
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
