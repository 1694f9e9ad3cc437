"""The messages of Vertex AI's API v1, as plain protocol buffers: `pb.CustomJob(display_name="x")`.

Purpose: the server needs the messages of `google.cloud.aiplatform_v1` and none of its clients, whose import costs 1 s
and 100 MB. So the package's own `__init__` is kept out while its `types` are imported.

What it does not do: hide the package from others. Whoever imports `google.cloud.aiplatform_v1` afterwards gets it all.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

_PACKAGE = "google.cloud.aiplatform_v1"


def _import_types() -> Any:
    spec = importlib.util.find_spec(_PACKAGE)
    if _PACKAGE in sys.modules or spec is None or spec.submodule_search_locations is None:
        return importlib.import_module(f"{_PACKAGE}.types")
    shell = ModuleType(_PACKAGE)
    shell.__path__ = list(spec.submodule_search_locations)
    sys.modules[_PACKAGE] = shell
    try:
        return importlib.import_module(f"{_PACKAGE}.types")
    finally:
        del sys.modules[_PACKAGE]


types = _import_types()


class _Messages:
    """The classes by their names; a nested one by its path, as in `pb.Trial.Parameter`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(types, name).pb()


pb: Any = _Messages()


def request_class(method: str) -> Any:
    """Return the class of a method's requests, or None when the API has no such method."""
    found = getattr(types, f"{method}Request", None)
    return None if found is None else found.pb()
