"""monitor_<model>: each month's drift and performance, a picture of it, and whether to train again.

Only performance decides, at most once for each newest landed month and champion; the reason is on record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException

from include.connections import job_role, open_lake
from include.core import assets
from include.core.due import NotDue
from include.core.model_spec import load_model, load_models
from include.jobs.result import JobResult
from include.jobs.sagemaker import ProcessingJobOperator
from include.stages import monitoring as stage

if TYPE_CHECKING:
    from include.core.model_spec import ModelSpec


def monitor(spec: ModelSpec) -> None:
    """Define the tasks of ``monitor_<model>``."""
    model = spec.name

    @task(pool="warehouse")
    def measure() -> list[str]:
        return stage.measure_due_months(open_lake(), load_model(model))

    @task
    def request_plots(months: list[str]) -> dict[str, Any]:
        found = stage.request_plots(open_lake(), load_model(model), months, job_role())
        if isinstance(found, NotDue):
            raise AirflowSkipException(found.reason)
        return found

    @task
    def keep_plots(months: list[str], plotting: dict[str, Any]) -> list[str]:
        return stage.keep_plots(open_lake(), load_model(model), months, JobResult(**plotting))

    @task(outlets=[assets.retrain(model)])
    def decide(months: list[str]) -> dict[str, Any]:  # noqa: ARG001 - decides when they are measured
        found = stage.decide_about_retraining(open_lake(), load_model(model))
        if isinstance(found, NotDue):
            raise AirflowSkipException(found.reason)
        return found.model_dump(mode="json")

    measured = measure()
    plotted = ProcessingJobOperator(task_id="plot", config=request_plots(measured), instances=spec.evaluation)
    keep_plots(measured, plotted.output)
    decide(measured)


for each in load_models():
    with DAG(
        dag_id=f"monitor_{each.name}",
        schedule=assets.features(each.source) | assets.predictions(each.name),
        max_active_runs=1,
        tags=["model", each.name],
        doc_md=__doc__,
    ):
        monitor(each)
