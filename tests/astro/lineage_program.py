"""Operators of the Astro SDK whose lineage is emitted as Airflow's OpenLineage provider does.

Run as a program, from the project's root, in an environment that has the provider: ``python -m
tests.astro.lineage_program FILE EXPORTED``. What is the provider's own: the extractor that asks the operators, and the
adapter that makes the events and hands them to the transport of the configuration. What is not: the listener that calls
them in a worker.
"""

# annotations are real objects here: the SDK's decorators look for them
import sys
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from airflow.providers.openlineage.extractors.base import DefaultExtractor
from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
from airflow.sdk import DAG

import include.warehouse.astro_sdk  # noqa: F401 - before astro
from tests.astro.runs import Run

from astro import sql as aql
from astro.files import File
from astro.table import Table

COLUMNS = ["flight", "delay"]


@aql.transform
def late(flights: Table) -> str:
    """Select the flights that came late."""
    return "SELECT flight, delay FROM {{ flights }} WHERE delay > 15"


class _Observed(Run):
    """A run that emits each task's lineage at its end."""

    def _one(self, operator: Any, index: int) -> None:
        super()._one(operator, index)
        ti: Any = SimpleNamespace(task=operator, task_id=operator.task_id)
        ti.xcom_pull = lambda task_ids, key: self.xcom(task_id=task_ids, key=key)
        lineage = DefaultExtractor(operator).extract_on_complete(ti)
        if lineage is None:
            raise RuntimeError(operator.task_id)
        OpenLineageAdapter().complete_task(
            run_id=str(uuid4()),
            job_name=operator.task_id,
            end_time="2026-01-01T00:00:00Z",
            task=lineage,
            nominal_start_time=None,
            nominal_end_time=None,
            owners=None,
            tags=None,
            job_description=None,
        )


def run(file: str, exported: str) -> None:
    """Load the file into `flights`, its late ones into `kept`, which goes behind `twice` and into `keyed`."""
    with DAG("lineage") as dag:
        flights = aql.load_file(File(file), Table("flights", conn_id="warehouse"), task_id="load")
        kept = late(flights, output_table=Table("kept", conn_id="warehouse"))
        twice = aql.load_file(File(file), Table("twice", conn_id="warehouse"), task_id="again")
        appended = aql.append(source_table=kept, target_table=twice, columns=COLUMNS, task_id="append")
        aql.merge(
            source_table=kept,
            target_table=Table("keyed", conn_id="warehouse"),
            columns=COLUMNS,
            target_conflict_columns=["flight"],
            if_conflicts="update",
            task_id="merge",
        )
        aql.export_to_file(input_data=appended, output_file=File(exported), if_exists="replace", task_id="export")
    _Observed(dag).all()


if __name__ == "__main__":
    run(*sys.argv[1:])
