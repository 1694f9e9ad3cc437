"""Asynchronous invocations: the request waits in S3, the answer or the failure is written there, topics are told.

How it works: a pool of threads per endpoint, as many as `MaxConcurrentInvocationsPerInstance`. Whatever serves the
endpoint when a request's turn has come answers it.

What it does not do: survive a restart. What was waiting then is lost.
"""

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws.objects import StoredObject, split_uri
from localcloud.aws.sagemaker.endpoints.instances import Fleet
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


@dataclass(frozen=True)
class AsyncInvocation:
    """One accepted request.

    Args:
        endpoint: The endpoint as it was.
        find: Returns what serves the endpoint now.
        request: What the model gets, without the body yet.
        source: Where the body is in S3.
        output: Where the answer goes.
        failure: Where the reason goes when there is no answer.
        received: When it was accepted.
        time_to_live: For how many seconds it may wait.
    """

    endpoint: Endpoint
    find: Callable[[], Fleet | None]
    request: ModelRequest
    source: str
    output: str
    failure: str
    received: datetime
    time_to_live: float


class AsyncInvocations:
    """The invocations of one cloud that wait or run."""

    def __init__(self) -> None:
        """Start no thread yet."""
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, int], ThreadPoolExecutor] = {}

    def submit(self, arn: str, invocation: AsyncInvocation) -> None:
        """Accept one for the endpoint with this ARN."""
        config = _config(invocation)
        most = (config.get("ClientConfig") or {}).get("MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY)
        with self._lock:
            if (arn, most) not in self._pools:
                self._pools[arn, most] = ThreadPoolExecutor(most, thread_name_prefix="async-invocation")
            self._pools[arn, most].submit(_run, invocation)

    def abandon(self) -> None:
        """Forget what waits."""
        with self._lock:
            for pool in self._pools.values():
                pool.shutdown(wait=False, cancel_futures=True)
            self._pools.clear()


def _run(invocation: AsyncInvocation) -> None:
    objects = invocation.endpoint.surroundings.connections.objects()
    endpoint = replace(invocation.endpoint, fleet=invocation.find() or invocation.endpoint.fleet)
    try:
        _check_age(invocation)
        bucket, key = split_uri(invocation.source)
        body = objects.read(StoredObject(bucket, key, key))
        answer = invoke(endpoint, endpoint.variant(None), replace(invocation.request, body=body))
        objects.write(invocation.output, answer.body)
    except (ClientError, BotoCoreError, JobFailedError, ModelFailedError, RuntimeRefusalError) as error:
        _fail(invocation, error)
    else:
        parameters = {"contentType": answer.content_type, "outputLocation": invocation.output}
        _notify(invocation, "SuccessTopic", {"invocationStatus": "Completed", "responseParameters": parameters})


def _check_age(invocation: AsyncInvocation) -> None:
    if (datetime.now(UTC) - invocation.received).total_seconds() > invocation.time_to_live:
        message = f"the request waited longer than {invocation.time_to_live:g} s"
        raise RuntimeRefusalError("ValidationError", HTTPStatus.BAD_REQUEST, message)


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
