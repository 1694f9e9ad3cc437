"""CPUUtilization, MemoryUtilization and DiskUtilization of running instances in CloudWatch, in AWS's namespaces.

How it works: one thread looks at all jobs, two seconds after a job has begun to run and then at intervals that double
up to AWS's minute, so that a short job is seen at all and a long one costs nothing. It ends with the last job.

Percentages are AWS's: of one core for the processor (so up to 100 times their number), of the instance type's memory,
and of the file system here for the disk, since a job's volume has no size of its own.
"""

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws.connections import Connections
from localcloud.engine.engine import Engine, Host, Job
from localcloud.engine.usage import Usage, usages

# by the engine's kinds of job
NAMESPACES: Mapping[str, str] = {
    "training": "/aws/sagemaker/TrainingJobs",
    "processing": "/aws/sagemaker/ProcessingJobs",
    "transform": "/aws/sagemaker/TransformJobs",
    "endpoint": "/aws/sagemaker/Endpoints",
}
_FIRST_SECONDS, _LONGEST_SECONDS = 2.0, 60.0
_QUEUED_SECONDS = 0.5
Dimensions = Mapping[str, str]


class InstanceMetrics:
    """The jobs that are looked at, and the thread that looks."""

    def __init__(self, engine: Engine, connections: Connections) -> None:
        """Start no thread yet."""
        self._engine, self._connections = engine, connections
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._watched: list[_Watched] = []
        self._looks = False

    def watch(self, job: Job, region: str, dimensions: Dimensions | None = None) -> None:
        """Look at a job until it has ended; its dimension is AWS's Host unless others are given."""
        with self._lock:
            self._watched.append(_Watched(job, region, dimensions))
            self._changed.set()
            if not self._looks:
                self._looks = True
                threading.Thread(target=self._look, name="instance-metrics", daemon=True).start()

    def _look(self) -> None:
        while True:
            with self._lock:
                self._changed.clear()
                self._watched = [item for item in self._watched if self._engine.runs(item.job)]
                if not self._watched:
                    self._looks = False
                    return
                watched = list(self._watched)
            now = time.monotonic()
            for item in watched:
                if item.due <= now:
                    with suppress(ClientError, BotoCoreError):
                        self._send(item)
            self._changed.wait(max(0.0, min(item.due for item in watched) - time.monotonic()))

    def _send(self, item: "_Watched") -> None:
        data = item.look()
        if data:
            client = self._connections.client("cloudwatch", item.region)
            client.put_metric_data(Namespace=NAMESPACES[item.job.kind], MetricData=data)


class _Watched:
    """One job: when it is due, and the processor time of its hosts when they were last looked at."""

    def __init__(self, job: Job, region: str, dimensions: Dimensions | None) -> None:
        self.job, self.region, self._dimensions = job, region, dimensions
        self.due = 0.0
        self._interval = 0.0
        self._since = 0.0
        self._processor: list[float] = []

    def look(self) -> list[dict[str, Any]]:
        """Return the metrics since the last look, and say when the next one is due."""
        now, trees = time.monotonic(), self.job.trees
        if not trees:
            self.due = now + _QUEUED_SECONDS
            return []
        found = usages(trees)
        before, since = self._processor, self._since
        self._processor, self._since = [usage.processor for usage in found], now
        self._interval = min(2 * self._interval or _FIRST_SECONDS, _LONGEST_SECONDS)
        self.due = now + self._interval
        if len(before) != len(found):  # the first look has nothing to compare with
            return []
        return [
            metric
            for host, usage, processor in zip(self.job.hosts, found, before, strict=True)
            for metric in self._metrics(host, usage, max(0.0, usage.processor - processor) / (now - since))
        ]

    def _metrics(self, host: Host, usage: Usage, cores: float) -> list[dict[str, Any]]:
        named = self._dimensions or {"Host": f"{self.job.name}/{host.name}"}
        dimensions = [{"Name": name, "Value": value} for name, value in named.items()]
        memory = host.memory or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        shares = {
            "CPUUtilization": cores,
            "MemoryUtilization": min(1.0, usage.memory / memory),
            "DiskUtilization": usage.disk,
        }
        when = datetime.now(UTC)
        return [
            {"MetricName": name, "Value": 100 * share, "Unit": "Percent", "Dimensions": dimensions, "Timestamp": when}
            for name, share in shares.items()
        ]
