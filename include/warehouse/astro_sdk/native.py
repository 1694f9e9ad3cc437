"""What native readers share: which files they take, a CSV's columns as pandas would see them, a copy on the disk.

A native reader has to give the rows that pandas would have given: the kinds of the columns come from pandas' own look
at the first rows, and the texts that pandas takes for missing are missing. CSV with load options, with a column that is
neither integer, number, boolean nor text, or with one column only (where pandas skips empty lines) is left to pandas.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# pandas.read_csv's default na_values
NULLS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)
_COMPRESSED = {".gz", ".bz2", ".xz", ".zst"}


def csv_head(file: Any) -> Any:
    """Return a CSV's first rows as pandas reads them, or None if pandas has to read all of the file."""
    from astro.settings import LOAD_TABLE_AUTODETECT_ROWS_COUNT  # noqa: PLC0415 - astro is imported when it is used

    if file.type.name.value != "csv" or file.type.load_options is not None:
        return None
    head = file.export_to_dataframe(nrows=LOAD_TABLE_AUTODETECT_ROWS_COUNT)
    return head if kinds(head) else None


def is_parquet(file: Any) -> bool:
    """Say whether a file is Parquet that is read without options."""
    return file.type.name.value == "parquet" and file.type.load_options is None


def kinds(frame: Any) -> dict[str, str]:
    """Return each column's kind: integer, number, boolean or text; nothing if a column has another one."""
    from pandas.api import types  # noqa: PLC0415 - heavy

    found = {}
    for name, column in frame.items():
        kind = types.infer_dtype(column, skipna=True)
        if column.dtype == "int64":
            found[str(name)] = "integer"
        elif column.dtype == "float64":
            found[str(name)] = "number"
        elif kind in {"boolean", "string"}:
            found[str(name)] = "text" if kind == "string" else "boolean"
        else:
            return {}
    return found if len(found) > 1 else {}


def parquet_columns(path: Path) -> list[tuple[str, bool]]:
    """Return the columns of a Parquet file that are no index of pandas, and whether each holds floating numbers."""
    import pyarrow.parquet  # noqa: PLC0415 - heavy
    from pyarrow import types  # noqa: PLC0415 - heavy

    schema = pyarrow.parquet.read_schema(path)
    metadata = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    index = {name for name in metadata.get("index_columns", ()) if isinstance(name, str)}
    return [(field.name, types.is_floating(field.type)) for field in schema if field.name not in index]


@contextmanager
def local_copy(file: Any) -> Iterator[Path]:
    """Yield the path of a file's content on this machine's disk: the file's own, or a copy that is removed again."""
    import smart_open  # noqa: PLC0415 - heavy

    if file.is_local() and Path(file.path).suffix not in _COMPRESSED:
        yield Path(file.path)
        return
    location = file.location
    with tempfile.NamedTemporaryFile(suffix=f".{file.type.name.value}") as copy:
        with smart_open.open(location.smartopen_uri, mode="rb", transport_params=location.transport_params) as stream:
            shutil.copyfileobj(stream, copy, 1 << 20)
        copy.flush()
        yield Path(copy.name)
