"""One task of the Astro SDK on the tables s and t: in a test's own process, or as a program that a test may kill.

As a program it says ``ready`` when everything is imported and begins when a line comes in, so that two of them can be
sent off together.
"""

# annotations are real objects here: the SDK's decorators look for them
import sys

from airflow.sdk import DAG

import include.warehouse.astro_sdk  # noqa: F401 - before astro
from tests.astro.runs import Run

from astro import sql as aql
from astro.databases import create_database
from astro.files import File
from astro.table import Metadata, Table

COLUMNS = ["id", "name"]


@aql.transform
def selected(rows: Table) -> str:
    """Select all rows."""
    return "SELECT id, name FROM {{ rows }}"


def run(operation: str, schema: str, source: str = "s", place: str = "") -> None:
    """Run one operation.

    Args:
        operation: load a file into t; append, merge or transform a table into t; or export a table to a file.
        schema: The tables' schema, or nothing.
        source: The table's name, or the path of the file to load.
        place: The exported file's path or URI.
    """
    s, t = (Table(name, conn_id="warehouse", metadata=Metadata(schema=schema or None)) for name in (source, "t"))
    create_database("warehouse")  # what it imports belongs before the beginning
    with DAG("d") as dag:
        if operation == "load":
            aql.load_file(File(source), t)
        elif operation == "append":
            aql.append(source_table=s, target_table=t, columns=COLUMNS)
        elif operation == "merge":
            aql.merge(
                source_table=s, target_table=t, columns=COLUMNS, target_conflict_columns=["id"], if_conflicts="update"
            )
        elif operation == "transform":
            selected(s, output_table=t)
        else:
            file = File(place, conn_id="objects" if "://" in place else None)
            aql.export_to_file(input_data=s, output_file=file, if_exists="replace")
    if __name__ == "__main__":
        print("ready", flush=True)  # noqa: T201 - what the test waits for
        sys.stdin.readline()
    Run(dag).all()


if __name__ == "__main__":
    run(*sys.argv[1:])
