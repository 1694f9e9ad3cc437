"""A DAG per way of waiting: each task is an unmodified operator of the Google provider that runs a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.google.cloud.operators.vertex_ai.batch_prediction_job import CreateBatchPredictionJobOperator
from airflow.providers.google.cloud.operators.vertex_ai.custom_job import (
    CreateCustomContainerTrainingJobOperator,
    CreateCustomPythonPackageTrainingJobOperator,
    CreateCustomTrainingJobOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.hyperparameter_tuning_job import (
    CreateHyperparameterTuningJobOperator,
)
from airflow.sdk import DAG
from google.cloud.aiplatform.hyperparameter_tuning import DoubleParameterSpec

from tests.contract.gcp.local_vertex import PLAIN_IMAGE, SERVING_IMAGE
from tests.contract.gcp.serving_programs import ADDS
from tests.contract.vertex_operators.cases import (
    BUCKET,
    PROGRAM,
    PROJECT,
    REGION,
    RUNS,
    TRAININGS,
    TRIALS,
    Case,
    arguments,
)

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATORS: dict[str, Callable[..., Any]] = {
    "script": CreateCustomTrainingJobOperator,
    "container": CreateCustomContainerTrainingJobOperator,
    "package": CreateCustomPythonPackageTrainingJobOperator,
    "batch": CreateBatchPredictionJobOperator,
    "tuning": CreateHyperparameterTuningJobOperator,
}
COMMAND = ["python", "-c", PROGRAM.read_text(encoding="utf-8")]
TRIAL = {
    "machine_spec": {"machine_type": "n1-standard-4"},
    "replica_count": 1,
    "container_spec": {"image_uri": PLAIN_IMAGE, "command": COMMAND},
}
SPECIAL: dict[str, Callable[[Case], dict[str, Any]]] = {
    "script": lambda _: {"script_path": str(PROGRAM), "requirements": []},
    "container": lambda _: {"command": COMMAND},
    "package": lambda _: {
        "python_package_gcs_uri": f"gs://{BUCKET}/trainer-0.1.tar.gz",
        "python_module_name": "trainer.task",
    },
    "batch": lambda _: {},
    "tuning": lambda case: {
        "worker_pool_specs": [{**TRIAL, "container_spec": {**TRIAL["container_spec"], "args": case.flags}}],
        "metric_spec": {"loss": "minimize"},
        "parameter_spec": {"rate": DoubleParameterSpec(min=0.1, max=0.9, scale="linear")},
        "max_trial_count": TRIALS,
        "parallel_trial_count": TRIALS,
    },
}
TRAINS = {
    "container_uri": PLAIN_IMAGE,
    "machine_type": "n1-standard-4",
    "replica_count": 1,
    "model_serving_container_image_uri": SERVING_IMAGE,
    "model_serving_container_command": ["python", "-c", ADDS],
}


def task(case: Case) -> Any:
    """Make the task of a case; where the provider lets it, it looks once a second."""
    trains = {**TRAINS, "model_display_name": case.name} if case.kind in TRAININGS else {}
    return OPERATORS[case.kind](
        task_id=case.name,
        project_id=PROJECT,
        region=REGION,
        deferrable=case.wait == "deferrable",
        poll_interval=1,
        **trains,
        **arguments(case),
        **SPECIAL[case.kind](case),
    )


for dag_id, cases in RUNS.items():
    with DAG(dag_id, schedule=None, max_active_tasks=len(cases)):
        for each in cases:
            task(each)
