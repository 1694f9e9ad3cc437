"""EndpointService: endpoints and the models deployed to them.

What it does not do: private and shared resources, explanations, monitoring, logging of requests.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#endpointservice
"""

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import field_mask_pb2

from localcloud.gcp.vertex.collection import Collection, Kind
from localcloud.gcp.vertex.custom_jobs.api import check_display_name
from localcloud.gcp.vertex.endpoints.serving import DEFAULT_MACHINE, Deployment, Deployments
from localcloud.gcp.vertex.endpoints.traffic import check_split, replace_split
from localcloud.gcp.vertex.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    NotFoundError,
    VertexError,
    refuse,
    unsupported,
)
from localcloud.gcp.vertex.jobs.machines import find_machine
from localcloud.gcp.vertex.messages import pb
from localcloud.gcp.vertex.models.api import Models
from localcloud.gcp.vertex.models.registry import etag_of
from localcloud.gcp.vertex.names import check_parent, new_id
from localcloud.gcp.vertex.server import Method
from localcloud.gcp.vertex.surroundings import Surroundings

ENDPOINT = Kind("EndpointService", "Endpoint", "endpoints", "endpoints")
_ID = re.compile(r"[a-z][a-z0-9-]{0,61}[a-z0-9]|[0-9]{1,10}")
_UPDATABLE = {"display_name", "description", "labels", "traffic_split"}
_MUTABLE = {
    "dedicated_resources.min_replica_count",
    "dedicated_resources.max_replica_count",
    "dedicated_resources.required_replica_count",
    "dedicated_resources.autoscaling_metric_specs",
    "disable_container_logging",
}


