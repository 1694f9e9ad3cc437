"""vertex_secrets: reads one connection in each place where Airflow reads connections."""

from __future__ import annotations

from typing import Any

from airflow.providers.google.cloud.triggers.gcs import GCSBlobTrigger
from airflow.sdk import DAG, BaseHook, BaseOperator, task

from tests.contract.vertex_operators.cases import BUCKET

# the dag processor reads this one whenever it parses this file, and so does a task that runs from it
AT_PARSE = BaseHook.get_connection("probe_dag_processor").conn_type


class DefersAtOnce(BaseOperator):
    """Waits for an object without a look of its own: only the triggerer reads the connection."""

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow passes it
        """Defer."""
        trigger = GCSBlobTrigger(
            bucket=BUCKET,
            object_name="secrets/here",
            use_glob=False,
            poke_interval=1.0,
            google_cloud_conn_id="probe_triggerer",
            hook_params={},
        )
        self.defer(trigger=trigger, method_name="resume")

    def resume(self, context: Any, event: dict[str, str]) -> str:  # noqa: ARG002 - Airflow passes it
        """Hand on how the wait has ended."""
        return event["status"]


with DAG("vertex_secrets", schedule=None):

    @task
    def read() -> str:
        """Read a connection."""
        return str(BaseHook.get_connection("probe_task").conn_type)

    read() >> DefersAtOnce(task_id="wait")
