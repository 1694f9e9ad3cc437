"""Moves data between S3 and a job's folders, and says so in AWS's words when it cannot.

Speaks S3 through boto3 only, so that versions, notifications and whatever else moto's S3 does stay true. Objects are
written whole: the last step of an upload is the one put.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from localcloud.aws.sagemaker.jobs.failures import JobFailedError
from localcloud.engine.archives import ArchiveError, pack, unpack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class StoredObject:
    """One object and where it belongs below the folder that its prefix is fetched to."""

    bucket: str
    key: str
    relative: str

    @property
    def uri(self) -> str:
        """The object's address."""
        return f"s3://{self.bucket}/{self.key}"


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an `s3://` address."""
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not separator or not bucket:
        message = f"ClientError: {uri!r} is not an S3 address (s3://bucket/key)"
        raise JobFailedError(message)
    return bucket, key


def relative_path(key: str, prefix: str) -> str:
    """Return the path of `key` below a folder that `prefix` is fetched to: what follows the prefix's last `/`."""
    if prefix and key.startswith(prefix.rstrip("/") + "/"):
        return key[len(prefix.rstrip("/")) + 1 :]
    return key[prefix.rfind("/") + 1 :]


class ObjectStore:
    """S3, as a job needs it."""

    def __init__(self, client: "S3Client") -> None:
        """Use `client` for everything."""
        self._client = client

    def under(self, uri: str) -> list[StoredObject]:
        """Return the objects whose key starts with the address's key; folder markers are left out."""
        return list(self._iterate(uri))

    def problem_with(self, uri: str) -> str | None:
        """Return S3's complaint when nothing can be listed under `uri`; an empty string when it is just empty."""
        try:
            found = next(self._iterate(uri), None)
        except ClientError as error:
            return error.response["Error"].get("Message", "")
        return None if found else ""

    def read(self, item: StoredObject) -> bytes:
        """Return an object's bytes."""
        body: bytes = self._client.get_object(Bucket=item.bucket, Key=item.key)["Body"].read()
        return body

    def write(self, uri: str, body: bytes) -> None:
        """Write one object."""
        bucket, key = split_uri(uri)
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=body)
        except ClientError as error:
            raise _failed("upload", uri, error) from error

    def fetch(self, kind: str, uri: str, folder: Path, part: tuple[int, int] = (0, 1)) -> None:
        """Fetch a data source into `folder`.

        Args:
            kind: The API's S3DataType: S3Prefix (everything under the address), or ManifestFile (what it lists; every
                object keeps its path relative to the manifest's prefix).
            uri: The address of the prefix or of the manifest.
            folder: Where to.
            part: (n, m) fetches every m-th object from the n-th on (from 0): the share of one of m hosts.

        Raises:
            JobFailedError: Something is missing or cannot be read.
        """
        found = self.manifest(uri) if kind == "ManifestFile" else self._under(uri)
        number, count = part
        for item in found[number::count]:
            try:
                self._fetch(item, folder)
            except ClientError as error:
                raise _failed("download", item.uri, error) from error

    def fetch_if_any(self, uri: str, folder: Path) -> None:
        """Fetch everything under a prefix, which may be nothing."""
        try:
            for item in self.under(uri):
                self._fetch(item, folder)
        except ClientError as error:
            raise _failed("download", uri, error) from error

    def manifest(self, uri: str) -> list[StoredObject]:
        """Return the objects that a manifest lists: `[{"prefix": "s3://bucket/base/"}, "relative/key", …]`."""
        bucket, key = split_uri(uri)
        try:
            entries = json.loads(self.read(StoredObject(bucket, key, key)))
            base = entries[0]["prefix"]
            names = [str(entry) for entry in entries[1:]]
        except ClientError as error:
            raise _failed("download", uri, error) from error
        except (ValueError, LookupError, TypeError) as error:
            message = f'ClientError: the manifest {uri} is not a JSON list of {{"prefix": …}} and keys: {error}'
            raise JobFailedError(message) from error
        bucket, start = split_uri(base)
        return [StoredObject(bucket, start + name, name) for name in names]

    def fetch_archive(self, uri: str, folder: Path) -> None:
        """Fetch a tar archive and extract it into `folder`."""
        bucket, key = split_uri(uri)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            try:
                self._fetch(StoredObject(bucket, key, "archive"), Path(scratch))
                unpack(Path(scratch) / "archive", folder)
            except ClientError as error:
                raise _failed("download", uri, error) from error
            except ArchiveError as error:
                message = f"ClientError: {uri}: {error}"
                raise JobFailedError(message) from error

    def store_file(self, path: Path, uri: str) -> None:
        """Write a file as one object.

        Raises:
            FileNotFoundError: The file is gone.
            JobFailedError: It cannot be read, or S3 refuses it.
        """
        bucket, key = split_uri(uri)
        try:
            with path.open("rb") as body:
                self._client.put_object(Bucket=bucket, Key=key, Body=body)
        except ClientError as error:
            raise _failed("upload", uri, error) from error
        except FileNotFoundError:
            raise
        except (OSError, UnicodeError) as error:  # UnicodeError: the file's name is no text, so it cannot be a key
            raise _broken("upload", uri, error) from error

    def store_files(self, files: Mapping[str, Path], uri: str) -> None:
        """Write files under `uri`, each at its relative path."""
        for relative, path in files.items():
            self.store_file(path, f"{uri.rstrip('/')}/{relative}")

    def store_archive(self, folders: Sequence[Path], uri: str) -> None:
        """Write the contents of all folders as one .tar.gz; of two files with one path the last folder's is kept."""
        try:
            with tempfile.TemporaryDirectory(dir=folders[0].parent) as scratch:
                archive = Path(scratch) / "archive.tar.gz"
                pack(folders, archive)
                self.store_file(archive, uri)
        except OSError as error:
            raise _broken("upload", uri, error) from error

    def _under(self, uri: str) -> list[StoredObject]:
        try:
            found = self.under(uri)
        except ClientError as error:
            raise _failed("download", uri, error) from error
        if not found:
            message = f"ClientError: Data download failed: no S3 objects found under {uri}"
            raise JobFailedError(message)
        return found

    def _iterate(self, uri: str) -> Iterator[StoredObject]:
        bucket, prefix = split_uri(uri)
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                if not item["Key"].endswith("/"):
                    yield StoredObject(bucket, item["Key"], relative_path(item["Key"], prefix))

    def _fetch(self, item: StoredObject, folder: Path) -> None:
        if ".." in PurePosixPath(item.relative).parts:
            message = f"ClientError: Data download failed: the key of {item.uri} leaves the folder it is fetched to"
            raise JobFailedError(message)
        target = folder / item.relative.lstrip("/")
        with contextlib.closing(self._client.get_object(Bucket=item.bucket, Key=item.key)["Body"]) as body:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    for block in body.iter_chunks(1 << 20):
                        file.write(block)
            except OSError as error:  # a full disk; a key that is no path, or an object's and a folder's at once
                raise _broken("download", item.uri, error) from error


_WHAT = {"download": "Data download failed", "upload": "Artifact upload failed"}


def _failed(direction: str, uri: str, error: ClientError) -> JobFailedError:
    details = error.response["Error"]
    return JobFailedError(f"ClientError: {_WHAT[direction]}: {uri}: {details.get('Code')}: {details.get('Message')}")


def _broken(direction: str, uri: str, error: OSError | UnicodeError) -> JobFailedError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return JobFailedError(f"ClientError: {_WHAT[direction]}: {ascii(uri)[1:-1]}: {reason}")
