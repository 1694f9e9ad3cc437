"""The lake: where each kind of object lies in its bucket, and how one is read or written whole.

How it works: a Lake holds an S3 client that the caller opened and the lake's root URI. An S3 object appears whole or
not at all, so a single object needs no further care; what consists of several objects is a snapshot
(``include.core.snapshots``) whose manifest comes last.

What it does not do: open connections (``include.connections``), know what a file means.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from include.core.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

    from include.core.months import Month

_MISSING = {"404", "NoSuchKey", "NotFound"}
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


def raw_prefix(source: str, month: Month) -> str:
    """Folder of a month of a source that kept its contract."""
    return f"raw/{source}/month={month}"


def quarantine_prefix(source: str, month: Month) -> str:
    """Folder of a month of a source as it arrived, when it broke its contract."""
    return f"quarantine/{source}/month={month}"


def features_prefix(model: str, month: Month) -> str:
    """Folder of a month's feature snapshot."""
    return f"features/{model}/month={month}"


def predictions_prefix(model: str, month: Month) -> str:
    """Folder of a month's predictions."""
    return f"predictions/{model}/month={month}"


def datasets_prefix(model: str) -> str:
    """Folder of the S3 manifests that say which files a job reads."""
    return f"datasets/{model}"


def code_prefix(model: str, digest: str) -> str:
    """Folder of one state of a model's code."""
    return f"code/{model}/{digest[:16]}"


def promotions_prefix(model: str) -> str:
    """Folder of a model's promotion records."""
    return f"registry/{model}/promotions"


def monitoring_prefix(model: str) -> str:
    """Folder of what was measured of a model and decided from it."""
    return f"monitoring/{model}"


def jobs_prefix(model: str) -> str:
    """Folder under which a model's cloud jobs write."""
    return f"jobs/{model}"


def split_uri(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/some/key`` into bucket and key (which may be empty).

    Raises:
        ValueError: ``uri`` is not an S3 URI.
    """
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if (scheme, separator) != ("s3", "://") or not bucket:
        message = f"an object's address is written s3://bucket/key; {uri!r} is not"
        raise ValueError(message)
    return bucket, key


class Lake:
    """Objects below one S3 URI.

    Args:
        client: A boto3 S3 client.
        uri: The root, for example ``s3://flightdeck-lake``.
    """

    def __init__(self, client: S3Client, uri: str) -> None:
        self.client = client
        self.root = uri.rstrip("/")
        self.bucket, self._base = split_uri(self.root)

    def uri(self, key: str) -> str:
        """Return the address of ``key``."""
        return f"{self.root}/{key}"

    def key(self, uri: str) -> str:
        """Return the key of an address in this lake.

        Raises:
            ValueError: the address lies outside this lake.
        """
        if not uri.startswith(f"{self.root}/"):
            message = f"{uri!r} does not lie in the lake {self.root!r}"
            raise ValueError(message)
        return uri[len(self.root) + 1 :]

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys below ``prefix``, sorted."""
        base = self._full("")
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self._full(prefix))
        for page in pages:
            for entry in page.get("Contents", []):
                yield entry["Key"][len(base) :]

    def address(self, key: str) -> tuple[str, str]:
        """Return bucket and full key of ``key``."""
        return self.bucket, self._full(key)

    def size(self, key: str) -> int | None:
        """Return an object's size in bytes, None when there is no such object."""
        head = self._head(key)
        return None if head is None else head["ContentLength"]

    def modified(self, key: str) -> datetime | None:
        """Return when an object was last written, None when there is no such object."""
        head = self._head(key)
        return None if head is None else head["LastModified"]

    def read_bytes(self, key: str) -> bytes | None:
        """Return an object's content, None when there is no such object."""
        try:
            return self.client.get_object(Bucket=self.bucket, Key=self._full(key))["Body"].read()
        except self.client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise

    def read_json(self, key: str) -> Any:
        """Return an object parsed as JSON, None when there is no such object."""
        content = self.read_bytes(key)
        return None if content is None else json.loads(content)

    def write_bytes(self, key: str, content: bytes) -> None:
        """Create or replace an object."""
        self.client.put_object(Bucket=self.bucket, Key=self._full(key), Body=content)

    def write_json(self, key: str, value: Any) -> None:
        """Create or replace an object by ``value`` as JSON."""
        self.write_bytes(key, _as_json(value))

    def create_json(self, key: str, value: Any) -> bool:
        """Create an object by ``value`` as JSON; return False, changing nothing, when it exists (If-None-Match)."""
        try:
            self.client.put_object(Bucket=self.bucket, Key=self._full(key), Body=_as_json(value), IfNoneMatch="*")
        except self.client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _TAKEN:
                return False
            raise
        return True

    def upload(self, path: Path, key: str) -> None:
        """Create or replace an object by a file's content."""
        self.client.upload_file(str(path), self.bucket, self._full(key))

    def download(self, key: str, path: Path, *, sha256: str | None = None) -> Path:
        """Write an object to ``path`` (its folder is made) and return ``path``.

        Raises:
            ArtifactError: there is no such object, or its digest is not ``sha256``.
        """
        content = self.read_bytes(key)
        if content is None:
            raise ArtifactError(
                self.uri(key),
                "there is no such object",
                rule="what a manifest or record names exists",
                remedy="run again the DAG that writes it",
            )
        found = hashlib.sha256(content).hexdigest()
        if sha256 is not None and found != sha256:
            raise ArtifactError(
                self.uri(key),
                f"its content has SHA-256 {found}",
                rule=f"it is the object that was recorded, SHA-256 {sha256}",
                remedy="restore the object from its bucket's versions, or run again the DAG that writes it",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def _head(self, key: str) -> HeadObjectOutputTypeDef | None:
        try:
            return self.client.head_object(Bucket=self.bucket, Key=self._full(key))
        except self.client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise

    def _full(self, key: str) -> str:
        return f"{self._base}/{key}" if self._base else key


def _as_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
