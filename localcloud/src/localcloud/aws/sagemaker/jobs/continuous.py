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
from localcloud.engine.tree import JobTree

_INTERVAL_SECONDS = 1.0


class ContinuousUpload:
    """Keeps `uri` up to date with a folder of the job on each host from now until `close`."""

    def __init__(self, objects: ObjectStore, trees: Sequence[JobTree], folder: str, uri: str) -> None:
        """Start; what the folders hold now counts as stored already."""
        self._objects = objects
        self._trees = trees
        self._folder = folder
        self._uri = uri.rstrip("/")
        self._stored = self._look()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._until_closed, name=f"upload-{uri}", daemon=True)
        self._thread.start()

    def close(self, *, with_rest: bool) -> None:
        """Upload the rest, if it is wanted, and end.

        Raises:
            JobFailedError: S3 refused a file.
        """
        self._closing.set()
        self._thread.join()
        if with_rest:
            self._upload()

    def _until_closed(self) -> None:
        while not self._closing.wait(_INTERVAL_SECONDS):
            try:
                self._upload()
            except (JobFailedError, OSError):  # told by `close`, which tries again
                continue

    def _upload(self) -> None:
        # a later host's file of the same path is put after an earlier one's
        for number, tree in enumerate(self._trees):
            for relative, path in tree.files(self._folder).items():
                seen = _seen(path)
                if seen is None or self._stored.get((number, relative)) == seen:
                    continue
                try:
                    self._objects.store_file(path, f"{self._uri}/{relative}")
                except FileNotFoundError:  # deleted or renamed between the look and the upload
                    continue
                self._stored[number, relative] = seen

    def _look(self) -> dict[tuple[int, str], tuple[int, int] | None]:
        return {
            (number, relative): _seen(path)
            for number, tree in enumerate(self._trees)
            for relative, path in tree.files(self._folder).items()
        }


def _seen(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_mtime_ns, state.st_size
