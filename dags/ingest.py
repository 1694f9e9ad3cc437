"""ingest: each month of each source, from its feed through its contract into the lake.

A month is awaited without a worker's slot. One that breaks its contract goes to the lake's quarantine as it arrived and
fails its task; nothing after it sees it, other months go on, and when it is delivered again it flows through by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pendulum
from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.sdk import CronDataIntervalTimetable, TriggerRule, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from include.connections import AWS_CONN_ID, FEED_VARIABLE, open_feed, open_lake
from include.core import assets
from include.core.months import Month
from include.core.polling import POLL_SECONDS
from include.core.source import source_names
from include.feeds.correction import CorrectionSensor

PATIENCE = timedelta(days=90)


@dag(
    schedule=CronDataIntervalTimetable("0 0 1 * *", timezone="UTC"),
    start_date=pendulum.datetime(2013, 1, 1, tz="UTC"),
    end_date=pendulum.datetime(2013, 12, 1, tz="UTC"),
    catchup=True,
    max_active_runs=12,
    tags=["source"],
    doc_md=__doc__,
)
def ingest() -> None:
    """Wait for the month, check it, land it: for each source by itself."""
    for source in source_names():
        landed = S3KeySensor(
            task_id=f"wait_for_{source}",
            aws_conn_id=AWS_CONN_ID,
            bucket_key=(
                f"{{{{ var.value.{FEED_VARIABLE} }}}}/{source}/"
                "{{ data_interval_start.strftime('year=%Y/month=%m') }}/manifest.json"
            ),
            deferrable=True,
            poke_interval=POLL_SECONDS,
            timeout=PATIENCE.total_seconds(),
        )

        @task(outlets=[assets.raw(source)])
        def ingest_source(source: str, data_interval_start: datetime) -> dict[str, Any]:
            from include.sources.ingest import ingest_month

            result = ingest_month(open_feed(), open_lake(), source, Month.of(data_interval_start))
            if not result.changed:
                raise AirflowSkipException(f"{result.uri} holds this month already")
            return result.model_dump(mode="json")

        ingested = ingest_source.override(task_id=f"ingest_{source}")(source)
        corrected = CorrectionSensor(
            task_id=f"wait_for_correction_of_{source}",
            source=source,
            month="{{ data_interval_start.strftime('%Y-%m') }}",
            patience=PATIENCE,
            trigger_rule=TriggerRule.ALL_FAILED,
        )
        landed >> ingested >> corrected >> ingest_source.override(task_id=f"repair_{source}")(source)


ingest()
