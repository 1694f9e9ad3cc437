"""The local Vertex AI as one thing: its parts put together, started over the state of its root, and ended."""

from collections.abc import Mapping, Sequence

import grpc

from localcloud.gcp.vertex.batch_prediction.api import BatchPredictionJobs
from localcloud.gcp.vertex.custom_jobs.api import CustomJobs
from localcloud.gcp.vertex.datasets.api import Datasets
from localcloud.gcp.vertex.endpoints.api import Endpoints
from localcloud.gcp.vertex.endpoints.prediction import Predictions
from localcloud.gcp.vertex.jobs import records
from localcloud.gcp.vertex.jobs.running import RunningJobs
from localcloud.gcp.vertex.metadata.api import Metadata
from localcloud.gcp.vertex.models.api import Models
from localcloud.gcp.vertex.models.evaluations import Evaluations
from localcloud.gcp.vertex.pipelines.api import TrainingPipelines
from localcloud.gcp.vertex.server import Certificate, Method, Router, VertexServer
from localcloud.gcp.vertex.surroundings import Surroundings
from localcloud.gcp.vertex.tensorboards.api import Tensorboards
from localcloud.gcp.vertex.tuning.api import TuningJobs

_JOBS = ("customJobs", "trainingPipelines", "batchPredictionJobs", "hyperparameterTuningJobs")


class Vertex:
    """One local Vertex AI over a root. Its engine is somebody else's, who closes it after `stop`."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Close what an earlier server left open, and put the parts together."""
        self._surroundings = surroundings
        for collection in _JOBS:
            records.close_interrupted(surroundings.resources, collection)
        running = RunningJobs(surroundings.engine, surroundings.resources)
        custom_jobs = CustomJobs(surroundings, running)
        models = Models(surroundings)
        datasets = Datasets(surroundings)
        endpoints = Endpoints(surroundings, models)
        parts = (
            surroundings.operations,
            custom_jobs,
            models,
            Evaluations(surroundings.resources, models.registry),
            datasets,
            TrainingPipelines(surroundings, running, custom_jobs, models, datasets),
            BatchPredictionJobs(surroundings, running, models),
            TuningJobs(surroundings, running, custom_jobs),
            endpoints,
            Predictions(endpoints, models),
            Metadata(surroundings),
            Tensorboards(surroundings),
        )
        self._methods: dict[str, Method] = {name: method for part in parts for name, method in part.methods().items()}
        self._servers: list[VertexServer] = []

    @property
    def methods(self) -> Mapping[str, Method]:
        """All methods, by `<Service>/<Method>`."""
        return self._methods

    @property
    def handler(self) -> grpc.GenericRpcHandler:
        """What answers for Vertex AI in a gRPC server of somebody else's."""
        return Router(self._methods)

    def serve(
        self,
        *,
        port: int = 0,
        certificate: Certificate | None = None,
        beside: Sequence[grpc.GenericRpcHandler] = (),
    ) -> int:
        """Answer on 127.0.0.1 from now on; return the port. May be called more than once.

        Args:
            port: 0 picks a free one.
            certificate: Without one the server speaks plain text.
            beside: Handlers of other services, which the same port answers for.
        """
        self._servers.append(VertexServer(self._methods, port=port, certificate=certificate, beside=beside))
        return self._servers[-1].port

    def stop(self) -> None:
        """Answer no more."""
        for server in self._servers:
            server.stop()
