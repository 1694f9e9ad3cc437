"""Makes the faults happen that `localcloud.aws.sagemaker.conditions` describes: WSGI middleware around SageMaker.

A fault that holds an answer back lets the operation be carried out first; the others keep it from being carried out.
"""

import json
import socket
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from localcloud.aws.connections import APPLICATION
from localcloud.aws.sagemaker.conditions import Conditions, Fault

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# SO_LINGER on, 0 seconds: closing the socket resets the connection
_LINGER_NOT = struct.pack("ii", 1, 0)
_MESSAGES = {"ThrottlingException": "Rate exceeded"}


class Faults:
    """The middleware. It finds service and operation where the request log has noted them."""

    def __init__(self, application: "WSGIApplication", conditions: Conditions) -> None:
        """Wrap `application`."""
        self._application = application
        self._conditions = conditions

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer, or do not."""
        request: dict[str, Any] = environ["localcloud.request"]
        # the cloud's own calls are part of what it carries out
        concerned = request["service"] == "sagemaker" and request["app"] != APPLICATION
        fault = self._conditions.strike(request["operation"]) if concerned else None
        if fault is None:
            return self._application(environ, start_response)
        if fault.kind == "hold":
            answer = list(self._application(environ, start_response))
            self._conditions.hold()
            return answer
        if fault.kind == "reset":
            connection: socket.socket = environ["werkzeug.socket"]
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            # the handler reads the end of the connection and closes it
            connection.shutdown(socket.SHUT_RD)
            message = "the conditions ask for it"
            raise ConnectionResetError(message)
        return _error(fault, start_response)


def _error(fault: Fault, start_response: "StartResponse") -> Iterable[bytes]:
    message = _MESSAGES.get(fault.code, "localcloud: the conditions ask for this error")
    body = json.dumps({"__type": fault.code, "message": message}).encode()
    headers = [
        ("Content-Type", "application/x-amz-json-1.1"),
        ("Content-Length", str(len(body))),
        ("x-amzn-errortype", fault.code),
    ]
    start_response(f"{fault.status} {fault.code}", headers)
    return [body]
