"""What can be done with objects that exist: read, describe, copy, compose, delete. `uploads` makes new ones.

Source: https://cloud.google.com/storage/docs/json_api/v1/objects. A precondition is checked and the change made while
nobody else can change anything, so that of many who create an object that must not exist yet, one does.
"""

import contextlib
import gzip
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, BinaryIO

from localcloud.gcp.storage import resources
from localcloud.gcp.storage.conditions import Preconditions, whole_number
from localcloud.gcp.storage.digests import Digests, chunks_of, written
from localcloud.gcp.storage.errors import StorageError, invalid, no_bucket, no_object
from localcloud.gcp.storage.messages import CHUNK, Request, Response, answered, nothing
from localcloud.gcp.storage.store import Resource, Store, StoredObject

_RANGE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# a token of RFC 9110, section 5.6.2
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
MOST_COMPOSED = 32


class Objects:
    """The methods on objects."""

    def __init__(self, store: Store) -> None:
        """Serve what a store keeps."""
        self._store = store

    def found(self, bucket: str, name: str, generation: int | None = None) -> StoredObject:
        """Return a live object, in a generation if one is given."""
        stored = self._store.object(bucket, name)
        if stored is None:
            raise no_object(bucket, name) if self._store.bucket(bucket) is not None else no_bucket()
        if generation not in {None, int(stored.resource["generation"])}:
            raise no_object(bucket, f"{name}#{generation}")
        return stored

    def _asked_for(self, request: Request, bucket: str, name: str, *, reading: bool = False) -> StoredObject:
        stored = self.found(bucket, name, whole_number(request.query, "generation"))
        Preconditions.of(request.query).check(stored.resource, reading=reading)
        return stored

    def get(self, request: Request, bucket: str, name: str) -> Response:
        """Describe an object, or answer its bytes where `alt=media` asks for them."""
        if request.query.get("alt") == "media":
            return self.download(request, bucket, name)
        stored = self._asked_for(request, bucket, name, reading=True)
        return answered(resources.shown(stored.resource, request.address))

    def download(self, request: Request, bucket: str, name: str) -> Response:
        """Answer an object's bytes, or a range of them."""
        with self._store.changing():
            stored = self._asked_for(request, bucket, name, reading=True)
            file = self._store.open_body(stored.body)
        resource, size = stored.resource, int(stored.resource["size"])
        headers = _headers(resource)
        if headers.get("Content-Encoding") == "gzip" and "gzip" not in request.headers.get("accept-encoding", ""):
            del headers["Content-Encoding"]
            with file:
                whole = gzip.decompress(file.read())
            return Response(HTTPStatus.OK, {**headers, "Warning": "214 UploadServer gunzipped"}, (whole,), len(whole))
        try:
            part = _part(request.headers.get("range"), size)
        except StorageError:
            file.close()
            raise
        if part is None:
            return Response(HTTPStatus.OK, headers, _read(file, 0, size), size)
        first, length = part
        headers["Content-Range"] = f"bytes {first}-{first + length - 1}/{size}"
        return Response(HTTPStatus.PARTIAL_CONTENT, headers, _read(file, first, length), length)

    def patch(self, request: Request, bucket: str, name: str) -> Response:
        """Change what is said of an object."""
        return self._describe(request, bucket, name, resources.patched)

    def update(self, request: Request, bucket: str, name: str) -> Response:
        """Say all anew of an object."""
        return self._describe(request, bucket, name, resources.replaced)

    def _describe(self, request: Request, bucket: str, name: str, change: Any) -> Response:
        sent = request.json()
        with self._store.changing():
            stored = self._asked_for(request, bucket, name)
            described = StoredObject(change(stored.resource, sent), stored.body)
            self._store.write_object(described)
        return answered(resources.shown(described.resource, request.address))

    def delete(self, request: Request, bucket: str, name: str) -> Response:
        """Remove an object."""
        with self._store.changing():
            self._store.delete_object(self._asked_for(request, bucket, name))
        return nothing()

    def copy(self, request: Request, bucket: str, name: str, to_bucket: str, to_name: str) -> Response:
        """Copy an object and describe the copy."""
        return answered(self._copied(request, bucket, name, to_bucket, to_name))

    def rewrite(self, request: Request, bucket: str, name: str, to_bucket: str, to_name: str) -> Response:
        """Copy an object, always in one call."""
        copied = self._copied(request, bucket, name, to_bucket, to_name)
        size = copied["size"]
        done = {"kind": "storage#rewriteResponse", "totalBytesRewritten": size, "objectSize": size, "done": True}
        return answered({**done, "resource": copied})

    def _copied(self, request: Request, bucket: str, name: str, to_bucket: str, to_name: str) -> Resource:
        sent = request.json()
        resources.check_object(to_name, sent)
        with self._store.changing():
            source = self.found(bucket, name, whole_number(request.query, "sourceGeneration"))
            Preconditions.of(request.query, "ifSource").check(source.resource)
            # what a request says of the copy replaces all that is said of the source
            said = sent or resources.said_of(source.resource)
            kept: Resource = {
                field: source.resource[field] for field in ("crc32c", "md5Hash") if field in source.resource
            }
            size = int(source.resource["size"])
            copied = self.place(request.query, to_bucket, to_name, said, size, kept, source.body)
        return resources.shown(copied, request.address)

    def compose(self, request: Request, bucket: str, name: str) -> Response:
        """Join objects into one, which has no MD5."""
        sent = request.json()
        said, sources = sent.get("destination") or {}, sent.get("sourceObjects") or []
        resources.check_object(name, said)
        if not 1 <= len(sources) <= MOST_COMPOSED:
            message = f"The number of source components provided ({len(sources)}) must be 1 to {MOST_COMPOSED}."
            raise invalid(message)
        body, file = self._store.new_body()
        try:
            with contextlib.ExitStack() as opened, file:
                with self._store.changing():
                    parts = [self._component(bucket, source) for source in sources]
                    files = [opened.enter_context(self._store.open_body(part.body)) for part in parts]
                digests = written((chunk for part in files for chunk in chunks_of(part)), file)
            kept = {"crc32c": digests.fields()["crc32c"], "componentCount": len(parts)}
            said = {"contentType": parts[0].resource.get("contentType"), **said}
            composed = self.place(request.query, bucket, name, said, digests.size, kept, body)
        except StorageError:
            self._store.drop_body(body)
            raise
        return answered(resources.shown(composed, request.address))

    def _component(self, bucket: str, source: Mapping[str, Any]) -> StoredObject:
        generation = source.get("generation")
        stored = self.found(bucket, str(source.get("name", "")), int(generation) if generation else None)
        expected = (source.get("objectPreconditions") or {}).get("ifGenerationMatch")
        Preconditions(generation=int(expected) if expected is not None else None).check(stored.resource)
        return stored

    def place(
        self,
        query: Mapping[str, str],
        bucket: str,
        name: str,
        said: Mapping[str, Any],
        size: int,
        kept: Mapping[str, Any],
        body: str,
    ) -> Resource:
        """Make an object appear, or replace one, if the request's preconditions hold; return its resource.

        Args:
            query: The request's parameters.
            bucket: Where it belongs.
            name: Its name.
            said: What the client says of it.
            size: Its bytes.
            kept: What is known of its bytes.
            body: The file of its bytes, which is the object's from now on.
        """
        with self._store.changing():
            if self._store.bucket(bucket) is None:
                raise no_bucket()
            before = self._store.object(bucket, name)
            Preconditions.of(query).check(before.resource if before else None)
            generation = self._store.new_generation()
            resource = resources.new_object(bucket, name, said, generation=generation, size=size)
            resource |= kept
            self._store.write_object(StoredObject(resource, body))
        return resource


