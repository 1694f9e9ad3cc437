"""probe_endpoint, probe_tuning: run the requests of the run's conf."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from include.core.model_spec import Instances
from include.jobs.endpoint import EndpointOperator
from include.jobs.sagemaker import ModelOperator, TuningJobOperator


@task
def request(name: str, dag_run: Any) -> dict[str, Any]:
    """Pass a request on."""
    found: dict[str, Any] = dag_run.conf[name]
    return found


@task
def configure(model: dict[str, Any], dag_run: Any) -> dict[str, Any]:
    """Return the endpoint and its configuration, which serves the model."""
    variant = {
        "VariantName": "all",
        "ModelName": model["Model"]["ModelName"],
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    return {
        "EndpointConfig": {"EndpointConfigName": "probe", "ProductionVariants": [variant]},
        "Endpoint": {"EndpointName": dag_run.conf["endpoint"]},
    }


with DAG("probe_endpoint", schedule=None):
    made = ModelOperator(task_id="model", config=request("model"))
    EndpointOperator(task_id="endpoint", config=configure(made.output))

with DAG("probe_tuning", schedule=None):
    TuningJobOperator(
        task_id="tune",
        config=request("tuning"),
        instances=Instances(instance_type="ml.m5.large", max_runtime_seconds=300),
    )
