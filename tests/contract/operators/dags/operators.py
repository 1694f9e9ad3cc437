"""A DAG per set of cases: each task is an unmodified operator or sensor of the amazon provider."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerEndpointOperator,
    SageMakerProcessingOperator,
    SageMakerStartPipelineOperator,
    SageMakerTrainingOperator,
    SageMakerTransformOperator,
    SageMakerTuningOperator,
)
from airflow.providers.amazon.aws.sensors.sagemaker import (
    SageMakerEndpointSensor,
    SageMakerPipelineSensor,
    SageMakerProcessingSensor,
    SageMakerTrainingSensor,
    SageMakerTransformSensor,
    SageMakerTuningSensor,
)
from airflow.sdk import DAG

from tests.contract.operators.cases import LIMIT_SECONDS, RUNS, Case, request, short

if TYPE_CHECKING:
    from collections.abc import Callable

SENSORS: dict[str, Callable[..., Any]] = {
    "training": lambda name, **options: SageMakerTrainingSensor(job_name=name, print_log=False, **options),
    "processing": lambda name, **options: SageMakerProcessingSensor(job_name=name, **options),
    "transform": lambda name, **options: SageMakerTransformSensor(job_name=name, **options),
    "tuning": lambda name, **options: SageMakerTuningSensor(job_name=name, **options),
    "endpoint": lambda name, **options: SageMakerEndpointSensor(endpoint_name=name, **options),
    "pipeline": lambda name, **options: SageMakerPipelineSensor(
        pipeline_exec_arn=f"{{{{ dag_run.conf['{name}'] }}}}", **options
    ),
}
OPERATORS: dict[str, Callable[..., Any]] = {
    "training": SageMakerTrainingOperator,
    "processing": SageMakerProcessingOperator,
    "transform": SageMakerTransformOperator,
    "tuning": SageMakerTuningOperator,
    "endpoint": SageMakerEndpointOperator,
}
# the default of 60 is a minute's patience at one look a second
PATIENCE_LOOKS = 600


def task(case: Case) -> Any:
    """Make the task of a case; it looks once a second."""
    timed_out = case.outcome == "timed-out"
    if case.wait == "sensor":
        options = {"timeout": timedelta(seconds=LIMIT_SECONDS)} if timed_out else {}
        name = short(case) if case.kind == "tuning" else case.name
        return SENSORS[case.kind](name, task_id=case.name, poke_interval=1, **options)
    waits = {"task_id": case.name, "check_interval": 1, "wait_for_completion": True}
    waits["deferrable"] = case.wait == "deferrable"
    if case.kind == "pipeline":
        limit = {"waiter_max_attempts": LIMIT_SECONDS} if timed_out else {}
        return SageMakerStartPipelineOperator(pipeline_name=case.name, **waits, **limit)
    if timed_out:
        waits["max_ingestion_time"] = LIMIT_SECONDS
    elif case.kind in {"training", "processing", "transform"}:
        waits["max_attempts"] = PATIENCE_LOOKS
    if case.kind == "training":
        # deferred, it prints what is in the log when the job begins
        waits["print_log"] = case.wait in {"tailing", "deferrable"}
    return OPERATORS[case.kind](config=request(case), **waits)


for dag_id, cases in RUNS.items():
    with DAG(dag_id, schedule=None, max_active_tasks=len(cases)):
        for each in cases:
            task(each)
