"""probe_secrets: reads one connection in each place where Airflow reads connections."""

from __future__ import annotations

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.sdk import BaseHook, dag, task

# The dag processor reads this one whenever it parses this file.
AT_PARSE = BaseHook.get_connection("probe_dag_processor").conn_type


@dag
def probe_secrets() -> None:
    """A task reads a connection, then a deferred sensor reads one in the triggerer."""

    @task
    def read() -> str:
        return str(BaseHook.get_connection("probe_task").conn_type)

    read() >> S3KeySensor(
        task_id="wait",
        aws_conn_id="probe_triggerer",
        bucket_key="s3://flightdeck-lake/probe/key",
        deferrable=True,
        poke_interval=1,
        timeout=60,
    )


probe_secrets()
