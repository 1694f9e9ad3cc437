"""Writes one line per call of a Google service: what was asked for, of which resource, and how it was answered.

The lines go to the file that AWS requests go to, in the same form. Never a payload: of a request's fields only the name
of the resource that it is about, or of the parent that it is to be made in, is looked at.
"""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable


class RequestLog(grpc.ServerInterceptor):
    """Appends to a JSON-lines file: calls of gRPC methods as an interceptor, others by `write`."""

    def __init__(self, path: Path) -> None:
        """Open the file."""
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def write(self, service: str, operation: str, resource: str | None, status: str | int) -> None:
        """Write a line."""
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "service": service,
            "operation": operation,
            "region": None,
            "app": None,
            **({"resource": resource} if resource else {}),
            "status": status,
        }
        with self._lock:
            self._file.write(f"{json.dumps(entry)}\n")

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Have a unary call logged when it has been answered."""
        handler = continuation(handler_call_details)
        answer = handler.unary_unary if handler is not None else None
        if handler is None or answer is None:
            return handler
        _, service, method = handler_call_details.method.split("/")

        def logged(request: Any, context: grpc.ServicerContext) -> Any:
            status = "UNKNOWN"
            try:
                answered = answer(request, context)
                status = "OK"
            except BaseException:
                code = context.code()  # type: ignore[attr-defined] # grpc has it, its types do not
                status = getattr(code, "name", status)
                raise
            finally:
                self.write(service, method, _resource(request), status)
            return answered

        return grpc.unary_unary_rpc_method_handler(
            logged,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _resource(request: Any) -> str | None:
    for field in ("name", "parent", "endpoint"):
        named = getattr(request, field, None)
        if isinstance(named, str) and named:
            return named
    return None
