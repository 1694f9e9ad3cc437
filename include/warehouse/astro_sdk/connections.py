"""How the SDK finds the database of a connection: by Airflow 3's own lookup.

Upstream asks ``airflow.hooks.base``, which warns, and remembers a connection's type for the life of the process; a
connection that was corrected meanwhile would keep its old type. A database whose provider is not installed is refused
by name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from include.core.errors import AstroSdkRefused

if TYPE_CHECKING:
    from types import ModuleType


def change_databases(module: ModuleType) -> None:
    """Change ``astro.databases``."""
    paths: dict[str, str] = vars(module)["CONN_TYPE_TO_MODULE_PATH"]

    def module_of(conn_id: str) -> str:
        kind = str(BaseHook.get_connection(conn_id).conn_type)
        path = paths[kind]
        try:
            importlib.import_module(path)
        except ModuleNotFoundError as error:
            raise AstroSdkRefused(
                f"connection {conn_id}",
                f"its type is {kind}, and there is no module {error.name}",
                rule=f"{path} needs the packages of astro-sdk-python's extra for this database",
                remedy="install the database's Airflow provider; docs/astro-sdk.md says what was tested",
            ) from error
        return path

    vars(module)["_get_conn"] = module_of
