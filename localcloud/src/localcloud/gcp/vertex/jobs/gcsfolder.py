"""`/gcs/<bucket>/<object>`: Cloud Storage as a folder of a job, as Vertex AI mounts it.

How it works: what a job's specification mentions by `gs://bucket/prefix` or `/gcs/bucket/prefix` is fetched before the
job begins; what the job writes, changes or deletes below /gcs is carried to Cloud Storage, at once every second and
completely at the end. All replicas share the folder.

Known limitation: what no argument, variable or packaged source mentions is not there, and what others write to the
bucket meanwhile does not appear. A file is put whole, but may be caught half written; the next look puts it again.

Source: https://cloud.google.com/vertex-ai/docs/training/cloud-storage-file-system
"""

import re
import threading
from collections.abc import Iterable
from pathlib import Path

from localcloud.gcp.objects import MissingError, ObjectError, ObjectStore

PLACE = "/gcs"
_INTERVAL_SECONDS = 1.0
_MENTION = re.compile(r"(?:gs:/|/gcs)/([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(/[^\s'\"`,;<>|{}\[\]()*?]*)?")
_Seen = dict[str, tuple[int, int]]


def mentioned(texts: Iterable[str]) -> set[tuple[str, str]]:
    """Return the buckets and prefixes that texts mention."""
    return {(found[1], (found[2] or "").strip("/")) for text in texts for found in _MENTION.finditer(text)}


class GcsFolder:
    """The folder of one job. Use as a context manager around the job's programs: leaving carries over what is left."""

    def __init__(self, objects: ObjectStore, folder: Path, mentions: Iterable[tuple[str, str]]) -> None:
        """Fetch what is mentioned; a bucket that does not exist is left out, as it is in /gcs."""
        self._objects = objects
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for bucket, prefix in sorted(mentions):
            self._fetch(bucket, prefix)
        self._stored = self._look()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._until_closed, name="gcs", daemon=True)

    def begin(self) -> None:
        """Begin to carry over."""
        self._thread.start()

    def close(self, *, with_rest: bool) -> None:
        """Carry over what is left, if it is wanted, and end.

        Raises:
            ObjectError: Cloud Storage refused a file.
        """
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()
        if with_rest:
            self._carry()

    def _fetch(self, bucket: str, prefix: str) -> None:
        try:
            if not self._objects.has_bucket(bucket):
                return
            (self.folder / bucket).mkdir(exist_ok=True)
            for item in self._objects.under(f"gs://{bucket}/{prefix}") if prefix else ():
                beyond = item.key.removeprefix(prefix)
                path = self.folder / bucket / item.key
                # `data/a` is a mention of `data/a/b`, not of `data/ab`
                if (beyond == "" or beyond.startswith("/")) and ".." not in path.parts and not path.exists():
                    self._objects.fetch(item.uri, path)
        except MissingError:  # deleted between the look and the fetching
            return

    def _until_closed(self) -> None:
        while not self._closing.wait(_INTERVAL_SECONDS):
            try:
                self._carry()
            except (ObjectError, OSError):  # told by `close`, which tries again
                continue

    def _carry(self) -> None:
        found = self._look()
        for relative, seen in found.items():
            if self._stored.get(relative) != seen:
                try:
                    self._objects.store(self.folder / relative, f"gs://{relative}")
                except FileNotFoundError:  # deleted or renamed between the look and the upload
                    continue
                self._stored[relative] = seen
        for relative in [name for name in self._stored if name not in found]:
            self._objects.delete(f"gs://{relative}")
            del self._stored[relative]

    def _look(self) -> _Seen:
        seen: _Seen = {}
        for path in self.folder.rglob("*"):
            relative = path.relative_to(self.folder)
            if path.is_symlink() or len(relative.parts) == 1 or not path.is_file():
                continue
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            seen[relative.as_posix()] = (state.st_mtime_ns, state.st_size)
        return seen
