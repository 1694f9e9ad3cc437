"""score_<model>: the champion's predictions for each month that it has never seen and that has none yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from include.connections import job_role, open_lake
from include.core import assets
from include.core.due import NotDue
from include.core.model_spec import load_model, load_models
from include.jobs.result import JobResult
from include.jobs.sagemaker import ModelOperator, TransformJobOperator
from include.stages import scoring as stage

if TYPE_CHECKING:
    from include.core.model_spec import ModelSpec


def score(spec: ModelSpec) -> None:
    """Define the tasks of ``score_<model>``."""
    model = spec.name

    @task
    def plan() -> dict[str, Any]:
        found = stage.plan_scoring(open_lake(), load_model(model), job_role())
        if isinstance(found, NotDue):
            raise AirflowSkipException(found.reason)
        return found.model_dump()

    @task(outlets=[assets.predictions(model)])
    def publish(scored: dict[str, Any], model_version: int, transform: dict[str, Any]) -> dict[str, Any]:
        return stage.take_predictions(
            open_lake(), load_model(model), stage.MonthToScore(**scored), model_version, JobResult(**transform)
        ).model_dump()

    @task
    def months(plan: dict[str, Any]) -> list[dict[str, Any]]:
        return plan["months"]

    @task
    def transform_request(scored: dict[str, Any], created: dict[str, Any]) -> dict[str, Any]:
        return stage.request_transform(load_model(model), stage.MonthToScore(**scored), created["Model"]["ModelName"])

    @task_group
    def score_month(scored: dict[str, Any], model_version: int, created: dict[str, Any]) -> None:
        transformed = TransformJobOperator(
            task_id="transform", config=transform_request(scored, created), instances=spec.scoring
        )
        publish(scored, model_version, transformed.output)

    planned = plan()
    created = ModelOperator(task_id="create_model", config=planned["model"])
    score_month.partial(model_version=planned["model_version"], created=created.output).expand(scored=months(planned))


for each in load_models():
    with DAG(
        dag_id=f"score_{each.name}",
        schedule=assets.features(each.source) | assets.champion(each.name),
        max_active_runs=1,
        tags=["model", each.name],
        doc_md=__doc__,
    ):
        score(each)
