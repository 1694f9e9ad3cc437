"""A request and its answer, apart from any connection."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from localcloud.gcp.storage.errors import invalid

CHUNK = 1 << 20


@dataclass(frozen=True)
class Request:
    """A request. `path` is as it was sent, with its escapes; names of headers are in small letters."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    # read once, to its end
    body: Iterable[bytes] = field(default=(), repr=False)

    @property
    def address(self) -> str:
        """Where the client found this server: by its own address, or by Google's name through a tunnel."""
        host = self.headers.get("host", "localhost")
        return f"https://{host}" if host.partition(":")[0].endswith(".googleapis.com") else f"http://{host}"

    def read(self) -> bytes:
        """Return the whole body."""
        return b"".join(self.body)

    def json(self) -> dict[str, Any]:
        """Return the object that the body is in JSON; an empty one where there is no body.

        Raises:
            StorageError: 400, when it is something else.
        """
        return parsed_object(self.read())


def parsed_object(data: bytes) -> dict[str, Any]:
    """Return the object that bytes are in JSON.

    Raises:
        StorageError: 400, when they are something else.
    """
    try:
        content = json.loads(data) if data.strip() else {}
    except ValueError as error:
        raise invalid(f"Parse Error: the body is not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise invalid(f"Parse Error: the body must be an object in JSON, got {type(content).__name__}.")
    return content


@dataclass(frozen=True)
class Response:
    """An answer. `size` is the length of the body, which need not be in memory."""

    status: HTTPStatus | int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()
    size: int = 0


def answered(content: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return an answer in JSON."""
    body = json.dumps(content).encode()
    return Response(status, {"Content-Type": "application/json; charset=UTF-8"}, (body,), len(body))


def nothing(status: HTTPStatus = HTTPStatus.NO_CONTENT, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer without a body."""
    return Response(status, headers or {})
