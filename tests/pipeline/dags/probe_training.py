"""probe_training: runs the training request that the run's conf holds."""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from include.core.model_spec import Instances
from include.jobs.sagemaker import TrainingJobOperator


@dag
def probe_training() -> None:
    """Pass the request on, then run it."""

    @task
    def request(dag_run: Any) -> dict[str, Any]:
        found: dict[str, Any] = dag_run.conf["request"]
        return found

    TrainingJobOperator(
        task_id="train", config=request(), instances=Instances(instance_type="ml.m5.large", max_runtime_seconds=120)
    )


probe_training()
