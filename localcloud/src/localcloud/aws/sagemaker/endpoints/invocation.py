"""One invocation of an endpoint: the variant that answers, the model's failure in AWS's words, what is left behind.

The runtime API answers a synchronous invocation with what `invoke` returns; an asynchronous one writes it to S3.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.aws.sagemaker.endpoints.instances import LOG_GROUP, Fleet, NoInstanceError, ThrottledError, Variant
from localcloud.aws.sagemaker.endpoints.telemetry import Captured, Invocation, Telemetry, capture_record
from localcloud.aws.sagemaker.hosting.container import (
    Answer,
    ContainerDiedError,
    ContainerError,
    InvocationTimeoutError,
)
from localcloud.aws.sagemaker.jobs.execution import Surroundings

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_SERVER_ERROR = 500
UNAVAILABLE = "ServiceUnavailable"
_UNAVAILABLE_STATUS = 503
_CAPTURE_EVERYTHING = 100


class RuntimeRefusalError(Exception):
    """The invocation is refused before a model sees it. `code` and `status`: AWS's error and its HTTP status."""

    def __init__(self, code: str, status: int, message: str) -> None:
        """Keep the parts of the answer."""
        super().__init__(message)
        self.code = code
        self.status = status


class ModelFailedError(Exception):
    """The model's container answered with an error, or not at all. Its text is AWS's.

    Args of the constructor: `message` for the client, `status` and `original` as the container gave them (0: none).
    """

    def __init__(self, message: str, status: int, original: str) -> None:
        """Keep the parts of the answer."""
        super().__init__(message)
        self.status = status
        self.original = original


@dataclass(frozen=True)
class Endpoint:
    """An endpoint in service, as an invocation needs it."""

    arn: str
    name: str
    account: str
    surroundings: Surroundings
    fleet: Fleet
    kept: Mapping[str, Any]
    telemetry: Telemetry

    @property
    def log_group(self) -> str:
        """The name of its log group."""
        return f"{LOG_GROUP}/{self.name}"

    def variant(self, target: str | None) -> Variant:
        """Return the variant that a request is for."""
        if target is None:
            return self.fleet.choose()
        if target not in self.fleet.variants:
            message = f"Variant {target} not found for endpoint {self.name} of account {self.account}."
            raise RuntimeRefusalError("ValidationError", 400, message)
        return self.fleet.variants[target]


@dataclass(frozen=True)
class ModelRequest:
    """What the client sends to the model; `timeout` in seconds."""

    body: bytes
    content_type: str
    accept: str | None
    custom_attributes: str | None
    inference_id: str | None
    timeout: float

    def headers(self) -> dict[str, str]:
        """Return what the container sees."""
        given = {
            "Content-Type": self.content_type,
            "Accept": self.accept,
            CUSTOM_ATTRIBUTES: self.custom_attributes,
            "X-Amzn-SageMaker-Inference-Id": self.inference_id,
        }
        return {name: value for name, value in given.items() if value}


def invoke(endpoint: Endpoint, variant: Variant, request: ModelRequest) -> Answer:
    """Send a request to a variant and return the model's answer.

    Raises:
        RuntimeRefusalError: no instance takes it.
        ModelFailedError: the model failed.
    """
    began = time.perf_counter()
    status, answer = 200, None
    try:
        container, answer = variant.invoke(request.body, request.headers(), request.timeout)
        status = answer.status
        if not answer.ok:
            raise _model_failed(endpoint, container, answer)
    except ThrottledError as error:
        message = f"Endpoint {endpoint.name} of account {endpoint.account} has reached its maximum concurrency."
        raise RuntimeRefusalError("ThrottlingException", 429, message) from error
    except NoInstanceError as error:
        status = _UNAVAILABLE_STATUS
        message = f"Endpoint {endpoint.name} of account {endpoint.account} has no healthy instance."
        raise RuntimeRefusalError(UNAVAILABLE, _UNAVAILABLE_STATUS, message) from error
    except ContainerError as error:
        status = _SERVER_ERROR
        raise _no_answer(endpoint, error) from error
    finally:
        seconds = time.perf_counter() - began
        _note(endpoint, variant, request, answer, Invocation(endpoint.name, variant.name, status, seconds, 0.0))
    return answer


def _note(
    endpoint: Endpoint, variant: Variant, request: ModelRequest, answer: Answer | None, invocation: Invocation
) -> None:
    connections, region = endpoint.surroundings.connections, endpoint.surroundings.region
    endpoint.telemetry.note(connections, region, invocation)
    config = endpoint.kept.get("DataCaptureConfig") or {}
    if not config.get("EnableCapture"):
        return
    if random.uniform(0, _CAPTURE_EVERYTHING) >= config["InitialSamplingPercentage"]:  # noqa: S311 - a sample
        return
    answered = (answer.body, answer.content_type) if answer is not None and answer.ok else None
    asked = (request.body, request.content_type)
    record = capture_record(config, asked, answered, request.inference_id, request.custom_attributes)
    folder = f"{config['DestinationS3Uri'].rstrip('/')}/{endpoint.name}/{variant.name}"
    endpoint.telemetry.note(connections, region, Captured(folder, record))


def _model_failed(endpoint: Endpoint, container: str, answer: Answer) -> ModelFailedError:
    text = answer.body.decode(errors="replace")
    kind = "server" if answer.status >= _SERVER_ERROR else "client"
    said = f'Received {kind} error ({answer.status}) from {container} with message "{text}".'
    return ModelFailedError(f"{said} {_where(endpoint)}", answer.status, text)


def _no_answer(endpoint: Endpoint, error: ContainerError) -> ModelFailedError:
    if isinstance(error, InvocationTimeoutError):
        text = (
            f"Your invocation timed out while waiting for a response from container {error.container}. Review the "
            "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
        )
    elif isinstance(error, ContainerDiedError):
        text = str(error).removeprefix("AlgorithmError: ")
    else:
        text = str(error)
    said = f'Received server error (0) from {error.container} with message "{text}".'
    return ModelFailedError(f"{said} {_where(endpoint)}", 0, text)


def _where(endpoint: Endpoint) -> str:
    region = endpoint.surroundings.region
    console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
    return (
        f"See {console}#logEventViewer:group={endpoint.log_group} in account {endpoint.account} for more information."
    )
