"""What a training program finds below /opt/ml, and what is taken from there when it has ended.

Every host has a tree of its own. What all of them leave is put together, as AWS does; of two files with one path the
last host's is kept (AWS asks programs not to let names clash).
"""

import json
from collections.abc import Sequence

from localcloud.aws.objects import ObjectStore
from localcloud.aws.sagemaker.jobs.cluster import Cluster
from localcloud.aws.sagemaker.jobs.execution import Request
from localcloud.aws.sagemaker.training import script_mode
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
        submitted = script_mode.decode(self._hyperparameters.get(script_mode.SUBMIT_DIRECTORY, "null"))
        is_script = not self._request["AlgorithmSpecification"].get("ContainerEntrypoint")
        if is_script and submitted is not None and submitted.startswith("s3://"):
            self._objects.fetch_archive(submitted, ml / "code")
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
        models = [tree.ml / "model" for tree in trees]
        data = [tree.ml / "output" / "data" for tree in trees]
        if with_model and any(any(folder.iterdir()) for folder in models):
            if self._compressed:
                self._objects.store_archive(models, self.artifact)
            else:
                for folder in models:
                    self._objects.store_folder(folder, self.artifact)
        if any(any(folder.iterdir()) for folder in data):
            if self._compressed:
                self._objects.store_archive(data, f"{self._output}/output.tar.gz")
            else:
                for folder in data:
                    self._objects.store_folder(folder, f"{self._output}/data/")

    def _gets(self, number: int, channel: Request) -> bool:
        groups = channel["DataSource"]["S3DataSource"].get("InstanceGroupNames")
        return not groups or self._cluster.instances[number].group in groups

    def _share(self, number: int, channel: Request) -> tuple[int, int]:
        """Return which part of a channel's objects a host gets."""
        if channel["DataSource"]["S3DataSource"].get("S3DataDistributionType") != "ShardedByS3Key":
            return 0, 1
        sharing = [other for other in range(len(self._cluster.instances)) if self._gets(other, channel)]
        return sharing.index(number), len(sharing)
