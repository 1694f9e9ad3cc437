"""The Google half of a running cloud: its gRPC server, its storage and its door, on one root.

How it works: three sockets, all of this process. The door and the storage listen where clients are told to look (their
ports can be chosen, so that a restart changes nothing for a client); the gRPC server listens on any free port of
127.0.0.1, because only the door's tunnels lead there. State lies under `<root>/google`, in folders of its user alone.

What it does not do: know what a gRPC service does. Services come as handlers; a method that none of them takes is
refused by name.
"""

import json
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import grpc
from google.cloud.secretmanager_v1 import types as secret_types

from localcloud.gcp.certificates import ensure_certificates
from localcloud.gcp.clients import PROJECT_ID, GoogleEndpoints
from localcloud.gcp.front import TOKEN_PATH, Front
from localcloud.gcp.requestlog import RequestLog
from localcloud.gcp.resourcemanager import ResourceManager
from localcloud.gcp.secretmanager.names import SecretManagerError
from localcloud.gcp.secretmanager.rpc import SecretManager
from localcloud.gcp.secretmanager.store import Store as SecretStore
from localcloud.gcp.serviceaccount import ServiceAccount
from localcloud.gcp.storage.api import Api
from localcloud.gcp.storage.messages import Request
from localcloud.gcp.storage.server import StorageServer
from localcloud.gcp.storage.store import Store as ObjectStore

# calls that are answered at the same time; a long-running operation is asked for, not waited for
_THREADS = 32
# bytes of one message; predictions carry data
_LARGEST_MESSAGE = 64 << 20
# seconds that calls under way have when the cloud ends
_GRACE_SECONDS = 1.0
# seconds between two looks of the storage whether it is to end
_LOOKS_SECONDS = 0.1


@dataclass(frozen=True)
class Listeners:
    """Sockets that already listen, for the door and for the storage."""

    front: socket.socket
    storage: socket.socket


class _Refusal(grpc.GenericRpcHandler):
    """Refuses every method, by name; stands last."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        method = handler_call_details.method.removeprefix("/").replace("/", ".")

        def refuse(_: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"localcloud does not implement {method}")
            raise AssertionError  # abort does not return

        return grpc.unary_unary_rpc_method_handler(refuse)


class GoogleCloud:
    """The half. Nothing answers before `start`."""

    def __init__(self, root: Path, listeners: Listeners) -> None:
        """Open what is kept on a root; certificates and the service account are made where they are missing."""
        folder = root / "google"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log = RequestLog(root / "requests.jsonl")
        self._certificates = ensure_certificates(folder)
        front, storage = _address(listeners.front), _address(listeners.storage)
        account = ServiceAccount(folder / "service-account.json", f"{front}{TOKEN_PATH}")
        self.endpoints = GoogleEndpoints(front, storage, str(self._certificates.ca), str(account.path))
        self._listeners, self._account = listeners, account
        self._secret_store, self._object_store = SecretStore(folder / "secrets.db"), ObjectStore(folder / "storage")
        self._secrets, self._api = SecretManager(self._secret_store), Api(self._object_store)
        self._storage = StorageServer(listeners.storage, self._api)

    def start(self, handlers: Sequence[grpc.GenericRpcHandler] = ()) -> None:
        """Answer from now on, calls of `handlers`' methods too."""
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, thread_name_prefix="google-rpc"),
            [*handlers, self._secrets, ResourceManager(), _Refusal()],
            interceptors=[self._log],
            options=[
                ("grpc.so_reuseport", 0),  # a taken port is told, not shared
                ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
                ("grpc.max_send_message_length", _LARGEST_MESSAGE),
            ],
        )
        certificates = self._certificates
        pair = (certificates.key.read_bytes(), certificates.certificate.read_bytes())
        port = self._server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        self._server.start()
        threading.Thread(
            target=self._storage.serve_forever, args=(_LOOKS_SECONDS,), name="google-storage", daemon=True
        ).start()
        self._front = Front(
            self._listeners.front,
            self._account,
            certificates,
            grpc=("127.0.0.1", port),
            storage=("127.0.0.1", self._listeners.storage.getsockname()[1]),
            log=lambda line: self._log.write("front", *line),
        )
        self._front.start()

    def create_bucket(self, name: str) -> str | None:
        """Create a bucket that does not exist yet; return why it cannot be, if so."""
        body = (json.dumps({"name": name}).encode(),)
        answer = self._api.answer(Request("POST", "/storage/v1/b", {"project": PROJECT_ID}, {}, body))
        if answer.status in {HTTPStatus.OK, HTTPStatus.CONFLICT}:
            return None
        return str(json.loads(b"".join(answer.body))["error"]["message"])

    def create_secret(self, name: str, value: str) -> str | None:
        """Create a secret of one version that does not exist yet; return why it cannot be, if so."""
        kept = secret_types.Secret(replication={"automatic": {}})
        request = secret_types.CreateSecretRequest(parent=f"projects/{PROJECT_ID}", secret_id=name, secret=kept)
        try:
            made = self._secrets.secrets.create(request)
            payload = secret_types.SecretPayload(data=value.encode())
            self._secrets.versions.add(secret_types.AddSecretVersionRequest(parent=made.name, payload=payload))
        except SecretManagerError as error:
            return None if error.code is grpc.StatusCode.ALREADY_EXISTS else str(error)
        return None

    def status(self) -> dict[str, Any]:
        """Return what the status page shows."""
        return {"project": PROJECT_ID, "front": self.endpoints.front, "storage": self.endpoints.storage}

    def close(self) -> None:
        """End the servers; calls under way have a second."""
        self._front.close()
        self._server.stop(_GRACE_SECONDS).wait()
        self._storage.shutdown()
        self._secret_store.close()
        self._object_store.close()
        self._log.close()


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    # a client on this machine cannot connect to "all addresses"
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared only