class Endpoints:
    """Create, get, list, update, deploy, undeploy, mutate, delete. `deployments`: what serves here."""

    def __init__(self, surroundings: Surroundings, models: Models) -> None:
        """Serve the endpoints of `surroundings`; start again what an earlier server served."""
        self._surroundings = surroundings
        self._resources = surroundings.resources
        self._operations = surroundings.operations
        self._models = models
        self.deployments = Deployments()
        self._collection = Collection(ENDPOINT, surroundings.resources, surroundings.operations, self._check_empty)
        self._deploying: list[str] = []
        for endpoint in surroundings.resources.all(ENDPOINT.collection):
            for deployed in endpoint.deployed_models:
                try:
                    model = self._version(deployed)
                except NotFoundError:  # deleted by hand
                    continue
                kept = Deployment(surroundings, endpoint.name, deployed, model)
                self.deployments.keep(endpoint.name, deployed.id, kept)

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        return {
            **self._collection.methods(),
            "EndpointService/CreateEndpoint": self._create,
            "EndpointService/UpdateEndpoint": self._update,
            "EndpointService/DeployModel": self._deploy,
            "EndpointService/UndeployModel": self._undeploy,
            "EndpointService/MutateDeployedModel": self._mutate,
        }

    def find(self, name: str) -> Any:
        """Return an endpoint.

        Raises:
            NotFoundError: There is none.
        """
        return self._collection.find(name)

    def _create(self, request: Any) -> Any:
        endpoint = request.endpoint
        check_parent(request.parent)
        check_display_name("endpoint.display_name", endpoint.display_name)
        for field in ("network", "enable_private_service_connect", "dedicated_endpoint_enabled"):
            if getattr(endpoint, field):
                unsupported(f"an endpoint with {field}")
        if request.endpoint_id and not _ID.fullmatch(request.endpoint_id):
            refuse(("endpoint_id", f"{request.endpoint_id!r} must match {_ID.pattern}."))
        endpoint.name = f"{request.parent}/endpoints/{request.endpoint_id or new_id()}"
        if self._resources.get(endpoint.name) is not None:
            raise AlreadyExistsError(f"The Endpoint {endpoint.name!r} already exists.")
        endpoint.ClearField("deployed_models")
        endpoint.ClearField("traffic_split")
        endpoint.create_time.GetCurrentTime()
        _touch(endpoint)

        def work() -> Any:
            self._resources.add(request.parent, ENDPOINT.collection, endpoint)
            return endpoint

        return self._operations.start(endpoint.name, pb.CreateEndpointOperationMetadata(), work)

    def _update(self, request: Any) -> Any:
        paths = list(request.update_mask.paths)
        unknown = {path.split(".")[0] for path in paths} - _UPDATABLE
        if unknown or not paths:
            refuse(("update_mask", f"must name some of {sorted(_UPDATABLE)}, got {paths}."))
        with self._resources.unchanging():
            found = self.find(request.endpoint.name)
            if request.endpoint.etag and request.endpoint.etag != found.etag:
                raise FailedPreconditionError(
                    f"The etag {request.endpoint.etag!r} is not the Endpoint's: {found.etag!r}."
                )
            with self._resources.change(found.name) as endpoint:
                if "traffic_split" in paths:
                    replace_split(endpoint, dict(request.endpoint.traffic_split))
                    paths.remove("traffic_split")
                if "labels" in paths:
                    endpoint.labels.clear()
                field_mask_pb2.FieldMask(paths=paths).MergeMessage(request.endpoint, endpoint)
                _touch(endpoint)
                return endpoint

    def _deploy(self, request: Any) -> Any:
        endpoint, deployed = self.find(request.endpoint), request.deployed_model
        if not deployed.model:
            refuse(("deployed_model.model", "Required field is not set."))
        model = self._models.registry.find(deployed.model)
        _check_resources(deployed)
        taken = {item.id for item in endpoint.deployed_models}
        if deployed.id and deployed.id in taken:
            raise AlreadyExistsError(f"The DeployedModel {deployed.id!r} already exists on {endpoint.name}.")
        if not model.container_spec.image_uri:
            raise FailedPreconditionError(f"The Model {deployed.model!r} has no image that serves it.")
        deployed.id = deployed.id or new_id()
        split = {deployed.id if key == "0" else key: share for key, share in request.traffic_split.items()}
        if split:
            check_split(split, taken | {deployed.id})
        deployed.model, deployed.model_version_id = model.name, model.version_id
        deployed.display_name = deployed.display_name or model.display_name
        self._deploying.append(endpoint.name)

        def work() -> Any:
            try:
                return self._place(endpoint.name, deployed, model, split)
            finally:
                self._deploying.remove(endpoint.name)

        return self._operations.start(endpoint.name, pb.DeployModelOperationMetadata(), work)

    def _place(self, name: str, deployed: Any, model: Any, split: dict[str, int]) -> Any:
        deployment = Deployment(self._surroundings, name, deployed, model)
        deployment.ready.wait()
        if deployment.error:
            raise FailedPreconditionError(deployment.error)
        self.deployments.keep(name, deployed.id, deployment)
        deployed.create_time.GetCurrentTime()
        try:
            with self._resources.change(name) as endpoint:
                if endpoint is None:
                    raise self._collection.missing(name)
                endpoint.deployed_models.append(deployed)
                if split:
                    replace_split(endpoint, split)
                _touch(endpoint)
        except VertexError:
            self.deployments.drop(name, deployed.id)
            raise
        self._note_on_model(deployed, name, deployed=True)
        return pb.DeployModelResponse(deployed_model=deployed)

    def _undeploy(self, request: Any) -> Any:
        endpoint = self.find(request.endpoint)
        identity = request.deployed_model_id
        deployed = _deployed(endpoint, identity)
        split = dict(request.traffic_split)
        rest = {item.id for item in endpoint.deployed_models} - {identity}
        if split:
            check_split(split, rest)
        elif rest and endpoint.traffic_split.get(identity):
            message = (
                f"The DeployedModel {identity!r} has {endpoint.traffic_split[identity]} % of the Endpoint's traffic. "
                "Give the traffic to the others first, or with a traffic_split in this request."
            )
            raise FailedPreconditionError(message)

        def work() -> Any:
            with self._resources.change(endpoint.name) as record:
                kept = [item for item in record.deployed_models if item.id != identity]
                del record.deployed_models[:]
                record.deployed_models.extend(kept)
                shares = dict(split or record.traffic_split) if kept else {}
                shares.pop(identity, None)
                record.traffic_split.clear()
                record.traffic_split.update(shares)
                _touch(record)
            self._note_on_model(deployed, endpoint.name, deployed=False)
            self.deployments.drop(endpoint.name, identity)
            return pb.UndeployModelResponse()

        return self._operations.start(endpoint.name, pb.UndeployModelOperationMetadata(), work)

    def _mutate(self, request: Any) -> Any:
        endpoint = self.find(request.endpoint)
        before = _deployed(endpoint, request.deployed_model.id)
        unknown = set(request.update_mask.paths) - _MUTABLE
        if unknown or not request.update_mask.paths:
            refuse(("update_mask", f"must name some of {sorted(_MUTABLE)}, got {list(request.update_mask.paths)}."))
        after = type(before)()
        after.CopyFrom(before)
        request.update_mask.MergeMessage(request.deployed_model, after, replace_repeated_field=True)
        _check_resources(after)

        def work() -> Any:
            if after.dedicated_resources.min_replica_count != before.dedicated_resources.min_replica_count:
                deployment = Deployment(self._surroundings, endpoint.name, after, self._version(after))
                deployment.ready.wait()
                if deployment.error:
                    raise FailedPreconditionError(deployment.error)
                old = self.deployments.keep(endpoint.name, after.id, deployment)
                if old is not None:
                    old.close()
            with self._resources.change(endpoint.name) as record:
                _deployed(record, after.id).CopyFrom(after)
                _touch(record)
            return pb.MutateDeployedModelResponse(deployed_model=after)

        return self._operations.start(endpoint.name, pb.MutateDeployedModelOperationMetadata(), work)

    def _check_empty(self, endpoint: Any) -> None:
        ids = [item.id for item in endpoint.deployed_models]
        if ids or endpoint.name in self._deploying:
            message = (
                f"Endpoint {endpoint.name} has deployed or being-deployed DeployedModel(s): {', '.join(ids)}. "
                "Undeploy them first."
            )
            raise FailedPreconditionError(message)

    def _version(self, deployed: Any) -> Any:
        return self._models.registry.find(f"{deployed.model}@{deployed.model_version_id}")

    def _note_on_model(self, placed: Any, endpoint: str, *, deployed: bool) -> None:
        """Let the model's version tell where it is deployed."""
        with self._resources.unchanging():
            try:
                version = self._version(placed)
            except NotFoundError:
                return
            kept = [item for item in version.deployed_models if item.deployed_model_id != placed.id]
            del version.deployed_models[:]
            version.deployed_models.extend(kept)
            if deployed:
                version.deployed_models.add(endpoint=endpoint, deployed_model_id=placed.id)
            self._models.registry.change(version)


