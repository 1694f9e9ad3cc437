"""The checksums of an object's bytes, as the API writes them: CRC32C big-endian and MD5, both in base64.

Source: https://cloud.google.com/storage/docs/data-validation
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import google_crc32c

from localcloud.gcp.storage.errors import StorageError, invalid

_CHUNK = 1 << 20


class Digests:
    """The checksums and the size of what was added so far."""

    def __init__(self) -> None:
        self._crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def add(self, data: bytes) -> None:
        """Add bytes."""
        self._crc32c = google_crc32c.extend(self._crc32c, data)
        self._md5.update(data)
        self.size += len(data)

    def fields(self) -> dict[str, str]:
        """Return the fields of an object's resource."""
        return {
            "crc32c": base64.b64encode(self._crc32c.to_bytes(4, "big")).decode(),
            "md5Hash": base64.b64encode(self._md5.digest()).decode(),
        }

    def check(self, expected: Mapping[str, Any]) -> None:
        """Refuse bytes whose checksums are not those that a client sent along in the fields of a resource."""
        for field, computed in self.fields().items():
            if expected.get(field) not in (None, computed):
                shown = {"crc32c": "CRC32C", "md5Hash": "MD5 hash"}[field]
                raise _mismatch(shown, expected[field], computed)


def _mismatch(shown: str, given: object, computed: str) -> StorageError:
    return invalid(f'Provided {shown} "{given}" doesn\'t match calculated {shown} "{computed}".')


def written(chunks: Iterable[bytes], file: BinaryIO) -> Digests:
    """Write chunks to a file and return their checksums."""
    digests = Digests()
    for chunk in chunks:
        digests.add(chunk)
        file.write(chunk)
    return digests


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """Return a file's bytes in pieces."""
    while chunk := file.read(_CHUNK):
        yield chunk


def hash_header(value: str | None) -> dict[str, str]:
    """Return the checksums of an X-Goog-Hash header as fields of a resource."""
    found = {}
    for part in (value or "").split(","):
        name, _, digest = part.strip().partition("=")
        if name in {"crc32c", "md5"}:
            found["md5Hash" if name == "md5" else name] = digest
    return found
