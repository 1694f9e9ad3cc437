"""The private folder tree of one job, as seen from the host.

`/opt/ml/<x>` of the job is `<tree>/ml/<x>` of the host. How the job comes to see it under `/opt/ml` is the isolation's
affair (`localcloud.engine.isolation`), not the tree's.
"""

import os
import shutil
from pathlib import Path, PurePosixPath

JOB_BASE = "/opt/ml"
# as many links as Linux follows on one path
_MOST_LINKS = 40


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

    def real(self, job_path: str) -> Path | None:
        """Return where the host finds what `job_path` leads to, links followed as the job follows them.

        None when it leads nowhere or out of /opt/ml: what a link of the job points to there is not the job's.
        """
        place, rest, links = PurePosixPath("/"), [*reversed(PurePosixPath(job_path).parts[1:])], 0
        while rest:
            part = rest.pop()
            place = place.parent if part == ".." else place / part
            if not place.is_relative_to(JOB_BASE):
                continue
            here = self.ml / place.relative_to(JOB_BASE)
            if here.is_symlink():
                links += 1
                if links > _MOST_LINKS:
                    return None
                target = PurePosixPath(here.readlink())
                if target.is_relative_to(self.ml):  # without a namespace, the job's own name for /opt/ml
                    target = JOB_BASE / target.relative_to(self.ml)
                rest += reversed(target.parts[1:] if target.is_absolute() else target.parts)
                place = PurePosixPath("/") if target.is_absolute() else place.parent
        found = self.ml / place.relative_to(JOB_BASE) if place.is_relative_to(JOB_BASE) else None
        return found if found is not None and found.exists() else None

    def folder(self, job_path: str) -> Path | None:
        """Return where the host finds a folder of the job, or None when there is none (any more)."""
        found = self.real(job_path)
        return found if found is not None and found.is_dir() else None

    def files(self, job_path: str) -> dict[str, Path]:
        """Return the files below a folder of the job: relative paths, and where the host finds them.

        A link to a file of the job counts as that file; other links, and what is no file, do not count.
        """
        top = self.folder(job_path)
        found: dict[str, Path] = {}
        for parent, _, names in os.walk(top) if top is not None else ():
            for name in sorted(names):
                path = Path(parent, name)
                place = self.real(f"{JOB_BASE}/{path.relative_to(self.ml)}")
                if place is not None and place.is_file():
                    found[path.relative_to(top).as_posix()] = place  # type: ignore[arg-type] # walked, so it is there
        return found

    def read_text(self, job_path: str, limit: int) -> str:
        """Return the first `limit` characters of a file of the job; nothing when it is no file."""
        place = self.real(job_path)
        if place is None or not place.is_file():
            return ""
        with place.open(encoding="utf-8", errors="replace") as text:
            return text.read(limit)

    def remove(self) -> None:
        """Delete the tree."""
        remove_folder(self.path)


def remove_folder(path: Path) -> None:
    """Delete a folder; what cannot be deleted stays (the next `up` tries again)."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():  # a job may have made folders read-only, which binds a server that is not root
        for parent, folders, _ in os.walk(path):
            for folder in (Path(parent, name) for name in folders):
                if not folder.is_symlink():
                    folder.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