def _touch(endpoint: Any) -> None:
    endpoint.update_time.GetCurrentTime()
    endpoint.etag = etag_of(endpoint)


def _deployed(endpoint: Any, identity: str) -> Any:
    for item in endpoint.deployed_models:
        if item.id == identity:
            return item
    raise NotFoundError(f"The DeployedModel {identity!r} does not exist on {endpoint.name}.")


def _check_resources(deployed: Any) -> None:
    resources = deployed.WhichOneof("prediction_resources")
    if resources == "shared_resources":
        unsupported("a model on shared resources (deployed_model.shared_resources)")
    if resources != "dedicated_resources":
        text = f"A custom-trained model needs dedicated_resources, got {resources or 'none'}."
        refuse(("deployed_model.dedicated_resources", text))
    dedicated = deployed.dedicated_resources
    kind = dedicated.machine_spec.machine_type or DEFAULT_MACHINE
    if find_machine(kind) is None:
        field = "deployed_model.dedicated_resources.machine_spec.machine_type"
        refuse((field, f"Machine type {kind!r} is not supported."))
    dedicated.machine_spec.machine_type = kind
    if dedicated.min_replica_count < 1:
        field = "deployed_model.dedicated_resources.min_replica_count"
        refuse((field, f"must be at least 1, got {dedicated.min_replica_count}."))
    dedicated.max_replica_count = max(dedicated.max_replica_count, dedicated.min_replica_count)
