"""Files of an object store, in and out, through an Airflow connection."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from airflow.sdk import DAG

from tests.astro.runs import Run

from astro import sql as aql
from astro.files import File, get_file_list

if TYPE_CHECKING:
    from tests.astro.conftest import Warehouse

# a client for S3 costs half a second, and the SDK makes many: one engine is enough for every day
EVERY_ENGINE = ["duckdb", *(pytest.param(name, marks=pytest.mark.verify) for name in ("sqlite", "postgres"))]
ROWS = [(1, "x"), (2, None)]


@pytest.mark.parametrize("warehouse", EVERY_ENGINE, indirect=True)
def test_in_and_out(warehouse: Warehouse, object_store: Any) -> None:
    """CSV, Parquet and JSON lines become tables; a table becomes an object of each kind."""
    frame = pd.DataFrame(ROWS, columns=["id", "name"])
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    contents = {
        "csv": frame.to_csv(index=False).encode(),
        "parquet": buffer.getvalue(),
        "ndjson": frame.to_json(orient="records", lines=True).encode(),
    }
    for kind, content in contents.items():
        object_store.put_object(Bucket="astro", Key=f"in/t.{kind}", Body=content)
    with DAG("d") as dag:
        for kind in contents:
            table = aql.load_file(
                File(f"s3://astro/in/t.{kind}", conn_id="objects"), warehouse.table(f"from_{kind}"), task_id=kind
            )
            aql.export_to_file(
                input_data=table,
                output_file=File(f"s3://astro/out/{warehouse.engine}.{kind}", conn_id="objects"),
                if_exists="replace",
                task_id=f"export_{kind}",
            )
    Run(dag).all()

    for kind in contents:
        assert ROWS == warehouse.content(f"from_{kind}")
    read = {
        kind: object_store.get_object(Bucket="astro", Key=f"out/{warehouse.engine}.{kind}")["Body"].read()
        for kind in contents
    }
    assert b"id,name\n1,x\n2,\n" == read["csv"]
    assert b'{"id":1,"name":"x"}\n{"id":2,"name":null}\n' == read["ndjson"]
    assert [1, 2] == pd.read_parquet(io.BytesIO(read["parquet"]))["id"].tolist()


@pytest.mark.verify
def test_a_prefix(warehouse: Warehouse, object_store: Any) -> None:
    """All objects below a prefix are one table, or a list of files to map over."""
    for number in range(3):
        object_store.put_object(Bucket="astro", Key=f"many/{number}.csv", Body=f"id,name\n{number},x\n".encode())
    from astro.constants import FileType  # noqa: PLC0415 - a constant of this test

    with DAG("d") as dag:
        file = File("s3://astro/many/", conn_id="objects", filetype=FileType.CSV)
        aql.load_file(file, warehouse.table("together"), task_id="together")
        files = get_file_list(path="s3://astro/many/", conn_id="objects", task_id="files")
        aql.LoadFileOperator.partial(task_id="apart", output_table=warehouse.table()).expand(input_file=files)
    run = Run(dag).all()

    assert [(number, "x") for number in range(3)] == warehouse.content("together")
    assert [[(number, "x")] for number in range(3)] == [warehouse.content(table.name) for table in run.xcom("apart")]
