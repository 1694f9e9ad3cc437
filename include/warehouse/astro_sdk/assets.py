"""Tables and files as Airflow 3's assets: what schedules wait for, and what operators emit.

Airflow 2's Dataset was the base class of the SDK's Table and File. Airflow 3's Asset has a constructor of its own, so
they are plain objects here, and each has its asset beside it: ``astro://<conn_id>/<database>/<schema>/<table>`` (empty
parts left out as ``-``), ``file:///<path>`` or the URI of the object. Operators add these to their inlets and outlets.

What it does not do: make an asset of a temporary table, or of a name that is a template: neither is known beforehand.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from airflow.sdk import Asset

from include.core.errors import AstroSdkRefused

if TYPE_CHECKING:
    from types import ModuleType


def asset(source: Any) -> Asset:
    """Return the asset of an Astro SDK Table or File.

    Raises:
        AstroSdkRefused: it is neither, or it has no name that is known when the DAG file is read.
    """
    uri = _uri(source) if isinstance(source, Dataset) else None
    if uri is None:
        raise AstroSdkRefused(
            "asset()",
            f"got {source!r}",
            rule="an asset stands for a Table or File whose name is known when the DAG file is read",
            remedy="name the table, write its name out instead of a template, or schedule on an Asset of your own",
        )
    return Asset(uri)


class Dataset:
    """What Airflow 2's Dataset was to the SDK: the base class of Table and File."""

    __slots__ = ()

    def refuse_as_asset(self, place: str) -> NoReturn:
        """Say how to use a table or file where Airflow wants an asset.

        Raises:
            AstroSdkRefused: always.
        """
        raise AstroSdkRefused(
            place,
            f"it holds {self!r}",
            rule="Airflow 3 wants an asset here, and a Table or File of the Astro SDK is none",
            remedy=f"from include.warehouse.astro_sdk import asset; {place}=[asset(...)]",
        )

    def __or__(self, other: object) -> NoReturn:
        """Refuse ``Table(...) | other``."""
        self.refuse_as_asset("schedule")

    __ror__ = __and__ = __rand__ = __or__


def replace_datasets(module: ModuleType) -> None:
    """Fill ``astro.airflow.datasets``."""
    vars(module).update(Dataset=Dataset, DATASET_SUPPORT=True, kwargs_with_datasets=kwargs_with_datasets)


def kwargs_with_datasets(
    kwargs: dict[str, Any] | None = None, input_datasets: Any = None, output_datasets: Any = None
) -> dict[str, Any]:
    """Return an operator's arguments with inlets and outlets as assets.

    What the user gives wins over what the operator knows, as in the SDK.
    """
    kwargs = {} if kwargs is None else kwargs
    settings = sys.modules["astro.settings"]
    for key, known in (("inlets", input_datasets), ("outlets", output_datasets)):
        given = kwargs.get(key)
        if given is None and settings.AUTO_ADD_INLETS_OUTLETS:
            given = known
        items = list(given) if isinstance(given, (list, tuple)) else [given]
        found = [item for item in map(_as_asset, items) if item is not None]
        if found or key in kwargs:
            kwargs[key] = found
    return kwargs


def _as_asset(item: Any) -> Any:
    """Return a table's or file's asset, None for one that has none, and anything that is not the SDK's as it is."""
    if isinstance(item, Dataset):
        uri = _uri(item)
        return None if uri is None else Asset(uri)
    # a TempTable, a dataframe or the output of another task is no dataset; what a user gives as an asset is kept
    return item if hasattr(item, "uri") or hasattr(item, "as_expression") or hasattr(item, "alias") else None


def _uri(source: Any) -> str | None:
    if hasattr(source, "path"):
        path = str(source.path)
        if "{{" in path or "{%" in path:
            return None
        if "://" in path:
            return path
        return f"file://{quote(path)}" if path.startswith("/") else f"file:///{quote(path)}"
    if source.temp or "{{" in source.name:
        return None
    parts = (source.conn_id, source.metadata.database, source.metadata.schema, source.name)
    return "astro://" + "/".join(quote(part or "-", safe="") for part in parts)
