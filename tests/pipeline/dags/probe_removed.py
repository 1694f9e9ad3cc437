"""probe_removed: runs the training request of the run's conf; a test takes this file away meanwhile."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from include.core.model_spec import Instances
from include.jobs.sagemaker import TrainingJobOperator

with DAG("probe_removed", schedule=None):

    @task
    def request(dag_run: Any) -> dict[str, Any]:
        """Pass the request on."""
        found: dict[str, Any] = dag_run.conf["request"]
        return found

    TrainingJobOperator(
        task_id="job",
        config=request(),
        instances=Instances(instance_type="ml.m5.large", max_runtime_seconds=300),
        aws_conn_id="probe_faults",
    )
