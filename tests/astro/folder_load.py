"""Loads the CSV files of a folder into the table t: in a test's own process, or as a program that a test may kill."""

from __future__ import annotations

import sys

from airflow.sdk import DAG

import include.warehouse.astro_sdk  # noqa: F401 - before astro
from tests.astro.runs import Run

from astro import sql as aql
from astro.constants import FileType
from astro.files import File
from astro.table import Metadata, Table


def load(folder: str, schema: str, if_exists: str, native: str) -> None:
    """Load the folder; ``native`` is True or False in words."""
    with DAG("d") as dag:
        aql.load_file(
            File(f"{folder}/*.csv", filetype=FileType.CSV),
            Table("t", conn_id="warehouse", metadata=Metadata(schema=schema or None)),
            if_exists=if_exists,
            use_native_support=native == "True",
        )
    Run(dag).all()


if __name__ == "__main__":
    load(*sys.argv[1:])
