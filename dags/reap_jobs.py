"""reap_jobs: stops remote jobs of this deployment that run for a task instance which does not wait for them any more.

The operators and their triggers stop their jobs themselves; this is for what they cannot see, for example a task that
was marked while the triggerer was down, or a DAG file that was removed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
from airflow.sdk import dag, get_current_context, task

from include.connections import AWS_CONN_ID, deployment_id
from include.jobs.reaper import reap
from include.jobs.task_states import ENDED

if TYPE_CHECKING:
    from include.jobs.identity import TaskIdentity


@dag(
    schedule=timedelta(minutes=10),
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["operations"],
    doc_md=__doc__,
)
def reap_jobs() -> None:
    """Define the one task."""

    @task
    def stop_abandoned_jobs() -> list[dict[str, Any]]:
        instance = get_current_context()["ti"]

        def abandoned(of: TaskIdentity) -> str | None:
            states = instance.get_task_states(
                dag_id=of.dag, task_ids=[of.task], run_ids=[of.run], map_index=of.map_index
            )
            state = next(iter(states.get(of.run, {}).values()), "removed")
            if state in ENDED:
                return f"its task instance is {state}"
            model, bundle = instance.get_dag(of.dag), instance.bundle_instance
            if model.bundle_name != bundle.name or model.relative_fileloc is None:
                return None
            file = bundle.path / model.relative_fileloc
            # of a DAG in a zip file, that one is its file
            there = file.exists() or any(parent.is_file() for parent in file.parents)
            return None if there else f"the DAG's file {model.relative_fileloc} is gone"

        stopped = reap(SageMakerHook(aws_conn_id=AWS_CONN_ID).conn, deployment_id(), abandoned)
        return [each.model_dump(mode="json") for each in stopped]

    stop_abandoned_jobs()


reap_jobs()
