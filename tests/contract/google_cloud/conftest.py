"""A cloud with its Google half, and clients of it that need no variable of the test's own process.

A gRPC client reads the variables of its process once and for all, so that tests in one process could not use two
clouds by them: here each client is told the door and the authority by itself. What does use the variables, as every
real program does, runs in a process of its own (`programs/`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google.auth.credentials
import grpc
import pytest
from google.cloud import storage
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from localcloud.clients import client_environment
from localcloud.gcp.clients import PROJECT_ID, google_environment
from localcloud.statefile import find_running
from tests.contract.local_cloud import LocalCloud

PROGRAMS = Path(__file__).parent / "programs"
# seconds
PATIENCE = 120.0


class GoogleClients:
    """Clients of one running cloud's Google half, and its environment for a program."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        endpoints = find_running(cloud.root).google
        assert endpoints is not None
        self.endpoints = endpoints
        self._channels: list[grpc.Channel] = []
        self.storage = storage.Client(
            project=PROJECT_ID,
            credentials=google.auth.credentials.AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": self.endpoints.storage},
        )

    def channel(self, host: str) -> grpc.Channel:
        """Return a channel to a host of Google's, through the door."""
        trusted = grpc.ssl_channel_credentials(Path(self.endpoints.ca).read_bytes())
        channel = grpc.secure_channel(f"{host}:443", trusted, [("grpc.http_proxy", self.endpoints.front)])
        self._channels.append(channel)
        return channel

    def secrets(self) -> SecretManagerServiceClient:
        """Return a client of Secret Manager."""
        transport = SecretManagerServiceGrpcTransport(channel=self.channel("secretmanager.googleapis.com"))
        return SecretManagerServiceClient(transport=transport)

    def variables(self) -> dict[str, str]:
        """Return the variables that a program uses both clouds by."""
        return {**client_environment(self.cloud.endpoint), **google_environment(self.endpoints)}

    def requests(self) -> list[dict[str, Any]]:
        """Return the lines of the request log."""
        lines = (self.cloud.root / "requests.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Close all clients."""
        for channel in self._channels:
            channel.close()
        self.storage.close()


StartGoogle = Callable[..., GoogleClients]


@pytest.fixture(scope="session")
def google_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleClients]:
    """Return the Google half of a cloud that the tests share."""
    cloud = LocalCloud(tmp_path_factory.mktemp("google") / "root", "--google", "on")
    clients = GoogleClients(cloud)
    yield clients
    clients.close()
    cloud.end()


@pytest.fixture
def start_google(tmp_path: Path) -> Iterator[StartGoogle]:
    """Return a function that starts a cloud of the test's own on one root; what it started is ended with the test."""
    started: list[GoogleClients] = []

    def start(*options: str) -> GoogleClients:
        started.append(GoogleClients(LocalCloud(tmp_path / "root", "--google", "on", *options)))
        return started[-1]

    yield start
    for clients in started:
        clients.close()
        clients.cloud.end()


def run_program(name: str, variables: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Run a program to its end with these variables and no others of Google's; return the object that it prints."""
    program = [sys.executable, str(PROGRAMS / name), *arguments]
    surroundings = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/nonexistent", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        program, env={**surroundings, **variables}, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
