"""The SageMaker SDK at work without a cloud: what it is about to send is recorded, and goes nowhere.

How it works: a session whose client hands a request to a handler before botocore looks at it; the handler ends the
call. The SDK's own configuration files have no part in it: the session brings its configuration.

What it does not do: let a request through; keep the machine's settings of AWS away, which the SDK reads as soon as it
is imported (``compile_requests`` does).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from sagemaker.core.helper.session_helper import Session

if TYPE_CHECKING:
    from collections.abc import Callable

_SDK_CONFIG = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}


class _Recorded(Exception):
    """Ends a call instead of sending it."""

    def __init__(self, operation: str, request: dict[str, Any]) -> None:
        super().__init__(operation)
        self.operation = operation
        self.request = request


def sdk_session(region: str) -> Session:
    """Return a session of the SDK that records."""
    aws = boto3.Session(region_name=region)
    aws.events.register("provide-client-params.sagemaker", _record)
    return Session(boto_session=aws, default_bucket="not-used", sagemaker_config=_SDK_CONFIG)


def recorded(call: Callable[[], object]) -> tuple[str, dict[str, Any]]:
    """Return the operation and the request that a call of the SDK would send."""
    try:
        call()
    except _Recorded as recording:
        return recording.operation, recording.request
    message = "the SDK sent no request"
    raise AssertionError(message)


def _record(params: dict[str, Any], model: Any, **_: object) -> None:
    raise _Recorded(model.name, params)