def _headers(resource: Resource) -> dict[str, str]:
    checksums = (("crc32c", "crc32c"), ("md5", "md5Hash"))
    digests = [f"{name}={resource[field]}" for name, field in checksums if field in resource]
    shown = {
        "Content-Type": resource.get("contentType"),
        "Content-Encoding": resource.get("contentEncoding"),
        "Content-Disposition": resource.get("contentDisposition"),
        "Content-Language": resource.get("contentLanguage"),
        "Cache-Control": resource.get("cacheControl"),
        "ETag": f'"{resource["generation"]}"',
        "X-Goog-Generation": resource["generation"],
        "X-Goog-Metageneration": resource["metageneration"],
        "X-Goog-Storage-Class": resource["storageClass"],
        "X-Goog-Stored-Content-Length": resource["size"],
        "X-Goog-Stored-Content-Encoding": resource.get("contentEncoding", "identity"),
        "X-Goog-Hash": ",".join(digests),
    }
    custom = {f"x-goog-meta-{key}": value for key, value in resource.get("metadata", {}).items()}
    # what is said of an object is a client's, and may not end its header
    return {name: _CONTROL.sub(" ", value) for name, value in {**shown, **custom}.items() if _is_sent(name, value)}


def _is_sent(name: str, value: object) -> bool:
    return isinstance(value, str) and _HEADER.fullmatch(name) is not None


def _part(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the number of bytes that a Range header asks for; None for all of them."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not (found["first"] or found["last"]):
        return None
    if not found["first"]:
        first = max(size - int(found["last"]), 0)
        last = size - 1
    else:
        first = int(found["first"])
        last = min(int(found["last"]), size - 1) if found["last"] else size - 1
    if first >= size or last < first:
        message = "The requested range cannot be satisfied."
        raise StorageError(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "requestedRangeNotSatisfiable", message)
    return first, last - first + 1


def _read(file: BinaryIO, first: int, length: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        while length > 0 and (chunk := file.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk


def digested(file: BinaryIO) -> Digests:
    """Return the checksums of a file."""
    digests = Digests()
    with file:
        for chunk in chunks_of(file):
            digests.add(chunk)
    return digests
