"""The API sagemaker-runtime: invocations of endpoints, synchronous and asynchronous.

moto answers every invocation with the body `body`, whether the endpoint exists or not. What its users queued at
`/moto-api/static/sagemaker/…endpoint-results` is still answered by moto, as only a test that asks for it does that.

A stream of answers has the whole answer in it from its beginning, in parts: the model server answers at once.

What it does not do: inference components, sessions, explanations, multi-model endpoints.
"""

import json
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar

from moto.core.common_types import TYPE_RESPONSE
from moto.sagemaker.models import sagemaker_backends
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from localcloud.aws.objects import split_uri
from localcloud.aws.sagemaker.endpoints.asynchronous import AsyncInvocation
from localcloud.aws.sagemaker.endpoints.eventstream import event_stream
from localcloud.aws.sagemaker.endpoints.instances import Variant
from localcloud.aws.sagemaker.endpoints.invocation import (
    CUSTOM_ATTRIBUTES,
    UNAVAILABLE,
    Endpoint,
    ModelFailedError,
    ModelRequest,
    RuntimeRefusalError,
    invoke,
)
from localcloud.aws.sagemaker.endpoints.records import EndpointRecord
from localcloud.aws.sagemaker.front import RunningJobs
from localcloud.aws.sagemaker.hosting.container import Answer
from localcloud.aws.sagemaker.jobs.failures import JobFailedError

# AWS's limits: bytes of a synchronous request, seconds until the model has to answer
BODY_LIMIT = 6 << 20
TIMEOUT_SECONDS = 60.0
ASYNC_TIMEOUT_SECONDS = 900.0
TIME_TO_LIVE_SECONDS = 21600.0
_PREFIX = "X-Amzn-SageMaker-"
# headers of a request that ask for what does not exist here
_UNSUPPORTED = {
    "Inference-Component": "InferenceComponentName",
    "Session-Id": "SessionId",
    "Enable-Explanations": "EnableExplanations",
    "Target-Container-Hostname": "TargetContainerHostname",
    "Prefix-Aware-Id": "PrefixAwareId",
}
_UNSUPPORTED_ASYNC = {"S3OutputPathExtension": "S3OutputPathExtension", "Filename": "Filename"}


