"""The wait for a month that lies in quarantine to be delivered again.

How it works: a delivery is complete when its manifest, which comes last, was written again; the trigger watches that
object. A month that was delivered again between its quarantine and this task is noticed at once, because the delivery
is compared with the quarantined ones before anything is awaited.

What it does not do: check the new delivery; the task after it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from flightdeck_triggers.s3_replaced import S3ObjectReplacedTrigger
from include.connections import AWS_CONN_ID, open_feed, open_lake
from include.core.months import Month
from include.core.polling import POLL_SECONDS

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context


class CorrectionSensor(BaseOperator):
    """Wait, deferred, until a source's month is delivered again; succeeds at once when it was not quarantined as it is.

    Args:
        source: The source.
        month: The month, as ``2013-01`` (templated).
        patience: How long to wait before the task fails.
    """

    template_fields = ("month",)

    def __init__(self, *, source: str, month: str, patience: timedelta, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.month = month
        self.patience = patience

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's form
        """Compare what has been delivered with what is in quarantine, and wait while it is the same."""
        from include.sources.deliveries import delivery_of, is_quarantined  # noqa: PLC0415 - only this task needs it

        month = Month.parse(self.month)
        delivery = delivery_of(open_feed(), self.source, month)
        if delivery is None or not is_quarantined(open_lake(), self.source, month, delivery.digest):
            return
        self.defer(
            trigger=S3ObjectReplacedTrigger(
                bucket=delivery.bucket,
                key=delivery.manifest_key,
                last_modified=delivery.manifest_modified,
                aws_conn_id=AWS_CONN_ID,
                poll_seconds=POLL_SECONDS,
            ),
            method_name="delivered_again",
            timeout=self.patience,
        )

    def delivered_again(self, context: Context, event: str) -> None:  # noqa: ARG002 - Airflow's form
        """Go on: the month was delivered again."""
        self.log.info("%s was delivered again: %s", self.source, event)
