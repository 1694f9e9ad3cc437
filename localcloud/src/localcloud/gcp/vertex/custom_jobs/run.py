"""One custom job: PENDING → RUNNING → SUCCEEDED, FAILED or CANCELLED.

Purpose: what a training container meets on Vertex AI (variables, arguments, /gcs, its packages) and what the API
reports of it.

How it works: `CustomJobRun` is the work of a job of the engine. Every replica is a host; the primary replica's success
is the job's, the failure of any replica is its failure. A Python package is installed by pip into the replica's own
layer over the image's environment, and its module is run.

What it does not do: accelerators, restarts of replicas, TensorBoard, an interactive shell. Retries of what only
hardware breaks are not needed here.

Known limitation: the documentation does not say how a job ends that exceeds its `scheduling.timeout`; here it fails
with DEADLINE_EXCEEDED.

Source: https://cloud.google.com/vertex-ai/docs/training/code-requirements
"""

import contextlib
import re
import shlex
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from localcloud.engine.engine import Job, Program
from localcloud.engine.environments import EnvironmentSpec, JobEnvironment
from localcloud.engine.processes import Cause
from localcloud.engine.tree import JOB_BASE, JobTree
from localcloud.gcp.vertex.jobs import records
from localcloud.gcp.vertex.jobs.access import access_variables
from localcloud.gcp.vertex.jobs.failures import (
    CANCELED,
    DEADLINE_EXCEEDED,
    SUCCEEDED,
    JobCancelledError,
    JobEnd,
    JobFailedError,
    replica_failure,
)
from localcloud.gcp.vertex.jobs.gcsfolder import PLACE, GcsFolder, mentioned
from localcloud.gcp.vertex.jobs.joblog import JobLog
from localcloud.gcp.vertex.jobs.pools import Replica, cluster_variables, replicas_of
from localcloud.gcp.vertex.names import id_of, location_of, project_of
from localcloud.gcp.vertex.surroundings import Surroundings

DEFAULT_TIMEOUT_SECONDS = 7 * 86_400
_PACKAGES = f"{JOB_BASE}/packages"
# what building a package needs, as Google's training containers have it
_BUILD_TOOLS = ("setuptools==80.9.0", "wheel==0.45.1")
_SOURCE_LIMIT = 1 << 20


