"""Uploads what appears or changes in a folder while a job runs: checkpoints, and outputs in continuous mode.

A thread compares times and sizes of the files every second; `close` looks once more, so that nothing which the program
left is missing. What the program deletes stays in S3, as on AWS. A file is put whole, but may be caught half written;
the next look puts it again.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from localcloud.aws.objects import ObjectStore
from localcloud.aws.sagemaker.jobs.failures import JobFailedError

_INTERVAL_SECONDS = 1.0


class ContinuousUpload:
    """Keeps `uri` up to date with folders (one per host) from now until `close`."""

    def __init__(self, objects: ObjectStore, folders: Sequence[Path], uri: str) -> None:
        """Start; what the folders hold now counts as stored already."""
        self._objects = objects
        self._folders = folders
        self._uri = uri.rstrip("/")
        self._stored = self._look()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._until_closed, name=f"upload-{uri}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Upload the rest and end.

        Raises:
            JobFailedError: S3 refused a file.
        """
        self._closing.set()
        self._thread.join()
        self._upload()

    def _until_closed(self) -> None:
        while not self._closing.wait(_INTERVAL_SECONDS):
            try:
                self._upload()
            except (JobFailedError, OSError):  # told by `close`, which tries again
                continue

    def _upload(self) -> None:
        for path, seen in self._look().items():
            if self._stored.get(path) != seen:
                folder = next(folder for folder in self._folders if path.is_relative_to(folder))
                try:
                    self._objects.store_file(path, f"{self._uri}/{path.relative_to(folder).as_posix()}")
                except FileNotFoundError:  # deleted or renamed between the look and the upload
                    continue
                self._stored[path] = seen

    def _look(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for folder in self._folders:
            for path in folder.rglob("*"):
                try:
                    state = path.stat()
                except FileNotFoundError:
                    continue
                if path.is_file():
                    found[path] = (state.st_mtime_ns, state.st_size)
        return found
