"""Tables: a temporary one gets its name when it is used, not when the DAG file is read.

Upstream draws a random name for each ``Table()`` at once. Airflow 3 reads the DAG file in every process, and writes the
fields of an operator into the DAG's version: a new random name would be a new version at each reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.warehouse.astro_sdk.xcoms import allow_through_xcom

if TYPE_CHECKING:
    from types import ModuleType


def change_tables(module: ModuleType) -> None:
    """Change ``astro.table``."""
    base, prefix = module.BaseTable, module.TEMP_PREFIX

    def get_name(self: Any) -> str:
        if not vars(self).get("name"):
            vars(self)["name"] = self._create_unique_table_name(f"{prefix}_")
        name: str = vars(self)["name"]
        return name

    def set_name(self: Any, value: str) -> None:
        vars(self)["name"] = value

    def after_init(self: Any) -> None:
        name = vars(self)["name"]
        self.temp = self.temp or not name or name.startswith(prefix)

    def serialize(self: Any) -> dict[str, Any]:
        metadata = {"schema": self.metadata.schema, "database": self.metadata.database}
        return {"name": vars(self)["name"], "temp": self.temp, "conn_id": self.conn_id, "metadata": metadata}

    def text(self: Any) -> str:
        name = vars(self)["name"] or "(temporary)"
        return f"{type(self).__name__}(name={name!r}, conn_id={self.conn_id!r}, metadata={self.metadata!r})"

    base.name = property(get_name, set_name)
    base.__attrs_post_init__ = after_init
    base.serialize = serialize
    for kind in (base, module.TempTable, module.Table):
        kind.__repr__ = text
        allow_through_xcom(kind)


def fresh(table: Any) -> Any:
    """Return a table of one's own for a temporary one that has no name yet; any other table as it is.

    The instances of a mapped task share their unmapped arguments; each needs a temporary table of its own.
    """
    from astro.table import TempTable  # noqa: PLC0415 - astro is imported when it is used

    if isinstance(table, TempTable) and not vars(table).get("name"):
        return TempTable(conn_id=table.conn_id, metadata=table.metadata, columns=list(table.columns))
    return table
