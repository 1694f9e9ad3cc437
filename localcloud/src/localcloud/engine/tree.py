"""The private folder tree of one job, as seen from the host.

`/opt/ml/<x>` of the job is `<tree>/ml/<x>` of the host. How the job comes to see it under `/opt/ml` is the isolation's
affair (`localcloud.engine.isolation`), not the tree's.
"""

import shutil
from pathlib import Path, PurePosixPath

JOB_BASE = "/opt/ml"


class JobTree:
    """Folders of one job: `ml` (its /opt/ml), `home` (its HOME), `tmp` (its TMPDIR)."""

    def __init__(self, path: Path) -> None:
        """Create the tree at `path`, which must not exist yet."""
        self.path = path
        self.ml = path / "ml"
        self.home = path / "home"
        self.tmp = path / "tmp"
        self.scratch = path / "scratch"
        for folder in (self.ml, self.home, self.tmp, self.scratch):
            folder.mkdir(parents=True)
        # the lower layer that lends the mount points to a machine that has none
        for name in ("ml", "tree", "environments"):
            (path / "mountpoint" / name).mkdir(parents=True)

    def host_path(self, job_path: str) -> Path:
        """Return where the host finds `job_path`, a path below /opt/ml without `..`."""
        pure = PurePosixPath(job_path)
        if ".." in pure.parts or not pure.is_relative_to(JOB_BASE):
            message = f"{job_path!r} must lie below {JOB_BASE}"
            raise ValueError(message)
        return self.ml / pure.relative_to(JOB_BASE)

    def remove(self) -> None:
        """Delete the tree; what cannot be deleted stays (the next `up` clears the folder of all trees)."""
        shutil.rmtree(self.path, ignore_errors=True)
