"""The door: what it lets through, what it refuses, and that nothing leaves the machine."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from google.api_core import exceptions
from google.cloud.resourcemanager_v3 import ProjectsClient
from google.cloud.resourcemanager_v3.services.projects.transports import ProjectsGrpcTransport

from localcloud.gcp.clients import PROJECT_ID, PROJECT_NUMBER
from tests.contract.google_cloud.conftest import PATIENCE, PROGRAMS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.google_cloud.conftest import GoogleClients


BACKEND = "airflow.providers.google.cloud.secrets.secret_manager.CloudSecretManagerBackend"


def _behind_the_wall(tmp_path: Path, program: str) -> dict[str, Any]:
    """Run a cloud and a program in a network of their own; return the program's answer and where packets went."""
    unshare = shutil.which("unshare")
    assert unshare is not None
    command = [unshare, "-Urn", sys.executable, str(PROGRAMS / "walled.py"), str(tmp_path / "root")]
    surroundings = {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__SECRETS__BACKEND": BACKEND,
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [*command, str(PROGRAMS / program)],
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _connect(google_cloud: GoogleClients, target: str) -> tuple[int, str, str]:
    """Ask the door for a tunnel; return the answer's status, its reason and its body."""
    door = http.client.HTTPConnection(urlsplit(google_cloud.endpoints.front).netloc, timeout=10)
    door.request("CONNECT", target, headers={"Host": target})
    answer = door.getresponse()
    body = answer.read().decode() if answer.status != 200 else ""
    door.close()
    return answer.status, answer.reason, body


def test_a_task_leaves_nothing_outside(tmp_path: Path) -> None:
    """Airflow's secrets backend, hooks and default credentials work unmodified, and no packet leaves the machine."""
    found = _behind_the_wall(tmp_path, "everything.py")
    assert found["answer"] == {
        "token": True,
        "project": "localcloud-project",
        "unknown": 404,
        "boundary": "0x0",
        "connection": "postgres://here",
        "variable": "blue",
        "missing": [None, None, None],
        "Airflow's own": ["blue", "here"],
        "hook": "blue",
        "asynchronous": "blue",
        "object": "value",
        "refused": True,
        "channel": "UNAVAILABLE",
    }
    assert (found["climbed"], found["cloud"]) == ([], 0)


@pytest.mark.verify  # a check of the check: three seconds
def test_the_wall_has_eyes(tmp_path: Path) -> None:
    """What does try to leave the machine is noticed: the other test can fail."""
    assert _behind_the_wall(tmp_path, "climbs.py")["climbed"] == ["192.0.2.1", "192.0.2.53"]


@pytest.mark.parametrize(
    "target",
    [
        "us-central1-aiplatform.googleapis.com:443",
        "europe-west4-aiplatform.googleapis.com:443",
        "aiplatform.googleapis.com:443",
        "secretmanager.googleapis.com:443",
        "cloudresourcemanager.googleapis.com:443",
        "SecretManager.googleapis.com:443",
        "storage.googleapis.com:443",
        "a-bucket.storage.googleapis.com:443",
        "oauth2.googleapis.com:443",
        "iamcredentials.googleapis.com:443",
    ],
)
def test_tunnels(google_cloud: GoogleClients, target: str) -> None:
    """A tunnel to an emulated host is dug."""
    assert _connect(google_cloud, target)[:2] == (200, "Connection established")


def test_services_that_speak_http(google_cloud: GoogleClients) -> None:
    """The emulated hosts that speak no gRPC are reached by their own names too, and nobody else is behind them."""
    google_cloud.storage.create_bucket("by-its-name").blob("object").upload_from_string(bytes(3_000_000))
    with requests.Session() as session:
        session.trust_env = False
        session.proxies, session.verify = {"https": google_cloud.endpoints.front}, google_cloud.endpoints.ca
        found = session.get("https://storage.googleapis.com/storage/v1/b/by-its-name/o/object?alt=media", timeout=10)
        assert found.content == bytes(3_000_000)
        # nor do its links lead anywhere else
        begun = session.post(
            "https://storage.googleapis.com/upload/storage/v1/b/by-its-name/o?uploadType=resumable&name=x", timeout=10
        )
        assert begun.headers["Location"].startswith("https://storage.googleapis.com/upload/storage/v1/b/by-its-name/o?")
        refused = session.post("https://oauth2.googleapis.com/token", data={"grant_type": "password"}, timeout=10)
        assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_grant_type")
        account = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/localcloud@x"
        boundary = session.get(f"{account}/allowedLocations", timeout=10)
        assert boundary.json() == {"locations": [], "encodedLocations": "0x0"}


@pytest.mark.parametrize("host", ["us-central1-aiplatform.googleapis.com", "secretmanager.googleapis.com"])
def test_clients_that_would_speak_rest(google_cloud: GoogleClients, host: str) -> None:
    """A client that would speak REST to a service that speaks gRPC here is told so, and what to do."""
    with requests.Session() as session:
        session.trust_env = False
        session.proxies, session.verify = {"https": google_cloud.endpoints.front}, google_cloud.endpoints.ca
        refused = session.get(f"https://{host}/v1/projects/x/locations/us-central1/models", timeout=10)
    assert refused.status_code == 501
    assert refused.json()["error"]["message"].startswith(f"localcloud speaks gRPC on {host}, no REST. Have the client")


def test_projects(google_cloud: GoogleClients) -> None:
    """What an SDK asks of projects by itself is answered: the local one's number, and any other by its name."""
    transport = ProjectsGrpcTransport(channel=google_cloud.channel("cloudresourcemanager.googleapis.com"))
    with ProjectsClient(transport=transport) as client:
        found = [client.get_project(name=f"projects/{name}") for name in (PROJECT_ID, PROJECT_NUMBER, "another-one")]
        assert [(project.name, project.project_id, project.state.name) for project in found] == [
            (f"projects/{PROJECT_NUMBER}", identity, "ACTIVE") for identity in (PROJECT_ID, PROJECT_ID, "another-one")
        ]
        with pytest.raises(exceptions.NotFound, match="localcloud's projects all have the number"):
            client.get_project(name="projects/42")


def test_many_tunnels(google_cloud: GoogleClients) -> None:
    """Forty clients with a channel each are served at the same time."""
    parent = f"projects/{PROJECT_ID}"

    def listed(_: int) -> int:
        return len([list(google_cloud.secrets().list_secrets(parent=parent)) for _ in range(3)])

    with ThreadPoolExecutor(40) as pool:
        assert [3] * 40 == list(pool.map(listed, range(40)))


@pytest.mark.parametrize(
    "target",
    [
        "example.com:443",
        "bigquery.googleapis.com:443",
        "secretmanager.googleapis.com:80",
        "secretmanager.googleapis.com",
        "secretmanager.googleapis.com.example.com:443",
        "example.com/secretmanager.googleapis.com:443",
        "x.secretmanager.googleapis.com:443",
        "metadata.google.internal:443",
        "169.254.169.254:443",
        "127.0.0.1:443",
        "localhost:443",
        ":443",
    ],
)
def test_refused_tunnels(google_cloud: GoogleClients, target: str) -> None:
    """A tunnel anywhere else is refused, with the reason, the rule and the remedy, and the refusal is logged."""
    status, reason, body = _connect(google_cloud, target)
    assert (status, reason) == (403, f"Refused by localcloud: {target} is not emulated")
    message = json.loads(body)["error"]["message"]
    assert message.startswith(f"localcloud's proxy refuses {target}: it forwards nothing")
    assert message.endswith("Unset grpc_proxy and https_proxy for what has to reach it.")
    logged = [entry for entry in google_cloud.requests() if entry.get("resource") == target]
    assert {(entry["service"], entry["operation"], entry["status"]) for entry in logged} == {("front", "CONNECT", 403)}


@pytest.mark.parametrize(
    ("method", "target", "status", "expected"),
    [
        ("GET", "http://example.com/", 403, "localcloud's proxy forwards nothing"),
        ("GET", "http://metadata.google.internal/computeMetadata/v1/", 403, "localcloud's proxy forwards nothing"),
        ("GET", "/computeMetadata/v1/", 404, "localcloud does not implement GET /computeMetadata/v1/"),
        ("GET", "/token", 404, "localcloud does not implement GET /token"),
        ("POST", "/v1/projects/-/serviceAccounts/a@b:signBlob", 404, "localcloud does not implement POST"),
    ],
)
def test_other_requests(google_cloud: GoogleClients, method: str, target: str, status: int, expected: str) -> None:
    """What is asked through the proxy in the clear, or of a machine's metadata, is refused by name."""
    door = http.client.HTTPConnection(urlsplit(google_cloud.endpoints.front).netloc, timeout=10)
    door.request(method, target)
    answer = door.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]["message"].startswith(expected)) == (status, True)
    door.close()


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01", b"\r\n\r\n", b"x" * 70_000, b"POST /token HTTP/1.1\r\n"])
def test_nonsense(google_cloud: GoogleClients, sent: bytes) -> None:
    """What is no request ends its own connection at most; the door goes on answering."""
    host, port = urlsplit(google_cloud.endpoints.front).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as stranger:
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(1 << 16):
            pass
    assert _connect(google_cloud, "secretmanager.googleapis.com:443")[0] == 200


def test_it_listens_on_this_machine_only(google_cloud: GoogleClients) -> None:
    """Every socket of the cloud's process listens on 127.0.0.1."""
    process = psutil.Process(google_cloud.cloud.process.pid)
    listening = [found.laddr.ip for found in process.net_connections("tcp") if found.status == psutil.CONN_LISTEN]
    # AWS, the door, the storage, gRPC, and two that take TLS off
    assert len(listening) == 6
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
