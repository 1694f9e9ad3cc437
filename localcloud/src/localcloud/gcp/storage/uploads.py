"""New objects: their bytes in one request (`media`, `multipart`), or in several (`resumable`).

Source: https://cloud.google.com/storage/docs/uploads-downloads. An upload that takes several requests outlives a
restart: its bytes so far and what was asked for at its beginning are kept.
"""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from localcloud.gcp.storage import resources
from localcloud.gcp.storage.conditions import Preconditions
from localcloud.gcp.storage.digests import Digests, hash_header, written
from localcloud.gcp.storage.errors import StorageError, invalid, no_bucket
from localcloud.gcp.storage.messages import Request, Response, answered, nothing, parsed_object
from localcloud.gcp.storage.objects import Objects, digested
from localcloud.gcp.storage.store import Resource, Store, Upload

RESUME_INCOMPLETE = 308
CLIENT_CLOSED = 499
_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-(?P<last>\d+|\*)|\*)/(?P<total>\d+|\*)")
_BOUNDARY = re.compile(r"""boundary=(?:"([^"]+)"|'([^']+)'|([^;\s]+))""", re.IGNORECASE)


class Uploads:
    """The methods that make objects."""

    def __init__(self, store: Store, objects: Objects) -> None:
        """Make objects in a store."""
        self._store, self._objects = store, objects

    def insert(self, request: Request, bucket: str) -> Response:
        """Answer `POST …/o`: an object, or the address that its bytes have to be sent to."""
        if self._store.bucket(bucket) is None:
            raise no_bucket()
        if "predefinedAcl" in request.query:
            raise resources.no_access_lists()
        kinds = {"media": self._media, "multipart": self._multipart, "resumable": self._begin}
        kind = request.query.get("uploadType", "media")
        if kind not in kinds:
            message = f"Invalid uploadType {kind!r}: it must be one of {', '.join(kinds)}."
            raise invalid(message)
        return kinds[kind](request, bucket)

    def _media(self, request: Request, bucket: str) -> Response:
        said = {"contentType": request.headers.get("content-type")}
        said["contentEncoding"] = request.query.get("contentEncoding") or request.headers.get("content-encoding")
        made = self._made(request, bucket, request.query.get("name"), said, request.body)
        return answered(resources.shown(made, request.address))

    def put(self, request: Request, bucket: str, name: str) -> Response:
        """Answer the PUT of a signed address: an object of the request's body."""
        said = {"contentType": request.headers.get("content-type")}
        made = self._made(request, bucket, name, said, request.body)
        return nothing(HTTPStatus.OK, {"ETag": f'"{made["generation"]}"', "X-Goog-Generation": made["generation"]})

    def _multipart(self, request: Request, bucket: str) -> Response:
        (_, described), (headers, data) = _two_parts(request)
        sent = parsed_object(described)
        said = {"contentType": headers.get("content-type"), **{key: value for key, value in sent.items() if value}}
        made = self._made(request, bucket, request.query.get("name") or sent.get("name"), said, (data,))
        return answered(resources.shown(made, request.address))

    def _made(self, request: Request, bucket: str, name: Any, said: Mapping[str, Any], body: Any) -> Resource:
        resources.check_object(name, said)
        place, file = self._store.new_body()
        try:
            with file:
                digests = written(body, file)
            digests.check({**hash_header(request.headers.get("x-goog-hash")), **said})
            return self._objects.place(request.query, bucket, name, said, digests.size, digests.fields(), place)
        except BaseException:
            self._store.drop_body(place)
            raise

    # An upload in several requests: https://cloud.google.com/storage/docs/performing-resumable-uploads

    def _begin(self, request: Request, bucket: str) -> Response:
        sent = request.json()
        name = request.query.get("name") or sent.get("name")
        resources.check_object(name, sent)
        said = {"contentType": request.headers.get("x-upload-content-type"), **sent, "name": name}
        conditions = {key: value for key, value in request.query.items() if key.startswith("if")}
        current = self._store.object(bucket, str(name))
        Preconditions.of(conditions).check(current.resource if current else None)
        identity = self._store.begin_upload(bucket, {"said": said, "query": conditions})
        place = f"{request.address}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={identity}"
        return nothing(HTTPStatus.OK, {"Location": place, "X-GUploader-UploadID": identity})

    def resume(self, request: Request) -> Response:
        """Answer a PUT of more bytes, or the question how many have arrived."""
        upload = self._begun(request)
        found = _RANGE.fullmatch(request.headers.get("content-range", "").strip())
        with self._store.open_body(upload.body, appending=True) as file:
            received = file.tell()
            if found is None or found["first"] is not None:
                first = int(found["first"]) if found else 0
                if first > received:
                    message = f"Invalid request: bytes from {first} on came where {received} had arrived."
                    raise StorageError(HTTPStatus.SERVICE_UNAVAILABLE, "backendError", message)
                # bytes that came before, whose answer was lost, come again
                written(_after(request, received - first), file)
                received = file.tell()
        total = received if found is None else None if found["total"] == "*" else int(found["total"])
        if found is not None and found["last"] == "*":
            total = received
        if total is None or received < total:
            arrived = {"Range": f"bytes=0-{received - 1}"} if received else {}
            return Response(RESUME_INCOMPLETE, {**arrived, "X-GUploader-UploadID": upload.identity})
        return self._finish(request, upload, digested(self._store.open_body(upload.body)), total)

    def _finish(self, request: Request, upload: Upload, digests: Digests, total: int) -> Response:
        said, query = upload.request["said"], upload.request["query"]
        try:
            if digests.size != total:
                message = f"Invalid request: {digests.size} bytes arrived of an object of {total}."
                raise invalid(message)
            digests.check({**hash_header(request.headers.get("x-goog-hash")), **said})
            with self._store.changing():
                made = self._objects.place(
                    query, upload.bucket, said["name"], said, digests.size, digests.fields(), upload.body
                )
                self._store.finish_upload(upload)
        except StorageError:
            self._store.delete_upload(upload.identity)
            raise
        return answered(resources.shown(made, request.address))

    def cancel(self, request: Request) -> Response:
        """Answer a DELETE of an upload."""
        self._store.delete_upload(self._begun(request).identity)
        return Response(CLIENT_CLOSED)

    def _begun(self, request: Request) -> Upload:
        identity = request.query.get("upload_id", "")
        upload = self._store.upload(identity)
        if upload is None:
            message = f"No such upload: {identity!r}. It has ended, or never begun; begin it again."
            raise StorageError(HTTPStatus.NOT_FOUND, "notFound", message)
        return upload


def _after(request: Request, skipped: int) -> Iterator[bytes]:
    """Return a request's body without its first bytes."""
    for chunk in request.body:
        yield chunk[skipped:]
        skipped = max(skipped - len(chunk), 0)


def _two_parts(request: Request) -> list[tuple[dict[str, str], bytes]]:
    """Return headers and bytes of the two parts of a multipart body."""
    boundary = _BOUNDARY.search(request.headers.get("content-type", ""))
    parts = parts_of(request.read(), next(filter(None, boundary.groups()))) if boundary else []
    if len(parts) != 2:  # noqa: PLR2004 - what describes the object, and its bytes
        message = f"Invalid multipart request: it must have 2 parts, the resource and the bytes, got {len(parts)}."
        raise invalid(message)
    return parts


def parts_of(body: bytes, boundary: str) -> list[tuple[dict[str, str], bytes]]:
    """Return headers and bytes of each part of a multipart body (RFC 2046, section 5.1.1)."""
    found = []
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        if piece.startswith(b"--"):
            break
        head, _, data = piece.partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n") if ":" in line)
        found.append(({name.strip().lower(): value.strip() for name, _, value in lines}, data))
    return found
