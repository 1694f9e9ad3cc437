"""The SageMaker Python SDK as a client: programs that run in an environment of its own against the local cloud."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.clients import client_environment
from tests.contract.local_cloud import XGBOOST_IMAGE, LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[3]
PYTHON = PROJECT / ".local" / "sagemaker-sdk" / "bin" / "python"
PROGRAMS = Path(__file__).with_name("programs")
SECONDS = 400
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
# without a bucket of its own the SDK asks STS at a fixed address for the account's number
DEFAULTS = """
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
      Session:
        DefaultS3Bucket: {bucket}
"""


@dataclass(frozen=True)
class Sdk:
    """The environment of the SDK.

    Args:
        cloud: The local cloud that it talks to.
        folder: The home and working folder of the programs.
        role: A role that SageMaker may assume.
    """

    cloud: LocalCloud
    folder: Path
    role: str

    def run(self, program: str, *arguments: str) -> dict[str, Any]:
        """Run a program with image, role and arguments; return the JSON that it ends with."""
        defaults = self.folder / "defaults.yaml"
        defaults.write_text(DEFAULTS.format(bucket=self.cloud.bucket))
        ended = subprocess.run(
            [PYTHON, PROGRAMS / f"{program}.py", XGBOOST_IMAGE, self.role, *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "SAGEMAKER_USER_CONFIG_OVERRIDE": str(defaults),
                **client_environment(self.cloud.endpoint),
            },
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert 0 == ended.returncode, ended.stderr[-4000:]
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return found


@pytest.fixture(scope="session")
def sdk(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sdk]:
    """Return the SDK's environment; `make verify` installs it."""
    if not PYTHON.exists():
        pytest.fail(f"{PYTHON} is missing. Remedy: make .local/sagemaker-sdk.stamp")
    iam = cloud.client("iam")
    role = iam.create_role(RoleName="sdk", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    cloud.put("sdk/rows/rows.csv", "1\n2\n3\n")
    yield Sdk(cloud, tmp_path_factory.mktemp("sdk"), role)
    iam.delete_role(RoleName="sdk")
