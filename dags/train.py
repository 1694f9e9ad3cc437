"""train_<model>: a candidate from the newest labelled months, compared with the champion, released or rejected.

The promotion record in the lake is the truth; the SageMaker model package mirrors it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowSkipException

from include.connections import AWS_CONN_ID, job_role, open_lake
from include.core import assets
from include.core.due import NotDue
from include.core.model_spec import load_model, load_models
from include.core.promotion import PromotionRecord
from include.jobs.result import JobResult
from include.jobs.sagemaker import ProcessingJobOperator, TrainingJobOperator
from include.registry.model_package import mirror
from include.stages import training as stage

if TYPE_CHECKING:
    from include.core.model_spec import ModelSpec


def train(spec: ModelSpec) -> None:
    """Define the tasks of ``train_<model>``."""
    model = spec.name

    @task
    def plan(params: dict[str, Any]) -> dict[str, Any]:
        found = stage.plan_training(open_lake(), load_model(model), again=params["again"])
        if isinstance(found, NotDue):
            raise AirflowSkipException(found.reason)
        return found.model_dump()

    @task
    def request_training(plan: dict[str, Any]) -> dict[str, Any]:
        return stage.request_training(open_lake(), load_model(model), stage.TrainingPlan(**plan), job_role())

    @task
    def request_evaluation(plan: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
        return stage.request_evaluation(
            open_lake(),
            load_model(model),
            stage.TrainingPlan(**plan),
            JobResult(**training),
            job_role(),
        )

    @task
    def decide(plan: dict[str, Any], training: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, Any]:
        return stage.record_decision(
            open_lake(),
            load_model(model),
            stage.TrainingPlan(**plan),
            JobResult(**training),
            JobResult(**evaluation),
        ).model_dump(mode="json")

    @task
    def register(record: dict[str, Any]) -> str:
        return mirror(SageMakerHook(aws_conn_id=AWS_CONN_ID).conn, PromotionRecord(**record))

    @task(outlets=[assets.champion(model)])
    def release(record: dict[str, Any]) -> None:
        released = PromotionRecord(**record)
        if not released.promoted:
            raise AirflowSkipException(f"version {released.version} is rejected: {released.reason}")

    planned = plan()
    trained = TrainingJobOperator(task_id="train", config=request_training(planned), instances=spec.training)
    evaluated = ProcessingJobOperator(
        task_id="evaluate", config=request_evaluation(planned, trained.output), instances=spec.evaluation
    )
    record = decide(planned, trained.output, evaluated.output)
    register(record) >> release(record)


for each in load_models():
    with DAG(
        dag_id=f"train_{each.name}",
        schedule=[assets.retrain(each.name)],
        max_active_runs=1,
        params={
            "again": Param(
                default=False,
                type="boolean",
                description="Train even if a candidate of these months was decided about already",
            )
        },
        tags=["model", each.name],
        doc_md=__doc__,
    ):
        train(each)
