"""Which request means what: the JSON API of Cloud Storage, batches of it, and the paths of signed addresses.

Sources: https://cloud.google.com/storage/docs/json_api/v1, …/docs/batch, …/docs/access-control/signed-urls. Signatures
and tokens are not looked at.
"""

import re
import traceback
import uuid
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from localcloud.gcp.storage import resources
from localcloud.gcp.storage.conditions import Preconditions
from localcloud.gcp.storage.errors import StorageError, conflict, invalid, no_bucket, unimplemented
from localcloud.gcp.storage.listing import listed
from localcloud.gcp.storage.messages import Request, Response, answered, nothing
from localcloud.gcp.storage.objects import Objects
from localcloud.gcp.storage.store import Resource, Store
from localcloud.gcp.storage.uploads import Uploads, parts_of

MOST_BATCHED = 100
# the preconditions of signed addresses, which the JSON API has as parameters
_CONDITIONS = {
    "x-goog-if-generation-match": "ifGenerationMatch",
    "x-goog-if-metageneration-match": "ifMetagenerationMatch",
}
_ROUTES = (
    ("buckets", r"(?:/storage/v1)?/b"),
    ("bucket", r"(?:/storage/v1)?/b/([^/]+)"),
    ("objects", r"(?:/storage/v1)?/b/([^/]+)/o"),
    ("object", r"(?:/storage/v1)?/b/([^/]+)/o/([^/]+)"),
    ("copy", r"(?:/storage/v1)?/b/([^/]+)/o/([^/]+)/copyTo/b/([^/]+)/o/([^/]+)"),
    ("rewrite", r"(?:/storage/v1)?/b/([^/]+)/o/([^/]+)/rewriteTo/b/([^/]+)/o/([^/]+)"),
    ("compose", r"(?:/storage/v1)?/b/([^/]+)/o/([^/]+)/compose"),
    ("lists", r"(?:/storage/v1)?/b/([^/]+)/(?:o/[^/]+/|)(?:acl|defaultObjectAcl)(?:/.*)?"),
    ("upload", r"(?:/resumable)?/upload/storage/v1/b/([^/]+)/o"),
    ("download", r"/download/storage/v1/b/([^/]+)/o/([^/]+)"),
    ("batch", r"/batch(?:/storage/v1)?"),
    ("elsewhere", r"/(?:storage|upload|download|batch)/.*|(?:/storage/v1)?/b/.*"),
    ("signed", r"/([^/]+)/(.+)"),
)
# one look finds the route; its parts are read with the route's own expression
_PATHS = re.compile("|".join(f"(?P<{name}>{re.sub(r'[(](?![?])', '(?:', path)})" for name, path in _ROUTES))
_PARTS = {name: re.compile(path) for name, path in _ROUTES}
_Method = Callable[..., Response]


