"""Buckets and objects as the JSON API shows them: what a client may say of them, and what the server adds.

Sources: https://cloud.google.com/storage/docs/json_api/v1/buckets and …/objects. Every bucket has uniform bucket-level
access, soft delete off and no versions; a request that wants anything else of it is refused, not half-done.
"""

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from localcloud.gcp.clients import PROJECT_NUMBER
from localcloud.gcp.storage.errors import StorageError, invalid, unimplemented
from localcloud.gcp.storage.store import Resource

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_LONGEST_NAME = 1024  # bytes of an object's name in UTF-8
# what a client may say of an object; all are kept and shown again
_OBJECT_FIELDS = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
    "metadata",
    "storageClass",
)
_BUCKET_FIELDS = ("labels", "location", "storageClass", "iamConfiguration", "cors")
# what may be said of a bucket because it is so anyway, or changes nothing here
_IDLE_BUCKET_FIELDS = frozenset(
    {"name", "kind", "id", "projectNumber", "timeCreated", "updated", "locationType", "etag"}
)
_OFF: Mapping[str, Any] = {
    "versioning": {"enabled": False},
    "softDeletePolicy": {"retentionDurationSeconds": "0"},
    "acl": [],
    "defaultObjectAcl": [],
    "defaultEventBasedHold": False,
}


def timestamp() -> str:
    """Return the time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def new_bucket(sent: Mapping[str, Any], generation: int) -> Resource:
    """Return the resource of a bucket that is to be created."""
    name = sent.get("name", "")
    if not isinstance(name, str) or not _BUCKET_NAME.fullmatch(name) or ".." in name or name.startswith("goog"):
        message = (
            f"Invalid bucket name: '{name}'. It must be 3 to 63 lower-case letters, digits, hyphens, underscores and "
            "dots, and begin and end with a letter or a digit."
        )
        raise invalid(message)
    now = timestamp()
    bucket: Resource = {
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "projectNumber": PROJECT_NUMBER,
        "generation": str(generation),
        "metageneration": "0",
        "location": "US",
        "locationType": "multi-region",
        "storageClass": "STANDARD",
        "timeCreated": now,
        "softDeletePolicy": {"retentionDurationSeconds": "0"},
    }
    described = described_bucket(bucket, sent)
    region = described["location"].upper()
    described |= {"location": region, "locationType": "multi-region" if region in {"US", "EU", "ASIA"} else "region"}
    return described


def described_bucket(bucket: Resource, sent: Mapping[str, Any]) -> Resource:
    """Return a bucket's resource with what a client says of it; null takes a field away."""
    for field, value in sent.items():
        known = field in _BUCKET_FIELDS or field in _IDLE_BUCKET_FIELDS or value is None
        if not known and _OFF.get(field) != value and not (field in _OFF and not value):
            what = f"a bucket's {field} (got {value!r}); leave it out"
            raise unimplemented(what)
    changed = {**bucket, **{field: sent[field] for field in _BUCKET_FIELDS if field in sent}}
    if isinstance(labels := sent.get("labels"), dict):
        changed["labels"] = _merged(bucket.get("labels"), labels)
    access = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"}
    changed |= {"iamConfiguration": access, "updated": timestamp()}
    changed["metageneration"] = str(int(bucket["metageneration"]) + 1)
    return {field: value for field, value in changed.items() if value not in (None, {})}


def new_object(bucket: str, name: str, said: Mapping[str, Any], *, generation: int, size: int) -> Resource:
    """Return the resource of an object whose bytes have arrived; digests are the caller's."""
    now = timestamp()
    resource: Resource = {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "generation": str(generation),
        "metageneration": "1",
        "contentType": "application/octet-stream",
        "storageClass": "STANDARD",
        "size": str(size),
        "timeCreated": now,
        "updated": now,
        "timeFinalized": now,
        "timeStorageClassUpdated": now,
    }
    resource |= {field: said[field] for field in _OBJECT_FIELDS if said.get(field) not in (None, {}, "")}
    return resource


def check_object(name: object, said: Mapping[str, Any]) -> None:
    """Refuse a name that no object may have, and what cannot be said of an object here."""
    if not isinstance(name, str) or not name:
        message = "Required parameter: name"
        raise StorageError(HTTPStatus.BAD_REQUEST, "required", message)
    if len(name.encode()) > _LONGEST_NAME or "\r" in name or "\n" in name or name in {".", ".."}:
        message = f"Invalid object name {name[:80]!r}: at most {_LONGEST_NAME} bytes of UTF-8 without line breaks."
        raise invalid(message)
    if said.get("acl"):
        raise no_access_lists()
    for field in ("eventBasedHold", "temporaryHold", "retention", "kmsKeyName"):
        if said.get(field):
            raise unimplemented(f"an object's {field}")


def no_access_lists() -> StorageError:
    """Lists of access do not exist in a bucket with uniform access."""
    message = (
        "Cannot use ACL API to update bucket policy when uniform bucket-level access is enabled. Read more at "
        "https://cloud.google.com/storage/docs/uniform-bucket-level-access"
    )
    return invalid(message)


def patched(resource: Resource, sent: Mapping[str, Any]) -> Resource:
    """Return an object's resource with the fields that a client sent; null takes one away."""
    check_object(resource["name"], sent)
    changed = {**resource, **{field: sent[field] for field in _OBJECT_FIELDS if field in sent}}
    if isinstance(metadata := sent.get("metadata"), dict):
        changed["metadata"] = _merged(resource.get("metadata"), metadata)
    return _touched(changed)


def replaced(resource: Resource, sent: Mapping[str, Any]) -> Resource:
    """Return an object's resource with nothing said of it but what a client sent."""
    check_object(resource["name"], sent)
    kept = {field: value for field, value in resource.items() if field not in _OBJECT_FIELDS}
    return _touched({**kept, "storageClass": "STANDARD", **{field: sent.get(field) for field in _OBJECT_FIELDS}})


def said_of(resource: Mapping[str, Any]) -> Resource:
    """Return what was said of an object, for a copy of it."""
    return {field: resource[field] for field in _OBJECT_FIELDS if field in resource}


def shown(resource: Mapping[str, Any], address: str) -> Resource:
    """Return a resource with its links and its etag; `address` is where the client found this server."""
    bucket, name = resource.get("bucket"), quote(resource["name"], safe="")
    etag = base64.b64encode(f"{resource.get('generation', 0)}/{resource['metageneration']}".encode()).decode()
    if bucket is None:
        return {**resource, "etag": etag, "selfLink": f"{address}/storage/v1/b/{name}"}
    path, generation = f"storage/v1/b/{bucket}/o/{name}", resource["generation"]
    return {
        **resource,
        "id": f"{bucket}/{resource['name']}/{generation}",
        "etag": etag,
        "selfLink": f"{address}/{path}",
        "mediaLink": f"{address}/download/{path}?generation={generation}&alt=media",
    }


def _touched(resource: Mapping[str, Any]) -> Resource:
    changed = {**resource, "metageneration": str(int(resource["metageneration"]) + 1), "updated": timestamp()}
    return {field: value for field, value in changed.items() if value not in (None, {})}


def _merged(before: Mapping[str, str] | None, sent: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in {**(before or {}), **sent}.items() if value is not None}
