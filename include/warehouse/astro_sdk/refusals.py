"""What the Astro SDK offered on Airflow 2 and cannot offer on Airflow 3: refused by name, with what to do instead.

Refused are, at import, the SDK's own XCom backend and the options of its storage; where it is written,
``schedule=[Table(...)]``. What it does not do: judge how a DAG uses what does work.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import DAG
from airflow.sdk.configuration import conf

from include.core.errors import AstroSdkRefused
from include.warehouse.astro_sdk.assets import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterable

_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
INSTEAD = (
    f"set [core] xcom_backend to {_BACKEND} and [common.io] xcom_objectstorage_path, "
    "xcom_objectstorage_threshold (apache-airflow-providers-common-io)"
)
_STORAGE_OPTIONS = ("xcom_storage_conn_id", "xcom_storage_url", "store_data_local_dev")


def check_configuration() -> None:
    """Look for options that no longer do anything.

    Raises:
        AstroSdkRefused: one of them is set.
    """
    if conf.get("core", "xcom_backend", fallback="").startswith("astro."):
        refuse_xcom_backend()
    for option in _STORAGE_OPTIONS:
        if conf.get("astro_sdk", option, fallback=None):
            raise AstroSdkRefused(
                f"[astro_sdk] {option}",
                "it is set",
                rule="the SDK's own storage of XComs does not exist on Airflow 3",
                remedy=f"take the option out and {INSTEAD}",
            )


def refuse_xcom_backend() -> NoReturn:
    """Say why there is no AstroCustomXcomBackend.

    Raises:
        AstroSdkRefused: always.
    """
    raise AstroSdkRefused(
        "[core] xcom_backend",
        "it is the Astro SDK's AstroCustomXcomBackend",
        rule="Airflow 3's XComs have another interface than the one that this class was written for",
        remedy=INSTEAD,
    )


def guard_schedules() -> None:
    """Let ``DAG(schedule=...)`` answer a table or file with the way to schedule on it."""
    original = DAG.__init__
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def guarded(self: DAG, *args: Any, **kwargs: Any) -> None:
        _refuse_tables(kwargs.get("schedule"))
        original(self, *args, **kwargs)

    DAG.__init__ = guarded  # type: ignore[method-assign] # Airflow's own message offers no remedy


def _refuse_tables(schedule: Any) -> None:
    elements: Iterable[Any] = schedule if isinstance(schedule, (list, tuple, set, frozenset)) else [schedule]
    for element in elements:
        if isinstance(element, Dataset):
            element.refuse_to_schedule()
