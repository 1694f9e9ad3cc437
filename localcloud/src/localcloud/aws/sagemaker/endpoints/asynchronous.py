"""Asynchronous invocations: the request waits in S3, the answer or the failure is written there, topics are told.

How it works: a pool of threads per cloud; `MaxConcurrentInvocationsPerInstance` bounds how many requests are at the
models of an endpoint at once.

What it does not do: survive a restart. What was waiting then is lost.
"""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws.objects import StoredObject, split_uri
from localcloud.aws.sagemaker.endpoints.instances import Variant
from localcloud.aws.sagemaker.endpoints.invocation import (
    Endpoint,
    ModelFailedError,
    ModelRequest,
    RuntimeRefusalError,
    invoke,
)
from localcloud.aws.sagemaker.jobs.failures import JobFailedError

# how many requests go to an endpoint at once when its configuration does not say
DEFAULT_CONCURRENCY = 4
_THREADS = 32


@dataclass(frozen=True)
class AsyncInvocation:
    """One accepted request. `request` has no body yet; addresses are S3's."""

    endpoint: Endpoint
    variant: Variant
    request: ModelRequest
    source: str
    output: str
    failure: str
    received: datetime


class AsyncInvocations:
    """The invocations of one cloud that wait or run."""

    def __init__(self) -> None:
        """Start no thread yet."""
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="async-invocation")
        self._lock = threading.Lock()
        self._bounds: dict[int, threading.Semaphore] = {}

    def submit(self, invocation: AsyncInvocation) -> None:
        """Accept one."""
        config = _config(invocation)
        most = (config.get("ClientConfig") or {}).get("MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY)
        with self._lock:
            bound = self._bounds.setdefault(id(invocation.endpoint.fleet), threading.Semaphore(most))
        self._pool.submit(self._run, invocation, bound)

    @staticmethod
    def _run(invocation: AsyncInvocation, bound: threading.Semaphore) -> None:
        objects = invocation.endpoint.surroundings.connections.objects()
        with bound:
            try:
                bucket, key = split_uri(invocation.source)
                body = objects.read(StoredObject(bucket, key, key))
                answer = invoke(invocation.endpoint, invocation.variant, replace(invocation.request, body=body))
                objects.write(invocation.output, answer.body)
            except (ClientError, BotoCoreError, JobFailedError, ModelFailedError, RuntimeRefusalError) as error:
                _fail(invocation, error)
            else:
                parameters = {"contentType": answer.content_type, "outputLocation": invocation.output}
                _notify(invocation, "SuccessTopic", {"invocationStatus": "Completed", "responseParameters": parameters})


def _fail(invocation: AsyncInvocation, error: Exception) -> None:
    text = str(error)
    if isinstance(error, ClientError):
        text = f"Unable to download {invocation.source}: {text}"
    invocation.endpoint.surroundings.connections.objects().write(invocation.failure, text.encode())
    kind = "ModelError" if isinstance(error, ModelFailedError) else "ClientError"
    _notify(
        invocation,
        "ErrorTopic",
        {"invocationStatus": "Failed", "failureReason": f"{kind}: {text}", "failureLocation": invocation.failure},
    )


def _notify(invocation: AsyncInvocation, topic: str, outcome: Mapping[str, Any]) -> None:
    """Tell a topic, if the configuration names one; a topic that does not exist is not told."""
    address = (_config(invocation)["OutputConfig"].get("NotificationConfig") or {}).get(topic)
    if not address:
        return
    surroundings = invocation.endpoint.surroundings
    message = {
        "awsRegion": surroundings.region,
        "eventTime": _shown(datetime.now(UTC)),
        "receivedTime": _shown(invocation.received),
        **outcome,
        "requestParameters": {
            "accept": invocation.request.accept,
            "contentType": invocation.request.content_type,
            "customAttributes": invocation.request.custom_attributes,
            "endpointName": invocation.endpoint.name,
            "inputLocation": invocation.source,
        },
        "inferenceId": invocation.request.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    sns = surroundings.connections.client("sns", surroundings.region)
    try:
        sns.publish(TopicArn=address, Message=json.dumps(message))
    except (ClientError, BotoCoreError):
        return


def _config(invocation: AsyncInvocation) -> Mapping[str, Any]:
    config: Mapping[str, Any] = invocation.endpoint.kept["AsyncInferenceConfig"]
    return config


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
