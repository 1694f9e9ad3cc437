"""Moves data between Cloud Storage and folders, through google-cloud-storage, and says so when it cannot.

Objects are written whole: the last step of an upload is the one request that makes the object.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import requests
from google.api_core.exceptions import GoogleAPIError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError

_BROKEN = (GoogleAPIError, GoogleAuthError, requests.RequestException, OSError, ValueError)


class ObjectError(Exception):
    """Cloud Storage does not have it, or refuses it. The message names the address."""


class MissingError(ObjectError):
    """There is no such object or bucket."""


@dataclass(frozen=True)
class StoredObject:
    """One object. `generation` changes whenever it is written."""

    bucket: str
    key: str
    generation: int

    @property
    def uri(self) -> str:
        """The object's address."""
        return f"gs://{self.bucket}/{self.key}"


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of a `gs://` address.

    Raises:
        ObjectError: It is none.
    """
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "gs" or not separator or not bucket:
        raise ObjectError(f"{uri!r} is not an address of Cloud Storage (gs://bucket/object)")
    return bucket, key


class ObjectStore:
    """Cloud Storage at `endpoint`, as jobs need it."""

    def __init__(self, endpoint: str, project: str) -> None:
        """Connect to nothing yet."""
        from google.cloud.storage import Client  # noqa: PLC0415 - 30 MB, when the first job needs it

        self._client: Any = Client(
            project=project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": endpoint},
        )

    def has_bucket(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        try:
            return bool(self._client.bucket(bucket).exists())
        except _BROKEN as error:
            raise _failed(f"gs://{bucket}", error) from error

    def under(self, uri: str) -> list[StoredObject]:
        """Return the objects whose name starts with the address's; folder markers are left out."""
        try:
            return list(self._iterate(uri))
        except _BROKEN as error:
            raise _failed(uri, error) from error

    def matching(self, pattern: str) -> list[StoredObject]:
        """Return the objects that an address with `*` for anything matches, by name; itself where it has none."""
        before = pattern.partition("*")[0]
        bucket, wanted = split_uri(pattern)
        return [item for item in self.under(before) if _matches(item.key, wanted) and item.bucket == bucket]

    def read(self, uri: str) -> bytes:
        """Return an object's bytes."""
        bucket, key = split_uri(uri)
        try:
            body: bytes = self._client.bucket(bucket).blob(key).download_as_bytes()
        except _BROKEN as error:
            raise _failed(uri, error) from error
        return body

    def fetch(self, uri: str, path: Path) -> None:
        """Write an object to a file, whose folder is made if there is none."""
        bucket, key = split_uri(uri)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                self._client.bucket(bucket).blob(key).download_to_file(file)
        except _BROKEN as error:
            raise _failed(uri, error) from error

    def fetch_under(self, uri: str, folder: Path) -> list[Path]:
        """Write everything below a prefix to files below `folder`, at their paths relative to the prefix."""
        top, made = uri.rstrip("/") + "/", []
        for item in self.under(top):
            relative = PurePosixPath(item.uri.removeprefix(top))
            if ".." in relative.parts:
                raise ObjectError(f"{item.uri}: its name leaves the folder that it is fetched to")
            made.append(folder / relative)
            self.fetch(item.uri, made[-1])
        return made

    def write(self, uri: str, body: bytes) -> None:
        """Write an object."""
        bucket, key = split_uri(uri)
        try:
            self._client.bucket(bucket).blob(key).upload_from_file(io.BytesIO(body), size=len(body))
        except _BROKEN as error:
            raise _failed(uri, error) from error

    def store(self, path: Path, uri: str) -> None:
        """Write a file as an object.

        Raises:
            FileNotFoundError: The file is gone.
            ObjectError: Cloud Storage refuses it.
        """
        bucket, key = split_uri(uri)
        with path.open("rb") as body:
            try:
                self._client.bucket(bucket).blob(key).upload_from_file(body)
            except _BROKEN as error:
                raise _failed(uri, error) from error

    def delete(self, uri: str) -> None:
        """Delete an object; nothing happens when there is none."""
        bucket, key = split_uri(uri)
        try:
            self._client.bucket(bucket).blob(key).delete()
        except NotFound:
            return
        except _BROKEN as error:
            raise _failed(uri, error) from error

    def _iterate(self, uri: str) -> Iterator[StoredObject]:
        bucket, prefix = split_uri(uri)
        for blob in self._client.list_blobs(bucket, prefix=prefix):
            if not blob.name.endswith("/"):
                yield StoredObject(bucket, blob.name, int(blob.generation or 0))


def _matches(key: str, wanted: str) -> bool:
    parts = wanted.split("*")
    if len(parts) == 1:
        return key == wanted
    place = len(parts[0])
    for part in parts[1:-1]:
        place = key.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return key.startswith(parts[0]) and key.endswith(parts[-1]) and len(key) - len(parts[-1]) >= place


def _failed(uri: str, error: Exception) -> ObjectError:
    if isinstance(error, NotFound):
        return MissingError(f"{uri}: no such object or bucket")
    return ObjectError(f"{uri}: {type(error).__name__}: {error}")
