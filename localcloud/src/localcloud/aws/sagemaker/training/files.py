"""What a training program finds below /opt/ml, and what is taken from there when it has ended.

Every host has a tree of its own. What all of them leave is put together, as AWS does; of two files with one path the
last host's is kept (AWS asks programs not to let names clash).
"""

import json
import shutil
from collections.abc import Sequence

from localcloud.aws.objects import ObjectStore
from localcloud.aws.sagemaker.jobs.cluster import Cluster
from localcloud.aws.sagemaker.jobs.execution import Request
from localcloud.aws.sagemaker.jobs.failures import JobFailedError
from localcloud.aws.sagemaker.training import script_mode
from localcloud.engine.archives import ArchiveError, unpack
from localcloud.engine.tree import JOB_BASE, JobTree

DEFAULT_CHECKPOINTS = f"{JOB_BASE}/checkpoints"


class TrainingFiles:
    """The files of one job."""

    def __init__(self, objects: ObjectStore, request: Request, cluster: Cluster) -> None:
        """Read what concerns files from the request."""
        self._objects = objects
        self._request = request
        self._cluster = cluster
        self._hyperparameters: dict[str, str] = dict(request.get("HyperParameters") or {})
        output = request["OutputDataConfig"]
        self._compressed = output.get("CompressionType", "GZIP") == "GZIP"
        self._output = f"{output['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output"

    @property
    def artifact(self) -> str:
        """The model artifact's address: of an archive, or of a prefix when compression is switched off."""
        return f"{self._output}/model.tar.gz" if self._compressed else f"{self._output}/model/"

    @property
    def checkpoints(self) -> tuple[str, str] | None:
        """Where checkpoints are kept: the S3 address and the job's folder."""
        given = self._request.get("CheckpointConfig")
        return (given["S3Uri"], given.get("LocalPath") or DEFAULT_CHECKPOINTS) if given else None

    def channels_of(self, number: int) -> list[str]:
        """Return the names of the channels that a host (numbered from 0) gets."""
        return [
            channel["ChannelName"]
            for channel in self._request.get("InputDataConfig") or []
            if self._gets(number, channel)
        ]

    def fetch(self, tree: JobTree, number: int) -> None:
        """Fill the tree of a host.

        Raises:
            JobFailedError: Data cannot be fetched.
        """
        ml = tree.ml
        for folder in ("code", "model", "output/data", "output/intermediate", "input/config", "input/data"):
            (ml / folder).mkdir(parents=True)
        for channel in self._request.get("InputDataConfig") or []:
            if self._gets(number, channel):
                folder = ml / "input" / "data" / channel["ChannelName"]
                folder.mkdir()
                source = channel["DataSource"]["S3DataSource"]
                self._objects.fetch(source["S3DataType"], source["S3Uri"], folder, self._share(number, channel))
        if self.checkpoints is not None:
            uri, place = self.checkpoints
            tree.host_path(place).mkdir(parents=True, exist_ok=True)
            self._objects.fetch_if_any(uri.rstrip("/") + "/", tree.host_path(place))
        self._place_code(tree)
        configuration = {
            "hyperparameters": self._hyperparameters,
            "inputdataconfig": script_mode.input_data_config(self._request),
            "resourceconfig": self._cluster.resource_config(number),
        }
        for name, content in configuration.items():
            (ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))

    def store(self, trees: Sequence[JobTree], *, with_model: bool) -> None:
        """Upload what the hosts left.

        Raises:
            JobFailedError: S3 refuses it.
        """
        if with_model:
            self._store(trees, f"{JOB_BASE}/model", self.artifact)
        data = f"{self._output}/output.tar.gz" if self._compressed else f"{self._output}/data/"
        self._store(trees, f"{JOB_BASE}/output/data", data)

    def _store(self, trees: Sequence[JobTree], folder: str, uri: str) -> None:
        """Upload a folder of each host; nothing when all of them are empty or gone."""
        if not self._compressed:
            for tree in trees:
                self._objects.store_files(tree.files(folder), uri)
            return
        found = [place for tree in trees if (place := tree.folder(folder)) is not None and any(place.iterdir())]
        if found:
            self._objects.store_archive(found, uri)

    def _place_code(self, tree: JobTree) -> None:
        """Put the source where the script is run from, as the toolkit does: from S3, or from a place in a channel."""
        submitted = script_mode.decode(self._hyperparameters.get(script_mode.SUBMIT_DIRECTORY, "null"))
        if self._request["AlgorithmSpecification"].get("ContainerEntrypoint") or not isinstance(submitted, str):
            return
        code = tree.ml / "code"
        if submitted.startswith("s3://"):
            if self._request.get("EnableNetworkIsolation"):
                message = (
                    f"AlgorithmError: framework error: the source {submitted} cannot be downloaded, as network "
                    "isolation is enabled. Give it as a channel, and sagemaker_submit_directory as its path there"
                )
                raise JobFailedError(message)
            self._objects.fetch_archive(submitted, code)
        elif submitted.startswith(f"{JOB_BASE}/input/data/"):
            source = tree.real(submitted)
            if source is not None and source.is_dir():
                shutil.copytree(source, code, symlinks=True, dirs_exist_ok=True)
            elif source is not None:
                try:
                    unpack(source, code)
                except ArchiveError as error:
                    message = f"AlgorithmError: framework error: {submitted}: {error}"
                    raise JobFailedError(message) from error

    def _gets(self, number: int, channel: Request) -> bool:
        groups = channel["DataSource"]["S3DataSource"].get("InstanceGroupNames")
        return not groups or self._cluster.instances[number].group in groups

    def _share(self, number: int, channel: Request) -> tuple[int, int]:
        """Return which part of a channel's objects a host gets."""
        if channel["DataSource"]["S3DataSource"].get("S3DataDistributionType") != "ShardedByS3Key":
            return 0, 1
        sharing = [other for other in range(len(self._cluster.instances)) if self._gets(other, channel)]
        return sharing.index(number), len(sharing)
