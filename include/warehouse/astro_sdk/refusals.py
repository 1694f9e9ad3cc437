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


def guard_assets() -> None:
    """Let Airflow answer a table or file where it wants an asset with the way to give one.

    Its own message for a schedule names no remedy; as an inlet or outlet it would keep a table as a text, in silence.
    """
    if hasattr(DAG.__init__, "__wrapped__"):
        return
    original_init, original_add = DAG.__init__, DAG.add_task

    @functools.wraps(original_init)
    def guarded_init(self: DAG, *args: Any, **kwargs: Any) -> None:
        _refuse_tables("schedule", kwargs.get("schedule"))
        original_init(self, *args, **kwargs)

    @functools.wraps(original_add)
    def guarded_add(self: DAG, task: Any) -> None:
        for place in ("inlets", "outlets"):
            _refuse_tables(place, getattr(task, place, None))
        original_add(self, task)

    DAG.__init__, DAG.add_task = guarded_init, guarded_add  # type: ignore[method-assign] # the one place for every DAG


def _refuse_tables(place: str, value: Any) -> None:
    elements: Iterable[Any] = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    for element in elements:
        if isinstance(element, Dataset):
            element.refuse_as_asset(place)
