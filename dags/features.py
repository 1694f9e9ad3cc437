"""features: every due month of each model, from the lake through the warehouse to a snapshot in the lake.

A month is due when its raw data, the month's before, or features.sql is not what its snapshot was made from.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException

from include.connections import open_lake
from include.core import assets
from include.core.model_spec import load_models
from include.core.source import source_names


@dag(
    schedule=functools.reduce(operator.or_, (assets.raw(source) for source in source_names())),
    max_active_runs=1,
    tags=["features"],
    doc_md=__doc__,
)
def features() -> None:
    """Build each model's due months."""
    for spec in load_models():

        @task(task_id=f"build_{spec.name}", outlets=[assets.features(spec.source)], pool="warehouse")
        def build(model: str) -> list[dict[str, Any]]:
            from include.core.model_spec import load_model
            from include.warehouse.features import build_month, due_months

            lake, spec = open_lake(), load_model(model)
            months = due_months(lake, spec)
            if not months:
                raise AirflowSkipException(f"every month of {spec.source} has its features")
            return [build_month(lake, spec, month).model_dump(mode="json") for month in months]

        build(spec.name)


features()
