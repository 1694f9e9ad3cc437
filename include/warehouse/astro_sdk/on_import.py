"""Which module of ``astro`` is changed how, in the moment in which it is first imported.

How it works: a finder in front of Python's own answers for ``astro`` and its modules. A *replaced* module never runs
its own code; a *changed* one runs it and is then handed to its change. While a module of ``astro`` runs, the few names
of Airflow 2 and SQLAlchemy 1 that it imports are there; afterwards they are gone again, so that nothing else sees them.

What it does not do: import anything of ``astro`` itself. A DAG file pays for what it uses.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import warnings
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

from include.core.errors import AstroSdkRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PACKAGE = "include.warehouse.astro_sdk"
# module of astro: the module here and its function that fills it in place of its own code
REPLACED = {
    "astro.airflow.datasets": ("assets", "replace_datasets"),
    "astro.custom_backend.astro_custom_backend": ("refusals", "refuse_xcom_backend"),
    "astro.sql.operators.cleanup": ("cleanup", "replace_cleanup"),
    "astro.utils.compat.typing": ("on_import", "replace_typing"),
}
# module of astro: the module here and its function that changes it after its own code ran
CHANGED = {
    "astro.databases": ("connections", "change_databases"),
    "astro.databases.base": ("statements", "change_base"),
    "astro.databases.duckdb": ("duckdb_files", "change_duckdb"),
    "astro.databases.postgres": ("postgres", "change_postgres"),
    "astro.databases.sqlite": ("sqlite_files", "change_sqlite"),
    "astro.dataframes.pandas": ("frames", "change_frames"),
    "astro.files.base": ("files", "change_files"),
    "astro.files.locations.local": ("files", "change_local"),
    "astro.settings": ("frames", "change_settings"),
    "astro.sql.operators.data_validations.check_column": ("checks", "change_check_column"),
    "astro.sql.operators.data_validations.check_table": ("checks", "change_check_table"),
    "astro.sql.operators.load_file": ("loading", "change_load_file"),
    "astro.sql.operators.raw_sql": ("rows", "change_raw_sql"),
    "astro.sql.operators.transform": ("statements", "change_transform"),
    "astro.table": ("tables", "change_tables"),
}
_PICKLING = "AIRFLOW__CORE__ENABLE_XCOM_PICKLING"
_absent = threading.RLock()


def install() -> None:
    """Put the finder in front; a second call does nothing.

    Raises:
        AstroSdkRefused: ``astro`` was imported before.
    """
    if any(isinstance(finder, _AstroFinder) for finder in sys.meta_path):
        return
    # `astro` itself, also as astro.__init__, is imported by Airflow, which asks every provider for its name
    early = sorted(name for name in sys.modules if name.startswith("astro.") and name != "astro.__init__")
    if early:
        raise AstroSdkRefused(
            "import",
            f"{early[0]} is imported already",
            rule="the bridge changes the Astro SDK while it is imported",
            remedy=f"write `import {_PACKAGE}` above every import of astro",
        )
    sys.meta_path.insert(0, _AstroFinder())


def replace_typing(module: ModuleType) -> None:
    """Fill ``astro.utils.compat.typing``: Airflow's own module of that name would import its database models."""
    from airflow.sdk import Context  # noqa: PLC0415 - the finder stands before Airflow is needed

    vars(module)["Context"] = Context


def put(module: ModuleType, new: Any, upstream: Any) -> None:
    """Put a class or function into a module of ``astro`` in place of upstream's, under its name and documentation."""
    new.__module__, new.__qualname__, new.__name__ = module.__name__, upstream.__name__, upstream.__name__
    new.__doc__ = upstream.__doc__
    vars(module)[upstream.__name__] = new


class _AstroFinder:
    """Finds what Python's own finder finds, and wraps the loader."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Answer for ``astro`` and below."""
        if name != "astro" and not name.startswith("astro."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _AstroLoader(spec.loader)  # type: ignore[assignment] # the protocol is the same
        return spec


class _AstroLoader:
    """Runs or replaces a module's code, then changes it."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the module's own loader."""
        created: ModuleType | None = self._own.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its content."""
        name = module.__name__
        if name in REPLACED:
            replace = _function(REPLACED[name])
            replace() if name.endswith("astro_custom_backend") else replace(module)
            return
        with _old_names():
            self._own.exec_module(module)
            if name in CHANGED:
                _function(CHANGED[name])(module)


def _function(where: tuple[str, str]) -> Callable[..., None]:
    found: Callable[..., None] = getattr(importlib.import_module(f"{_PACKAGE}.{where[0]}"), where[1])
    return found


@contextmanager
def _old_names() -> Iterator[None]:
    """Provide what the SDK imports by names that are gone."""
    import sqlalchemy.engine.row as rows  # noqa: PLC0415 - heavy, and astro needs it anyway
    from airflow.providers.common.sql.hooks.sql import DbApiHook  # noqa: PLC0415 - as above

    with _absent, warnings.catch_warnings():
        # the SDK's names of Airflow 2 that only warn; the user cannot change them
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        outermost = "airflow.hooks.dbapi" not in sys.modules
        if not outermost:
            yield
            return
        alias = ModuleType("airflow.hooks.dbapi")
        vars(alias)["DbApiHook"] = DbApiHook
        sys.modules["airflow.hooks.dbapi"] = alias
        vars(rows)["LegacyRow"] = rows.Row  # SQLAlchemy 2 has one kind of row
        pickling = os.environ.get(_PICKLING)
        os.environ.setdefault(_PICKLING, "False")  # an option without a default in Airflow 3, which has no pickles
        try:
            yield
        finally:
            del sys.modules["airflow.hooks.dbapi"], vars(rows)["LegacyRow"]
            if pickling is None:
                os.environ.pop(_PICKLING, None)
