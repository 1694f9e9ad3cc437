"""Dataframes in XCom: as Parquet, which keeps their types, and only while they are small.

Upstream wrote JSON and read it back by guessing: ``"00123"`` became the number 123, a date the milliseconds since 1970.
On Airflow 3 it takes its own class for needless, because the name of Airflow's default XCom backend is another one.

What it does not do: store what is too large for the metadata database. ``max_dataframe_mem_for_xcom_db`` (kilobytes,
100 by default) remains the limit with Airflow's default backend; a frame beyond it needs the object-storage backend.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf

from include.core.errors import AstroSdkRefused
from include.warehouse.astro_sdk.refusals import INSTEAD
from include.warehouse.astro_sdk.xcoms import allow_through_xcom

if TYPE_CHECKING:
    from types import ModuleType

_DEFAULT_BACKENDS = ("", "airflow.sdk.execution_time.xcom.BaseXCom", "airflow.models.xcom.BaseXCom")


def change_settings(module: ModuleType) -> None:
    """Change ``astro.settings``."""
    default = conf.get("core", "xcom_backend", fallback="") in _DEFAULT_BACKENDS
    vars(module).update(IS_BASE_XCOM_BACKEND=default, NEED_CUSTOM_SERIALIZATION=default)
    vars(module)["IS_CUSTOM_XCOM_BACKEND"] = not default


def change_frames(module: ModuleType) -> None:
    """Change ``astro.dataframes.pandas``."""
    frame = module.PandasDataframe
    frame.serialize = serialize
    frame.deserialize = staticmethod(deserialize)
    allow_through_xcom(frame)


def serialize(frame: Any) -> dict[str, str]:
    """Return what XCom keeps.

    Raises:
        AstroSdkRefused: the frame is too large for Airflow's metadata database.
    """
    from astro.settings import MAX_DATAFRAME_MEMORY_FOR_XCOM_DB as LIMIT  # noqa: PLC0415 - when it is used

    size = int(frame.memory_usage(deep=True).sum())
    if size >= LIMIT * 1024:
        raise AstroSdkRefused(
            "XCom",
            f"a dataframe of {size} bytes",
            rule=f"[astro_sdk] max_dataframe_mem_for_xcom_db = {LIMIT} KB bounds what the metadata database takes",
            remedy=f"pass a table instead (output_table=Table(...)), or {INSTEAD}",
        )
    import pandas as pd  # noqa: PLC0415 - heavy
    import pyarrow  # noqa: PLC0415 - heavy

    content = io.BytesIO()
    try:
        pd.DataFrame(frame).to_parquet(content)
    except (pyarrow.ArrowException, ValueError, TypeError):
        return {"data": frame.to_json()}  # a column of mixed types: as upstream
    return {"parquet": base64.b64encode(content.getvalue()).decode()}


def deserialize(data: dict[str, str], version: int) -> Any:  # noqa: ARG001 - Airflow's signature
    """Return the frame that XCom kept."""
    import pandas as pd  # noqa: PLC0415 - heavy

    from astro.dataframes.pandas import PandasDataframe  # noqa: PLC0415 - astro is imported when it is used

    if "parquet" in data:
        return PandasDataframe(pd.read_parquet(io.BytesIO(base64.b64decode(data["parquet"]))))
    return PandasDataframe(pd.read_json(io.StringIO(data["data"])))
