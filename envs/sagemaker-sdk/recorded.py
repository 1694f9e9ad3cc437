"""The SageMaker SDK at work without a cloud: what it is about to send is recorded, and goes nowhere.

How it works: a session with made-up credentials, whose client hands a Create request to a handler before botocore looks
at it; the handler ends the call. Neither the settings of the machine (AWS profiles, the SDK's configuration files) nor
the network have a part in what is recorded.

What it does not do: let a request through.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import boto3
from sagemaker.core.helper.session_helper import Session

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTINGS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nobody",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    # nothing listens there: what would be sent all the same fails at once
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    # else the SDK asks IAM whether the role may do it
    "SAGEMAKER_VALIDATE_ROLE": "false",
}
_FOREIGN = ("AWS_", "SAGEMAKER_")
_SDK_CONFIG = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}


class _Recorded(Exception):
    """Ends a call instead of sending it."""

    def __init__(self, operation: str, request: dict[str, Any]) -> None:
        super().__init__(operation)
        self.operation = operation
        self.request = request


def leave_the_machine_out() -> None:
    """Replace the settings of AWS's clients in this process, and keep the SDK's log quiet."""
    for name in [each for each in os.environ if each.startswith(_FOREIGN)]:
        del os.environ[name]
    os.environ.update(_SETTINGS)
    # it reports each recorded call as one that failed
    logging.disable(logging.ERROR)


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
