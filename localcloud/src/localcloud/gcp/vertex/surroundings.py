"""What every part of the local Vertex AI works with: engine, resources, operations, Cloud Storage, images."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from localcloud.engine.engine import Engine
from localcloud.gcp.objects import ObjectStore
from localcloud.gcp.vertex.jobs.images import IMAGES
from localcloud.gcp.vertex.operations import Operations
from localcloud.gcp.vertex.resources import Resources
from localcloud.images import ImageMap


@dataclass(frozen=True)
class JobAccess:
    """The way from a job to its own cloud.

    Args:
        variables: What makes its clients talk to the local cloud only.
        files: Further variables, whose values are files that the job needs (a key, certificates). They may lie where a
            job cannot look: it gets copies.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Read a client's environment: a variable whose value is the path of a file stands for the file."""
        files = {name: Path(value) for name, value in environment.items() if _is_file(value)}
        return cls({name: value for name, value in environment.items() if name not in files}, files)


def _is_file(value: str) -> bool:
    return value.startswith("/") and Path(value).is_file()


class Surroundings:
    """One local Vertex AI.

    Args of the constructor: `storage` is Cloud Storage's endpoint, `access` what a job is given to reach its cloud.
    """

    def __init__(self, engine: Engine, root: Path, storage: str, access: JobAccess, images: ImageMap = IMAGES) -> None:
        """Open the state of the root."""
        self.engine = engine
        self.root = root
        self.access = access
        self.images = images
        self.resources = Resources(root / "state.db")
        self.operations = Operations(self.resources)
        self._storage = storage
        self._objects: dict[str, ObjectStore] = {}
        self._lock = threading.Lock()

    def objects(self, project: str) -> ObjectStore:
        """Return Cloud Storage as a project sees it."""
        with self._lock:
            if project not in self._objects:
                self._objects[project] = ObjectStore(self._storage, project)
            return self._objects[project]

    def log_folder(self, job_id: str) -> Path:
        """Return where a job's output is kept."""
        return self.root / "logs" / "vertex" / job_id