class LocalSageMakerRuntime(SageMakerRuntimeResponse):
    """All operations."""

    running: ClassVar[RunningJobs]
    # a request is whatever bytes the model takes
    use_raw_body = True

    def invoke_endpoint(self) -> TYPE_RESPONSE:
        """Ask a model and answer with what it answers."""
        backend = self.sagemakerruntime_backend
        if backend.results_queue or self._name in backend.results:
            self.body = self.body.decode("utf-8", "replace")
            return super().invoke_endpoint()
        return self._answered(self._invoke)

    def invoke_endpoint_async(self) -> TYPE_RESPONSE:
        """Accept a request whose body is in S3."""
        backend = self.sagemakerruntime_backend
        if backend.async_results_queue or backend.results_queue or self._name in backend.async_results:
            return super().invoke_endpoint_async()
        return self._answered(self._invoke_async)

    def invoke_endpoint_with_response_stream(self) -> TYPE_RESPONSE:
        """Ask a model and answer with a stream of what it answers."""
        return self._answered(self._stream)

    def _answered(self, operation: Any) -> TYPE_RESPONSE:
        """Turn a refusal or the model's failure into AWS's answer."""
        try:
            answer: TYPE_RESPONSE = operation()
        except RuntimeRefusalError as error:
            return _error(error.code, error.status, {"Message": str(error)})
        except ModelFailedError as error:
            group = f"arn:{self.partition}:logs:{self.region}:{self.current_account}:log-group:{self._log_group}"
            details = {
                "Message": str(error),
                "OriginalStatusCode": error.status,
                "OriginalMessage": error.original,
                "LogStreamArn": group,
            }
            return _error("ModelError", HTTPStatus.FAILED_DEPENDENCY, details)
        return answer

    def _invoke(self) -> TYPE_RESPONSE:
        variant, answer = self._ask(self.headers.get("Accept"))
        headers = {"Content-Type": answer.content_type, **_origin(variant, answer)}
        return _response(HTTPStatus.OK, headers, answer.body)

    def _stream(self) -> TYPE_RESPONSE:
        variant, answer = self._ask(self._header("Accept"))
        headers = {
            "Content-Type": "application/vnd.amazon.eventstream",
            f"{_PREFIX}Content-Type": answer.content_type,
            **_origin(variant, answer),
        }
        return _response(HTTPStatus.OK, headers, event_stream(answer.body))

    def _ask(self, accept: str | None) -> tuple[Variant, Answer]:
        """Return the answer to a synchronous request, and the variant that gave it."""
        self._refuse(_UNSUPPORTED)
        if len(self.body) > BODY_LIMIT:
            message = f"HTTP content length exceeded {BODY_LIMIT} bytes."
            raise RuntimeRefusalError("", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        endpoint = self._endpoint()
        if endpoint.kept.get("AsyncInferenceConfig"):
            message = f"Endpoint {endpoint.name} is an asynchronous endpoint: call InvokeEndpointAsync."
            raise RuntimeRefusalError("ValidationError", HTTPStatus.BAD_REQUEST, message)
        if self._header("Target-Model"):
            message = (
                f"Endpoint {endpoint.name} is not a multi-model endpoint and does not support target model header."
            )
            raise RuntimeRefusalError("ValidationError", HTTPStatus.BAD_REQUEST, message)
        variant = endpoint.variant(self._header("Target-Variant"))
        request = ModelRequest(
            body=self.body,
            content_type=self.headers.get("Content-Type", ""),
            accept=accept,
            custom_attributes=self._header("Custom-Attributes"),
            inference_id=self._header("Inference-Id"),
            timeout=TIMEOUT_SECONDS,
        )
        try:
            return variant, invoke(endpoint, variant, request)
        except RuntimeRefusalError as error:
            # an update took the fleet away between finding it and asking it
            if error.code != UNAVAILABLE or self.running.endpoints.find(endpoint.arn) is endpoint.fleet:
                raise
            return self._ask(accept)

    def _invoke_async(self) -> TYPE_RESPONSE:
        self._refuse(_UNSUPPORTED_ASYNC)
        endpoint = self._endpoint()
        config = endpoint.kept.get("AsyncInferenceConfig")
        if not config:
            message = f"Endpoint {endpoint.name} is not an asynchronous endpoint: call InvokeEndpoint."
            raise RuntimeRefusalError("ValidationError", HTTPStatus.BAD_REQUEST, message)
        source = self._header("InputLocation")
        if not source or self.body:
            message = "localcloud runs InvokeEndpointAsync with InputLocation, not with Body"
            raise RuntimeRefusalError("ValidationError", HTTPStatus.BAD_REQUEST, message)
        try:
            split_uri(source)
        except JobFailedError as error:
            raise RuntimeRefusalError("ValidationError", HTTPStatus.BAD_REQUEST, str(error)) from error
        request = ModelRequest(
            body=b"",
            content_type=self._header("Content-Type") or "",
            accept=self._header("Accept"),
            custom_attributes=self._header("Custom-Attributes"),
            inference_id=self._header("Inference-Id") or str(uuid.uuid4()),
            timeout=float(self._header("InvocationTimeoutSeconds") or ASYNC_TIMEOUT_SECONDS),
        )
        output, arn = config["OutputConfig"], endpoint.arn
        folder = output["S3OutputPath"].rstrip("/")
        name = uuid.uuid4()
        invocation = AsyncInvocation(
            endpoint=endpoint,
            find=lambda: self.running.endpoints.find(arn),
            request=request,
            source=source,
            output=f"{folder}/{name}.out",
            failure=f"{output.get('S3FailurePath', folder).rstrip('/')}/{name}-error.out",
            received=datetime.now(UTC),
            time_to_live=float(self._header("RequestTTLSeconds") or TIME_TO_LIVE_SECONDS),
        )
        self.running.endpoints.asynchronous.submit(arn, invocation)
        headers = {
            "Content-Type": "application/json",
            f"{_PREFIX}OutputLocation": invocation.output,
            f"{_PREFIX}FailureLocation": invocation.failure,
        }
        return _response(HTTPStatus.ACCEPTED, headers, json.dumps({"InferenceId": request.inference_id}).encode())

    def _endpoint(self) -> Endpoint:
        """Return the endpoint that the request names, if it serves."""
        stored = sagemaker_backends[self.current_account][self.region].endpoints.get(self._name)
        record = EndpointRecord(stored) if stored is not None else None
        fleet = self.running.endpoints.find(record.arn) if record is not None else None
        if record is None or fleet is None or record.deployed is None:
            message = f"Endpoint {self._name} of account {self.current_account} not found."
            raise RuntimeRefusalError("ValidationError", HTTPStatus.BAD_REQUEST, message)
        running = self.running
        surroundings = running.surroundings(self.region)
        kept = record.deployed["kept"]
        return Endpoint(
            record.arn, self._name, self.current_account, surroundings, fleet, kept, running.endpoints.telemetry
        )

    def _refuse(self, headers: dict[str, str]) -> None:
        for header, parameter in headers.items():
            if self._header(header):
                message = f"localcloud does not run {parameter}; see localcloud/README.md for what it covers"
                raise RuntimeRefusalError("ValidationError", HTTPStatus.BAD_REQUEST, message)

    def _header(self, name: str) -> str | None:
        found: str | None = self.headers.get(f"{_PREFIX}{name}")
        return found

    @property
    def _name(self) -> str:
        return str(self.path.split("/")[2])

    @property
    def _log_group(self) -> str:
        return f"/aws/sagemaker/Endpoints/{self._name}"


def _origin(variant: Variant, answer: Answer) -> dict[str, str]:
    """Return the headers that say where an answer comes from."""
    headers = {"x-Amzn-Invoked-Production-Variant": variant.name}
    custom = answer.headers.get(CUSTOM_ATTRIBUTES.lower())
    if custom:
        headers[CUSTOM_ATTRIBUTES] = custom
    return headers


def _error(code: str, status: int, details: dict[str, Any]) -> TYPE_RESPONSE:
    headers = {"Content-Type": "application/json"}
    if code:
        headers["x-amzn-errortype"] = code
    return _response(status, headers, json.dumps(details).encode())


def _response(status: int, headers: dict[str, str], body: bytes) -> TYPE_RESPONSE:
    # moto takes the status from this header alone
    return int(status), {**headers, "status": str(int(status))}, body
