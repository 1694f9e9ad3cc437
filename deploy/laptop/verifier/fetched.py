"""Objects of the lake as local files, each with its digest computed here.

What it does not do: know which objects there have to be (``driver``) or what they mean.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3.client import S3Client

LAKE_BUCKET = "flightdeck-lake"


class Fetched:
    """What was fetched, and what is wrong with objects that are not as recorded.

    Args:
        client: A client of the cloud that holds the lake.
        folder: Where the files go.

    Attributes:
        wrong: A difference for each object that is missing or not what its recorded digest says.
        objects: How many objects were looked at.
    """

    def __init__(self, client: S3Client, folder: Path) -> None:
        self._client = client
        self.folder = folder
        self.wrong: list[str] = []
        self.objects = 0

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that start with a prefix, in order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=LAKE_BUCKET, Prefix=prefix)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))

    def file(self, address: str, sha256: str | None = None) -> Path | None:
        """Fetch an object by its URI or its key; None, and a difference, when it is missing."""
        uri = address if "://" in address else f"s3://{LAKE_BUCKET}/{address}"
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        path = self.folder / hashlib.sha256(uri.encode()).hexdigest()
        self.objects += 1
        try:
            content = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self._client.exceptions.ClientError as error:
            self.wrong.append(f"{uri}: it cannot be read ({error.response['Error']['Code']})")
            return None
        found = hashlib.sha256(content).hexdigest()
        if sha256 is not None and found != sha256:
            self.wrong.append(f"{uri}: SHA-256 {sha256} is recorded, {found} was found")
        path.write_bytes(content)
        return path

    def json(self, address: str) -> Any:
        """Fetch a JSON object; None, and a difference, when it is missing."""
        path = self.file(address)
        return None if path is None else json.loads(path.read_text(encoding="utf-8"))
