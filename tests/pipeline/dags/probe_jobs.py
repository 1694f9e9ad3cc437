"""probe_job_<kind>[_waiting][_timed], probe_job_names: run the request of the run's conf, over a way of their own.

``waiting`` ones wait in the worker, the others deferred. ``timed`` ones have little time and no second try.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from include.core.model_spec import Instances
from include.jobs.sagemaker import TrainingJobOperator, TransformJobOperator

INSTANCES = Instances(instance_type="ml.m5.large", max_runtime_seconds=300)
KINDS = {"training": TrainingJobOperator, "transform": TransformJobOperator}
WAYS: dict[str, dict[str, Any]] = {"": {}, "_waiting": {"deferrable": False}}
TIMES: dict[str, dict[str, Any]] = {"": {}, "_timed": {"execution_timeout": timedelta(seconds=10), "retries": 0}}


@task
def request(dag_run: Any) -> dict[str, Any]:
    """Pass the request on."""
    found: dict[str, Any] = dag_run.conf["request"]
    return found


for kind, operator in KINDS.items():
    for way, how in WAYS.items():
        for time, limit in TIMES.items():
            with DAG(f"probe_job_{kind}{way}{time}", schedule=None):
                operator(
                    task_id="job", config=request(), instances=INSTANCES, aws_conn_id="probe_faults", **how, **limit
                )

with DAG("probe_job_names", schedule=None):
    for end in "ab":
        TrainingJobOperator(
            task_id=f"job_{'x' * 200}_{end}", config=request(), instances=INSTANCES, aws_conn_id="probe_faults"
        )
