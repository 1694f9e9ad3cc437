"""A trigger that fires when an S3 object was written again.

How it works: asks for the object's head at an interval and compares the time of its last modification; an ETag would
stay the same when the same content is written again. What it does not do: notice a second write within the same second;
an object that is gone counts as unchanged until it is there again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class S3ObjectReplacedTrigger(BaseTrigger):
    """Fires with the time of the object's new last modification, in ISO 8601.

    Args:
        bucket: The object's bucket.
        key: The object's key.
        last_modified: Time of its last modification, in ISO 8601, that the waiting task knows.
        aws_conn_id: The connection to look with.
        poll_seconds: Seconds between two looks.
    """

    def __init__(self, *, bucket: str, key: str, last_modified: str, aws_conn_id: str, poll_seconds: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow gives it no types
        self.bucket = bucket
        self.key = key
        self.last_modified = last_modified
        self.aws_conn_id = aws_conn_id
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and its arguments."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "bucket": self.bucket,
                "key": self.key,
                "last_modified": self.last_modified,
                "aws_conn_id": self.aws_conn_id,
                "poll_seconds": self.poll_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the object was modified again."""
        hook = S3Hook(aws_conn_id=self.aws_conn_id)
        async with await hook.get_async_conn() as client:
            while True:
                head = await hook.get_head_object_async(client, self.key, self.bucket)
                modified = None if head is None else head["LastModified"].isoformat()
                if modified not in {None, self.last_modified}:
                    yield TriggerEvent(modified)
                    return
                await asyncio.sleep(self.poll_seconds)