@dataclass(frozen=True)
class Extra:
    """What whoever began a custom job adds to it.

    Args:
        variables: Variables of every replica, beside the job's own.
        arguments: Arguments of every replica, after the job's own.
        trial: The trial's id; its outputs go to a folder of that name.
        collect: Paths below /opt/ml of the primary replica whose text is wanted when the job has ended.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    trial: str = ""
    collect: Sequence[str] = ()


class CustomJobRun:
    """The work of one custom job. `collected`: texts of the files that `extra.collect` names, once it has ended."""

    def __init__(self, surroundings: Surroundings, name: str, job_spec: Any, extra: Extra) -> None:
        """Take a stored job."""
        self._surroundings = surroundings
        self._name = name
        self._spec = job_spec
        self._extra = extra
        self._objects = surroundings.objects(project_of(name))
        self._replicas = replicas_of(job_spec)
        self.collected: dict[str, str] = {}

    def __call__(self, job: Job) -> JobEnd:
        """Run it to its end."""
        packages = [
            self._fetch_packages(tree, replica) for tree, replica in zip(job.trees, self._replicas, strict=True)
        ]
        with self._logs() as logs:
            environments = [self._environment(replica) for replica in self._replicas]
            if job.stop.requested:
                raise JobCancelledError
            folder = GcsFolder(self._objects, job.tree.path / "gcs", self._mentions(packages[0]))
            programs = [
                self._program(job, number, environments[number], packages[number], folder)
                for number in range(len(self._replicas))
            ]
            records.enter_running(self._surroundings.resources, self._name)
            folder.begin()
            limit = self._spec.scheduling.timeout.ToTimedelta().total_seconds() or DEFAULT_TIMEOUT_SECONDS
            try:
                ending = job.run_cluster(programs, logs, limit=limit, led=True)
            finally:
                folder.close(with_rest=not job.stop.abandoned)
            self.collected = {path: job.tree.read_text(path, _SOURCE_LIMIT) for path in self._extra.collect}
            if ending.failed is not None:
                number, failed = ending.failed
                log = logs[number]
                replica = self._replicas[number].name
                raise JobFailedError(replica_failure(replica, failed, log.message, str(log.path)))
        if ending.cause is Cause.TIMED_OUT:
            raise JobFailedError(f"The job exceeded its timeout of {limit:g} s and was ended.", DEADLINE_EXCEEDED)
        return SUCCEEDED if ending.cause is Cause.EXITED else CANCELED

    def _fetch_packages(self, tree: JobTree, replica: Replica) -> list[Path]:
        """Put a replica's packages into its tree; return where the host finds them."""
        found = []
        for number, uri in enumerate(replica.spec.python_package_spec.package_uris):
            # each in a folder of its own: pip reads the file's name, and two may share it
            path = tree.host_path(f"{_PACKAGES}/{number}/{PurePosixPath(uri).name}")
            self._objects.fetch(uri, path)
            found.append(path)
        return found

    def _environment(self, replica: Replica) -> JobEnvironment:
        packaged = replica.spec.WhichOneof("task") == "python_package_spec"
        spec = replica.spec.python_package_spec if packaged else replica.spec.container_spec
        image = self._surroundings.images.find(spec.executor_image_uri if packaged else spec.image_uri)
        missing = [tool for tool in _BUILD_TOOLS if packaged and tool not in image.base]
        return self._surroundings.engine.environments.get(
            EnvironmentSpec(image.name, (*image.base, *missing), python=image.python), lambda _: None
        )

    def _mentions(self, packages: Sequence[Path]) -> set[tuple[str, str]]:
        texts = [self._output, *self._extra.variables.values(), *self._extra.arguments]
        for replica in self._replicas:
            spec = getattr(replica.spec, replica.spec.WhichOneof("task"))
            texts += [*spec.args, *(item.value for item in spec.env), *getattr(spec, "command", ())]
        return mentioned([*texts, *(text for package in packages for text in _sources(package))])

    def _program(
        self, job: Job, number: int, environment: JobEnvironment, packages: Sequence[Path], folder: GcsFolder
    ) -> Program:
        replica, tree = self._replicas[number], job.trees[number]
        spec = getattr(replica.spec, replica.spec.WhichOneof("task"))
        variables = access_variables(self._surroundings.access, tree)
        variables |= {
            "CLOUD_ML_PROJECT_ID": project_of(self._name),
            "CLOUD_ML_JOB_ID": id_of(self._name),
            "CLOUD_ML_REGION": location_of(self._name),
            **cluster_variables(self._replicas, number, self._spec, names_hosts=job.names_hosts),
            **output_variables(self._output),
            **self._extra.variables,
            **{item.name: item.value for item in spec.env},
        }
        return Program(
            argv=self._argv(replica, [f"{_PACKAGES}/{path.parent.name}/{path.name}" for path in packages], packages),
            environment=variables,
            path=environment.programs,
            mounts={PLACE: folder.folder},
        )

    def _argv(self, replica: Replica, places: Sequence[str], packages: Sequence[Path]) -> list[str]:
        if replica.spec.WhichOneof("task") == "container_spec":
            spec = replica.spec.container_spec
            image = self._surroundings.images.find(spec.image_uri)
            return [*(spec.command or image.entrypoint), *spec.args, *self._extra.arguments]
        spec = replica.spec.python_package_spec
        lines = [
            f"{shlex.join(_install(place, package))} || exit $?"
            for place, package in zip(places, packages, strict=True)
        ]
        script = "\n".join([*lines, 'exec python3 -m "$@"'])
        return ["/bin/sh", "-c", script, "sh", spec.python_module, *spec.args, *self._extra.arguments]

    @property
    def _output(self) -> str:
        base: str = self._spec.base_output_directory.output_uri_prefix.rstrip("/")
        return f"{base}/{self._extra.trial}" if base and self._extra.trial else base

    @contextlib.contextmanager
    def _logs(self) -> Iterator[list[JobLog]]:
        folder = self._surroundings.log_folder(id_of(self._name))
        with contextlib.ExitStack() as stack:
            logs = [JobLog(folder / f"{replica.name}.log") for replica in self._replicas]
            for log in logs:
                stack.callback(log.close)
            yield logs


def output_variables(output: str) -> dict[str, str]:
    """Return the variables that say where a job's outputs go; none without an output directory."""
    if not output:
        return {}
    return {
        "AIP_MODEL_DIR": f"{output}/model/",
        "AIP_CHECKPOINT_DIR": f"{output}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{output}/logs/",
    }


def _install(place: str, package: Path) -> list[str]:
    command = ["python3", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    # the tools of a `setup.py` are there; other packages say themselves what builds them
    if any(re.fullmatch(r"[^/]+/setup\.py", name) for name in _members(package)):
        command.append("--no-build-isolation")
    return [*command, place]


def _members(package: Path) -> list[str]:
    try:
        if package.name.endswith((".whl", ".zip")):
            with zipfile.ZipFile(package) as archive:
                return archive.namelist()
        with tarfile.open(package) as archive:
            return archive.getnames()
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError):  # pip tells the user
        return []


def _sources(package: Path) -> Iterator[str]:
    """Return the texts of a package's modules, as far as they are not huge."""
    try:
        if package.name.endswith((".whl", ".zip")):
            with zipfile.ZipFile(package) as wheel:
                for item in wheel.infolist():
                    if item.filename.endswith(".py") and item.file_size < _SOURCE_LIMIT:
                        yield wheel.read(item).decode(errors="replace")
            return
        with tarfile.open(package) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() and member.name.endswith(".py") else None
                if file is not None and member.size < _SOURCE_LIMIT:
                    yield file.read().decode(errors="replace")
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError):
        return
