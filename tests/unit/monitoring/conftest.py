"""What the monitoring's tests stand on: small Parquet files."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@pytest.fixture(scope="session")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Mapping[str, Sequence[Any]]], Path]:
    """Return a function that writes columns to a new Parquet file: text where there is text, otherwise doubles."""
    folder = tmp_path_factory.mktemp("parquet")
    numbers = count()

    def write(columns: Mapping[str, Sequence[Any]]) -> Path:
        path = folder / f"{next(numbers)}.parquet"
        arrays = {}
        for name, values in columns.items():
            text = name == "row_id" or any(isinstance(value, str) for value in values)
            kind = pyarrow.string() if text else pyarrow.float64()
            arrays[name] = pyarrow.array(list(values), type=kind)
        pq.write_table(pyarrow.table(arrays), path)
        return path

    return write
