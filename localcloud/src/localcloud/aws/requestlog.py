"""Writes one line per AWS request: who asked for what, and the status of the answer. Never a body, never a value.

A body is looked into only for the operation of the query protocol, the SecretId of Secrets Manager and the resource
name of SageMaker.
"""

import io
import json
import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_APPLICATION = re.compile(r"(?:^| )app/(\S+)")
_FORM = "application/x-www-form-urlencoded"
# S3's operations have no name in the request; these are told by method and depth of the path, others by subresource.
_S3_OBJECT = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
_S3_BUCKET = {"GET": "ListObjects", "PUT": "CreateBucket", "HEAD": "HeadBucket", "DELETE": "DeleteBucket"}
_S3_SUBRESOURCES = ("uploads", "uploadId", "delete", "versioning", "tagging", "acl", "policy", "location")


class RequestLog:
    """WSGI middleware that appends to a JSON-lines file."""

    def __init__(self, application: "WSGIApplication", path: Path) -> None:
        """Wrap `application`."""
        self._application = application
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass the request on and log it when the answer's status is known."""
        entry = describe(environ)
        environ["localcloud.request"] = entry

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            self._write({**entry, "status": int(status.split(" ", 1)[0])})
            return start_response(status, headers, *rest)

        return self._application(environ, start)

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry)
        with self._lock:
            self._file.write(f"{line}\n")


def describe(environ: "WSGIEnvironment") -> dict[str, Any]:
    """Return what is logged of a request."""
    scope = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if scope is None and "X-Amz-Credential" in query:  # a presigned address
        scope = _CREDENTIAL.search(f"Credential={query['X-Amz-Credential'][0]}")
    service = scope["service"] if scope else None
    application = _APPLICATION.search(environ.get("HTTP_USER_AGENT", ""))
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "service": service,
        "operation": _operation(environ, service, query),
        "region": scope["region"] if scope else None,
        "app": application[1] if application else None,
        **_resource(environ, service),
    }


def _operation(environ: "WSGIEnvironment", service: str | None, query: dict[str, list[str]]) -> str:
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return str(target).rsplit(".", 1)[-1]
    if environ.get("CONTENT_TYPE", "").startswith(_FORM):
        query = query | parse_qs(_body(environ).decode(errors="replace"))
    if "Action" in query:
        return query["Action"][0]
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")
    return _s3_operation(environ, method, path, query) if service == "s3" else f"{method} {path}"


def _s3_operation(environ: "WSGIEnvironment", method: str, path: str, query: dict[str, list[str]]) -> str:
    subresource = next((name for name in _S3_SUBRESOURCES if name in query), None)
    _, _, key = path.strip("/").partition("/")
    if subresource is not None:
        return f"{method} {'object' if key else 'bucket'}?{subresource}"
    if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return "CopyObject"
    if key:
        return _S3_OBJECT.get(method, f"{method} object")
    if path.strip("/") == "":
        return "ListBuckets"
    return "ListObjectsV2" if "list-type" in query else _S3_BUCKET.get(method, f"{method} bucket")


def _resource(environ: "WSGIEnvironment", service: str | None) -> dict[str, str]:
    if service not in {"secretsmanager", "sagemaker"}:
        return {}
    try:
        request = json.loads(_body(environ))
    except ValueError:
        return {}
    if not isinstance(request, dict):
        return {}
    if service == "secretsmanager":
        found = request.get("SecretId") or request.get("Name")
        return {"secret_id": str(found)} if found else {}
    # the resource a request is about comes first in botocore's requests: TrainingJobName, ModelName, …
    named = next((value for field, value in request.items() if field.endswith("Name") and isinstance(value, str)), None)
    return {"resource": named} if named else {}


def _body(environ: "WSGIEnvironment") -> bytes:
    """Return the body and put it back for the application."""
    try:
        size = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return b""
    body: bytes = environ["wsgi.input"].read(size)
    environ["wsgi.input"] = io.BytesIO(body)
    return body
