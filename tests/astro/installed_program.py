"""A load, a transform and an append on the connection ``warehouse``: run in an environment that has the Astro SDK.

Run as a program, from the project's root: ``python -m tests.astro.installed_program FILE``. It prints where the SDK was
imported from and its version as JSON; the rows are for the caller to read.
"""

# annotations are real objects here: the SDK's decorators look for them
import json
import sys
from importlib.metadata import version

from airflow.sdk import DAG

import include.warehouse.astro_sdk  # noqa: F401 - before astro
from tests.astro.runs import Run

import astro
from astro import sql as aql
from astro.files import File
from astro.table import Table


@aql.transform
def late(flights: Table) -> str:
    """Select the flights that came late."""
    return "SELECT flight, delay FROM {{ flights }} WHERE delay > 15"


def run(file: str) -> None:
    """Load the file into `flights`, its late ones into `late`, and those once more into `twice`."""
    with DAG("ways") as dag:
        flights = aql.load_file(File(file), Table("flights", conn_id="warehouse"), task_id="load")
        kept = late(flights, output_table=Table("late", conn_id="warehouse"))
        twice = aql.load_file(File(file), Table("twice", conn_id="warehouse"), task_id="again")
        aql.append(source_table=kept, target_table=twice, columns=["flight", "delay"])
    Run(dag).all()


if __name__ == "__main__":
    run(sys.argv[1])
    sys.stdout.write(json.dumps({"file": astro.__file__, "version": version("astro-sdk-python")}) + "\n")
