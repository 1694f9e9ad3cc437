"""Finding sources, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from include.core.errors import SpecError
from include.core.source import load_source, source_names


def test_every_source_of_the_project_loads() -> None:
    """A folder below include/sources is a source, and exposes what generic code needs."""
    loaded = [load_source(name) for name in source_names()]
    assert [(source.name, source.main_table) for source in loaded] == [("flights", "flights")]


def test_an_unknown_source_is_refused_by_name() -> None:
    """The message names what there is."""
    with pytest.raises(SpecError, match=r"include/sources/trains: there is no such source.*name one of flights"):
        load_source("trains")


def test_what_a_dag_file_may_import_loads_no_heavy_module() -> None:
    """Sources, ingest and due months stay cheap to import: pandas and DuckDB come when a month is read or built."""
    program = (
        "import sys, include.core.source, include.sources.ingest, include.sources.flights, include.warehouse.features;"
        "print(sorted({'pandas', 'pandera', 'duckdb', 'pyarrow', 'numpy'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "[]"
