"""probe_job_<kind>: runs the request that the run's conf holds, with the operators' own retries, over its own way."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from include.core.model_spec import Instances
from include.jobs.sagemaker import TrainingJobOperator, TransformJobOperator

INSTANCES = Instances(instance_type="ml.m5.large", max_runtime_seconds=120)

for kind, operator in {"training": TrainingJobOperator, "transform": TransformJobOperator}.items():
    with DAG(f"probe_job_{kind}", schedule=None):

        @task
        def request(dag_run: Any) -> dict[str, Any]:
            """Pass the request on."""
            found: dict[str, Any] = dag_run.conf["request"]
            return found

        operator(task_id="job", config=request(), instances=INSTANCES, aws_conn_id="probe_faults")
