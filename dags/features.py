"""features: every due month of each model, from the lake through the warehouse to a snapshot in the lake.

A month is due when its raw data, the month's before, or features.sql is not what its snapshot was made from. Each due
month is a task of its own, on the Astro SDK; one whose check fails keeps no other from being built.
"""

from __future__ import annotations

import functools
import operator

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException

import include.warehouse.astro_sdk  # noqa: F401 - before astro, which the operator is made of
from include.connections import open_lake
from include.core import assets
from include.core.model_spec import load_model, load_models
from include.core.source import source_names
from include.warehouse.features import due_months
from include.warehouse.features_operator import FeaturesOperator


@dag(
    schedule=functools.reduce(operator.or_, (assets.raw(source) for source in source_names())),
    max_active_runs=1,
    tags=["features"],
    doc_md=__doc__,
)
def features() -> None:
    """Build each model's due months."""

    @task
    def plan(model: str) -> list[str]:
        spec = load_model(model)
        months = due_months(open_lake(), spec)
        if not months:
            raise AirflowSkipException(f"every month of {spec.source} has its features")
        return [str(month) for month in months]

    for spec in load_models():
        FeaturesOperator.partial(
            task_id=f"build_{spec.name}",
            model=spec.name,
            # the warehouse's file has one writer at a time
            pool="warehouse",
            outlets=[assets.features(spec.source)],
        ).expand(month=plan.override(task_id=f"plan_{spec.name}")(spec.name))


features()
