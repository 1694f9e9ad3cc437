"""A job's output: lines to CloudWatch Logs, metrics found in them, and the last lines kept for a failure reason.

Lines are sent in batches by a thread; closing sends the rest at once, so that a finished job's log is complete. What
CloudWatch refuses is dropped: a log must not fail a job.
"""

import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws.connections import Connections

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

_BATCH_SECONDS = 0.3
_BATCH_LINES = 1000
_TAIL_LINES = 60
# a program that writes faster than its lines can be sent has to wait, so that they do not fill the memory
_MOST_WAITING_LINES = 20_000
METRIC_NAMESPACE = "/aws/sagemaker/TrainingJobs"


class JobLog:
    """Callable for each line of output."""

    def __init__(
        self,
        connections: Connections,
        region: str,
        group: str,
        stream: str,
        metric_definitions: Sequence[Mapping[str, str]] = (),
        on_metric: Callable[[str, float, datetime], None] | None = None,
    ) -> None:
        """Create group and stream and start sending."""
        self._connections, self._region, self._group, self._stream = connections, region, group, stream
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in metric_definitions]
        self._on_metric = on_metric
        self._lock = threading.Lock()
        self._taken = threading.Condition(self._lock)
        self._events: list[InputLogEventTypeDef] = []
        self._metrics: list[dict[str, Any]] = []
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._closing = threading.Event()
        self._client = connections.logs(region)
        self._create(self._client.create_log_group, logGroupName=group)
        self._create(self._client.create_log_stream, logGroupName=group, logStreamName=stream)
        self._sender = threading.Thread(target=self._send_until_closed, name=f"log-{stream}", daemon=True)
        self._sender.start()

    def __call__(self, line: str) -> None:
        """Take one line."""
        now = time.time()
        with self._taken:
            self._taken.wait_for(lambda: len(self._events) < _MOST_WAITING_LINES or not self._sender.is_alive())
            self._tail.append(line)
            # CloudWatch refuses empty messages
            self._events.append({"timestamp": int(now * 1000), "message": line or " "})
        for name, pattern in self._patterns:
            found = pattern.search(line)
            if found is not None:
                self._measure(name, found, datetime.fromtimestamp(now, UTC))

    @property
    def tail(self) -> list[str]:
        """The last lines."""
        with self._lock:
            return list(self._tail)

    def close(self) -> None:
        """Send what is left."""
        self._closing.set()
        self._sender.join()

    def _measure(self, name: str, found: "re.Match[str]", when: datetime) -> None:
        try:
            value = float(found.group(1))
        except (IndexError, ValueError, TypeError):  # AWS ignores what is no number
            return
        if not math.isfinite(value):  # neither a metric of CloudWatch nor JSON
            return
        if self._on_metric is not None:
            self._on_metric(name, value, when)
        with self._lock:
            self._metrics.append({"MetricName": name, "Value": value, "Timestamp": when})

    def _send_until_closed(self) -> None:
        while not self._closing.wait(_BATCH_SECONDS):
            self._send()
        self._send()

    def _send(self) -> None:
        with self._taken:
            events, self._events = self._events, []
            self._taken.notify_all()
            metrics, self._metrics = self._metrics, []
        try:
            for start in range(0, len(events), _BATCH_LINES):
                batch = events[start : start + _BATCH_LINES]
                self._client.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=batch)
            if metrics:
                dimension = {"Name": "TrainingJobName", "Value": self._stream.partition("/")[0]}
                data = [{**metric, "Dimensions": [dimension]} for metric in metrics]
                cloudwatch = self._connections.client("cloudwatch", self._region)
                for start in range(0, len(data), _BATCH_LINES):
                    batch_of_metrics = data[start : start + _BATCH_LINES]
                    cloudwatch.put_metric_data(Namespace=METRIC_NAMESPACE, MetricData=batch_of_metrics)
        except (ClientError, BotoCoreError):
            return

    def _create(self, create: Callable[..., object], **names: str) -> None:
        try:
            create(**names)
        except self._client.exceptions.ResourceAlreadyExistsException:
            return
