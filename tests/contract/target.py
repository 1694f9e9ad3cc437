"""Where the few tests run that could run against AWS as well: the local cloud, or an account of the caller's.

Against AWS only when LOCALCLOUD_CONTRACT_TARGET is `aws`. Then the caller's own credentials and region count, and these
have to be set: LOCALCLOUD_CONTRACT_BUCKET (in that region), LOCALCLOUD_CONTRACT_ROLE (the ARN of a role that SageMaker
may assume and that may use the bucket), LOCALCLOUD_CONTRACT_IMAGE (the XGBoost framework image in that region). The
tests start jobs there, which cost money, and leave objects below a prefix of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SWITCH = "LOCALCLOUD_CONTRACT_TARGET"
VARIABLES = ("LOCALCLOUD_CONTRACT_BUCKET", "LOCALCLOUD_CONTRACT_ROLE", "LOCALCLOUD_CONTRACT_IMAGE")


@dataclass(frozen=True)
class Target:
    """What a test needs to know.

    Args:
        client: Makes a boto3 client of a service.
        bucket: A bucket that the tests may write to.
        role: The ARN of the jobs' role.
        image: The XGBoost framework image.
        poll_seconds: How long to wait between two looks.
    """

    client: Callable[[str], Any]
    bucket: str
    role: str
    image: str
    poll_seconds: int


def is_aws(environment: Mapping[str, str]) -> bool:
    """Whether AWS is the target.

    Raises:
        pytest.UsageError: The switch has a value that means nothing.
    """
    value = environment.get(SWITCH, "")
    if value not in {"", "aws"}:
        message = f"{SWITCH} is {value!r}. It may be `aws` or unset."
        raise pytest.UsageError(message)
    return value == "aws"


def aws_target(environment: Mapping[str, str]) -> Target:
    """Return the caller's account as the target.

    Raises:
        pytest.UsageError: A variable is missing.
    """
    missing = [name for name in VARIABLES if not environment.get(name)]
    if missing:
        message = f"{SWITCH}=aws needs {', '.join(missing)}; tests/contract/target.py says what they are."
        raise pytest.UsageError(message)
    session = boto3.Session()
    return Target(session.client, *(environment[name] for name in VARIABLES), poll_seconds=15)


def local_target(cloud: LocalCloud) -> Target:
    """Return the local cloud as the target."""
    return Target(cloud.client, cloud.bucket, ROLE, XGBOOST_IMAGE, poll_seconds=1)
