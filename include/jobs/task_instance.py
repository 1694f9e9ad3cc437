"""What the operators of every cloud's jobs take from Airflow: who the task is, its retries, and errors that have none.

What it does not do: import a cloud's client.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from include.connections import deployment_id
from include.core.errors import TerminalError
from include.core.polling import POLL_SECONDS
from include.jobs.identity import TaskIdentity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk.types import RuntimeTaskInstanceProtocol

RETRIES: dict[str, Any] = {"retries": 3, "retry_delay": timedelta(seconds=POLL_SECONDS)}
"""The operators' default: their retries are safe, as each finds the job again."""


@contextmanager
def terminal_errors_fail_now() -> Iterator[None]:
    """Fail the task without a retry on an error that trying again does not change."""
    try:
        yield
    except TerminalError as error:
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def identity(instance: RuntimeTaskInstanceProtocol) -> TaskIdentity:
    """Return who a task instance is to the cloud."""
    return TaskIdentity(
        deployment_id(),
        instance.dag_id,
        instance.run_id,
        instance.task_id,
        -1 if instance.map_index is None else instance.map_index,
    )
