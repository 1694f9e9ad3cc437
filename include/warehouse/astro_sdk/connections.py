"""How the SDK finds the database of a connection: by Airflow 3's own lookup.

Upstream asks ``airflow.hooks.base``, which warns, and remembers a connection's type for the life of the process; a
connection that was corrected meanwhile would keep its old type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

if TYPE_CHECKING:
    from types import ModuleType


def change_databases(module: ModuleType) -> None:
    """Change ``astro.databases``."""
    paths: dict[str, str] = vars(module)["CONN_TYPE_TO_MODULE_PATH"]

    def module_of(conn_id: str) -> str:
        return paths[str(BaseHook.get_connection(conn_id).conn_type)]

    vars(module)["_get_conn"] = module_of
