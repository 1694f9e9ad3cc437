"""What invocations leave behind: CloudWatch metrics and captured data, written in batches.

How it works: invocations put what they have into a queue; a thread, started by the first, writes everything that has
come together once a second. What CloudWatch or S3 refuses is dropped: telemetry must not fail an invocation.
"""

import base64
import json
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws.connections import Connections
from localcloud.aws.sagemaker.jobs.failures import JobFailedError

NAMESPACE = "AWS/SageMaker"
_BATCH_SECONDS = 1.0
_METRICS_PER_CALL = 1000
_CLIENT_ERRORS, _SERVER_ERRORS = range(400, 500), range(500, 600)


@dataclass(frozen=True)
class Invocation:
    """One answered request.

    Args:
        endpoint: The endpoint's name.
        variant: The production variant's name.
        status: What the model answered; 200 is a success.
        seconds: How long the model took.
        overhead: How long everything else took, in seconds.
    """

    endpoint: str
    variant: str
    status: int
    seconds: float
    overhead: float

    def metrics(self) -> list[dict[str, Any]]:
        """Return AWS's metrics of one invocation."""
        dimensions = [
            {"Name": "EndpointName", "Value": self.endpoint},
            {"Name": "VariantName", "Value": self.variant},
        ]
        counts = {
            "Invocations": 1,
            "InvocationsPerInstance": 1,
            "Invocation4XXErrors": int(self.status in _CLIENT_ERRORS),
            "Invocation5XXErrors": int(self.status in _SERVER_ERRORS),
            "InvocationModelErrors": int(self.status in _CLIENT_ERRORS or self.status in _SERVER_ERRORS),
        }
        latencies = {"ModelLatency": self.seconds, "OverheadLatency": self.overhead}
        measured = [(name, float(value), "None") for name, value in counts.items()]
        measured += [(name, value * 1e6, "Microseconds") for name, value in latencies.items()]
        now = datetime.now(UTC)
        return [
            {"MetricName": name, "Value": value, "Unit": unit, "Dimensions": dimensions, "Timestamp": now}
            for name, value, unit in measured
        ]


@dataclass(frozen=True)
class Captured:
    """One request and its answer as Model Monitor keeps them; `folder` is the address without the time."""

    folder: str
    record: Mapping[str, Any]


def capture_record(
    config: Mapping[str, Any],
    request: tuple[bytes, str],
    answer: tuple[bytes, str] | None,
    inference_id: str | None,
    custom_attributes: str | None,
) -> dict[str, Any]:
    """Return one line of a capture file.

    Args:
        config: The API's DataCaptureConfig.
        request: Body and content type of the request.
        answer: Body and content type of the answer; None when the model failed.
        inference_id: What the client calls the inference.
        custom_attributes: What the client sent along.
    """
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    data: dict[str, Any] = {}
    if modes & {"Input", "InputAndOutput"}:
        data["endpointInput"] = _side(config, "INPUT", *request)
    if answer is not None and modes & {"Output", "InputAndOutput"}:
        data["endpointOutput"] = _side(config, "OUTPUT", *answer)
    metadata = {
        "eventId": str(uuid.uuid4()),
        **({"customAttributes": [custom_attributes]} if custom_attributes else {}),
        **({"inferenceId": inference_id} if inference_id else {}),
        "inferenceTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _side(config: Mapping[str, Any], mode: str, body: bytes, content_type: str) -> dict[str, str]:
    """Return one direction; what is not named as CSV or JSON is kept in base64."""
    kinds = config.get("CaptureContentTypeHeader") or {}
    side = {"observedContentType": content_type, "mode": mode}
    for encoding, field in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
        if content_type in kinds.get(field, []):
            return {**side, "data": body.decode(errors="replace"), "encoding": encoding}
    return {**side, "data": base64.b64encode(body).decode(), "encoding": "BASE64"}


class Telemetry:
    """The queue and the thread that empties it."""

    def __init__(self) -> None:
        """Start no thread yet: many clouds have no endpoint."""
        self._queue: queue.SimpleQueue[tuple[Connections, str, Invocation | Captured]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._started = False

    def note(self, connections: Connections, region: str, item: Invocation | Captured) -> None:
        """Take one item to write."""
        self._queue.put((connections, region, item))
        with self._lock:
            if not self._started:
                self._started = True
                threading.Thread(target=self._write_for_ever, name="endpoint-telemetry", daemon=True).start()

    def _write_for_ever(self) -> None:
        while True:
            items = [self._queue.get()]
            # what comes within the next second is written with it
            time.sleep(_BATCH_SECONDS)
            while not self._queue.empty():
                items.append(self._queue.get())
            with suppress(ClientError, BotoCoreError, JobFailedError):
                self._write_metrics(items)
            with suppress(ClientError, BotoCoreError, JobFailedError):
                self._write_captured(items)

    @staticmethod
    def _write_metrics(items: list[tuple[Connections, str, Invocation | Captured]]) -> None:
        by_region: dict[str, list[dict[str, Any]]] = {}
        for _, region, item in items:
            if isinstance(item, Invocation):
                by_region.setdefault(region, []).extend(item.metrics())
        for region, metrics in by_region.items():
            client = items[0][0].client("cloudwatch", region)
            for start in range(0, len(metrics), _METRICS_PER_CALL):
                client.put_metric_data(Namespace=NAMESPACE, MetricData=metrics[start : start + _METRICS_PER_CALL])

    @staticmethod
    def _write_captured(items: list[tuple[Connections, str, Invocation | Captured]]) -> None:
        files: dict[str, list[str]] = {}
        for _, _, item in items:
            if isinstance(item, Captured):
                files.setdefault(item.folder, []).append(json.dumps(item.record))
        now = datetime.now(UTC)
        for folder, lines in files.items():
            moment = f"{now:%Y/%m/%d/%H/%M-%S}-{now.microsecond // 1000:03d}"
            objects = items[0][0].objects()
            objects.write(f"{folder}/{moment}-{uuid.uuid4()}.jsonl", "".join(f"{line}\n" for line in lines).encode())