class Api:
    """Answers requests."""

    def __init__(self, store: Store) -> None:
        """Serve what a store keeps."""
        self._store = store
        self._objects = Objects(store)
        uploads = Uploads(store, self._objects)
        self._methods: dict[tuple[str, str], _Method] = {
            ("GET", "buckets"): self._list_buckets,
            ("POST", "buckets"): self._create_bucket,
            ("GET", "bucket"): self._get_bucket,
            ("PATCH", "bucket"): self._change_bucket,
            ("PUT", "bucket"): self._change_bucket,
            ("DELETE", "bucket"): self._delete_bucket,
            ("GET", "objects"): self._list_objects,
            ("POST", "objects"): uploads.insert,
            ("GET", "object"): self._objects.get,
            ("PATCH", "object"): self._objects.patch,
            ("PUT", "object"): self._objects.update,
            ("DELETE", "object"): self._objects.delete,
            ("POST", "copy"): self._objects.copy,
            ("POST", "rewrite"): self._objects.rewrite,
            ("POST", "compose"): self._objects.compose,
            ("POST", "upload"): uploads.insert,
            ("PUT", "upload"): lambda request, _: uploads.resume(request),
            ("DELETE", "upload"): lambda request, _: uploads.cancel(request),
            ("GET", "download"): self._objects.download,
            ("POST", "batch"): self._batch,
            ("GET", "signed"): _conditioned(self._objects.download),
            ("HEAD", "signed"): _conditioned(self._objects.download),
            ("PUT", "signed"): _conditioned(uploads.put),
        }

    def answer(self, request: Request) -> Response:
        """Answer a request, whatever becomes of it."""
        try:
            return self._answer(request)
        except StorageError as error:
            if error.status == HTTPStatus.NOT_MODIFIED:
                return nothing(HTTPStatus.NOT_MODIFIED)
            return answered(error.content(), error.status)
        except OSError:  # the client has gone
            raise
        except Exception as error:  # noqa: BLE001 - the last barrier before the client
            traceback.print_exc()
            message = f"localcloud: {type(error).__name__}: {error}"
            problem = StorageError(HTTPStatus.INTERNAL_SERVER_ERROR, "internalError", message)
            return answered(problem.content(), problem.status)

    def _answer(self, request: Request) -> Response:
        method = request.headers.get("x-http-method-override", request.method)
        kind = (found := _PATHS.fullmatch(request.path)) and found.lastgroup
        if kind == "lists":
            raise resources.no_access_lists()
        if any(header.startswith("x-goog-encryption") for header in request.headers):
            raise unimplemented("keys of the customer's own (x-goog-encryption-…)")
        if kind == "upload" and method == "POST" and "upload_id" in request.query:
            method = "PUT"  # some clients go on as they began
        carry_out = self._methods.get((method, str(kind)))
        if carry_out is None:
            raise unimplemented(f"{method} {request.path} of Cloud Storage")
        matched = _PARTS[str(kind)].fullmatch(request.path)
        assert matched is not None  # noqa: S101 - the path matched as a part of _PATHS
        return carry_out(request, *map(unquote, matched.groups()))

    def _bucket(self, request: Request, name: str) -> Resource:
        bucket = self._store.bucket(name)
        if bucket is None:
            raise no_bucket()
        Preconditions.of(request.query).check(bucket, reading=request.method == "GET")
        return bucket

    def _list_buckets(self, request: Request) -> Response:
        by_name = {bucket["name"]: bucket for bucket in self._store.buckets()}
        page = listed(request.query, lambda start, size: [name for name in by_name if name >= start][:size])
        shown = [resources.shown(by_name[name], request.address) for name in page.names]
        following = {"nextPageToken": page.following} if page.following else {}
        return answered({"kind": "storage#buckets", "items": shown, **following})

    def _create_bucket(self, request: Request) -> Response:
        sent = request.json()
        if "predefinedAcl" in request.query or "predefinedDefaultObjectAcl" in request.query:
            raise resources.no_access_lists()
        with self._store.changing():
            bucket = resources.new_bucket(sent, self._store.new_generation())
            if self._store.bucket(bucket["name"]) is not None:
                message = "Your previous request to create the named bucket succeeded and you already own it."
                raise conflict(message)
            self._store.write_bucket(bucket)
        return answered(resources.shown(bucket, request.address))

    def _get_bucket(self, request: Request, name: str) -> Response:
        return answered(resources.shown(self._bucket(request, name), request.address))

    def _change_bucket(self, request: Request, name: str) -> Response:
        sent = request.json()
        with self._store.changing():
            bucket = resources.described_bucket(self._bucket(request, name), sent)
            self._store.write_bucket(bucket)
        return answered(resources.shown(bucket, request.address))

    def _delete_bucket(self, request: Request, name: str) -> Response:
        with self._store.changing():
            self._bucket(request, name)
            if self._store.names(name, "", 1):
                message = "The bucket you tried to delete is not empty."
                raise conflict(message)
            self._store.delete_bucket(name)
        return nothing()

    def _list_objects(self, request: Request, bucket: str) -> Response:
        with self._store.changing():
            if self._store.bucket(bucket) is None:
                raise no_bucket()
            page = listed(request.query, lambda start, size: self._store.names(bucket, start, size))
            found = [self._objects.found(bucket, name).resource for name in page.names]
        content: dict[str, Any] = {"kind": "storage#objects"}
        if found:
            content["items"] = [resources.shown(resource, request.address) for resource in found]
        if page.prefixes:
            content["prefixes"] = page.prefixes
        if page.following:
            content["nextPageToken"] = page.following
        return answered(content)

    def _batch(self, request: Request) -> Response:
        boundary = request.headers.get("content-type", "").partition("boundary=")[2].strip("\"';")
        # some clients end lines with a line feed alone
        parts = parts_of(re.sub(rb"\r?\n", b"\r\n", request.read()), boundary)
        if not 1 <= len(parts) <= MOST_BATCHED:
            message = f"A batch must have 1 to {MOST_BATCHED} requests, got {len(parts)}."
            raise invalid(message)
        between = f"batch_{uuid.uuid4().hex}"
        body = b""
        for headers, data in parts:
            identity = headers.get("content-id", "<>").replace("<", "<response-", 1)
            body += f"--{between}\r\nContent-Type: application/http\r\nContent-ID: {identity}\r\n\r\n".encode()
            body += _written(self.answer(_nested(data, request)))
        body += f"--{between}--\r\n".encode()
        return Response(HTTPStatus.OK, {"Content-Type": f"multipart/mixed; boundary={between}"}, (body,), len(body))


def _conditioned(carry_out: _Method) -> _Method:
    """Return a method that takes preconditions in headers."""

    def method(request: Request, bucket: str, name: str) -> Response:
        found = {
            parameter: request.headers[header] for header, parameter in _CONDITIONS.items() if header in request.headers
        }
        return carry_out(replace(request, query={**request.query, **found}), bucket, name)

    return method


def _nested(data: bytes, around: Request) -> Request:
    """Return the request that a part of a batch is."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, *_ = [*first.split(" "), "", ""]
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    split = urlsplit(target)
    query = dict(parse_qsl(split.query, keep_blank_values=True))
    return Request(method, split.path, query, {"host": around.headers.get("host", ""), **headers}, (body,))


def _written(response: Response) -> bytes:
    status = HTTPStatus(response.status)
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    return (
        "\r\n".join([*lines, f"Content-Length: {response.size}", "", ""]).encode() + b"".join(response.body) + b"\r\n"
    )
