"""The gRPC server: routes a call to the method of its name and answers with what that returns, or refuses.

How it works: generic handlers over the API's messages need no generated services. A method is known by
`<Service>/<Method>`; what nobody has registered is answered with UNIMPLEMENTED at once.

What it does not do: authenticate. It listens on 127.0.0.1 and takes every token.
"""

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.longrunning import operations_pb2

from localcloud.gcp.vertex.errors import VertexError
from localcloud.gcp.vertex.messages import request_class

Method = Callable[[Any], Any]
_THREADS = 32
# of one message: as much as Vertex AI takes for a prediction is 1.5 MB, answers may be larger
_LARGEST_MESSAGE = 64 << 20
_SERVICE_PREFIX = "google.cloud.aiplatform.v1."
# a version of the API that is not covered is refused by name as well
_OWN_SERVICES = ("google.cloud.aiplatform.", "google.longrunning.Operations/")


@dataclass(frozen=True)
class Certificate:
    """The server's key and certificate, as files in PEM."""

    key: Path
    chain: Path


class VertexServer:
    """One running server. `port`: 0 picks a free one."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        *,
        port: int = 0,
        certificate: Certificate | None = None,
        beside: Sequence[grpc.GenericRpcHandler] = (),
    ) -> None:
        """Bind and begin to answer; without a certificate in plain text. `beside`: handlers of other services."""
        options = [
            ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
            ("grpc.max_send_message_length", _LARGEST_MESSAGE),
            ("grpc.so_reuseport", 0),  # a taken port is told, not shared
        ]
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vertex")
        self._server = grpc.server(pool, [*beside, Router(methods)], options=options)
        address = f"127.0.0.1:{port}"
        if certificate is None:
            self.port = self._server.add_insecure_port(address)
        else:
            pair = (certificate.key.read_bytes(), certificate.chain.read_bytes())
            self.port = self._server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        self._server.start()

    def stop(self) -> None:
        """Answer no more; calls that have begun are cut off."""
        self._server.stop(grace=None).wait()


class Router(grpc.GenericRpcHandler):
    """Answers for the services of Vertex AI and for long-running operations; takes no call of another service."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        """Route to `methods`, by `<Service>/<Method>`."""
        self._methods = methods

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return what handles a method; None when it belongs to another service."""
        path = str(handler_call_details.method).removeprefix("/")
        if not path.startswith(_OWN_SERVICES):
            return None
        name = path.removeprefix(_SERVICE_PREFIX)
        method, request = self._methods.get(name), _request_class(name)
        if method is None or request is None:
            return grpc.unary_unary_rpc_method_handler(_refusal(path))

        def call(message: Any, context: grpc.ServicerContext) -> Any:
            try:
                return method(message)
            except VertexError as error:
                context.abort(error.code, str(error))
            except Exception as error:  # noqa: BLE001 - the last barrier before the client
                traceback.print_exc(file=sys.stderr)
                context.abort(grpc.StatusCode.INTERNAL, f"localcloud: {type(error).__name__}: {error}")

        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=request.FromString, response_serializer=_serialize
        )


def _request_class(name: str) -> Any:
    service, _, method = name.rpartition("/")
    if service == "google.longrunning.Operations":
        return getattr(operations_pb2, f"{method}Request", None)
    return request_class(method)


def _serialize(message: Any) -> bytes:
    written: bytes = message.SerializeToString()
    return written


def _refusal(path: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def refuse(_: bytes, context: grpc.ServicerContext) -> bytes:
        message = f"localcloud does not implement {path}; see docs/local-vertex-ai.md for what it covers"
        context.abort(grpc.StatusCode.UNIMPLEMENTED, message)

    return refuse
