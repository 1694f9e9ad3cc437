"""ModelService: models and their versions.

What it does not do: CopyModel, explanations, recommended machines, checkpoints.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#modelservice
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import empty_pb2, field_mask_pb2

from localcloud.gcp.objects import ObjectError
from localcloud.gcp.vertex.collection import Collection, Kind
from localcloud.gcp.vertex.custom_jobs.api import check_display_name
from localcloud.gcp.vertex.errors import AlreadyExistsError, FailedPreconditionError, refuse
from localcloud.gcp.vertex.listing.pages import Listed, list_page
from localcloud.gcp.vertex.messages import pb, types
from localcloud.gcp.vertex.models.artifacts import check_artifact, check_container
from localcloud.gcp.vertex.models.registry import DEFAULT, MODELS, Registry, etag_of
from localcloud.gcp.vertex.names import check_parent, new_id, project_of
from localcloud.gcp.vertex.server import Method
from localcloud.gcp.vertex.surroundings import Surroundings

MODEL = Kind("ModelService", "Model", MODELS, "models")
_ID = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}")
_UPDATABLE = {"display_name", "description", "labels", "version_description", "version_aliases"}
_INPUT_FORMATS = ("jsonl", "csv", "tf-record", "file-list")


class Models:
    """Upload, get, list, update, merge aliases, export, delete. `registry`: what is kept."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Serve the models of `surroundings`."""
        self._surroundings = surroundings
        self._resources = surroundings.resources
        self._operations = surroundings.operations
        self.registry = Registry(surroundings.resources)
        self._collection = Collection(MODEL, surroundings.resources, surroundings.operations)

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        return {
            **self._collection.methods(),
            "ModelService/UploadModel": self._upload,
            "ModelService/GetModel": lambda request: self.registry.find(request.name),
            "ModelService/ListModelVersions": self._list_versions,
            "ModelService/UpdateModel": self._update,
            "ModelService/MergeVersionAliases": self._merge,
            "ModelService/DeleteModel": self._delete,
            "ModelService/DeleteModelVersion": self._delete_version,
            "ModelService/ExportModel": self._export,
        }

    def upload(self, parent: str, model: Any, *, parent_model: str = "", model_id: str = "") -> Any:
        """Keep a model, or a version of `parent_model`, whose artifact is there; return it.

        Raises:
            VertexError: It is refused.
        """
        check_container(model, "model", self._surroundings.images)
        check_artifact(model, self._surroundings.objects(project_of(parent)), self._surroundings.images)
        with self._resources.unchanging():
            if parent_model:
                base = self.registry.find(parent_model)
                model.name, version = base.name, self.registry.next_version(base.name)
                model.create_time.CopyFrom(base.create_time)
            else:
                model.name, version = f"{parent}/models/{model_id or new_id()}", "1"
                model.create_time.GetCurrentTime()
                if self._resources.get(model.name) is not None:
                    raise AlreadyExistsError(f"The Model {model.name!r} already exists.")
            _complete(model)
            self.registry.add(parent, model, version_id=version)
            return self.registry.find(f"{model.name}@{version}")

    def check_upload(self, model: Any, parent_model: str, model_id: str, field: str = "model") -> None:
        """Refuse what can be seen to be wrong before anything is done."""
        check_display_name(f"{field}.display_name", model.display_name)
        check_container(model, field, self._surroundings.images)
        if model_id and not _ID.fullmatch(model_id):
            refuse(("model_id", f"{model_id!r} must match {_ID.pattern}."))
        if parent_model:
            self.registry.find(parent_model)

    def _upload(self, request: Any) -> Any:
        check_parent(request.parent)
        self.check_upload(request.model, request.parent_model, request.model_id)
        if request.model_id and not request.parent_model:
            name = f"{request.parent}/models/{request.model_id}"
            if self._resources.get(name) is not None:
                raise AlreadyExistsError(f"The Model {name!r} already exists.")

        def work() -> Any:
            try:
                uploaded = self.upload(
                    request.parent, request.model, parent_model=request.parent_model, model_id=request.model_id
                )
            except ObjectError as error:
                raise FailedPreconditionError(str(error)) from error
            return pb.UploadModelResponse(model=uploaded.name, model_version_id=uploaded.version_id)

        return self._operations.start(request.parent, pb.UploadModelOperationMetadata(), work)

    def _list_versions(self, request: Any) -> Any:
        model = self.registry.find(request.name).name
        page = list_page(Listed.of(request), self.registry.versions(model))
        return pb.ListModelVersionsResponse(models=page.items, next_page_token=page.next_token)

    def _update(self, request: Any) -> Any:
        if not request.update_mask.paths:
            refuse(("update_mask", "Required field is not set."))
        unknown = {path.split(".")[0] for path in request.update_mask.paths} - _UPDATABLE
        if unknown:
            refuse(("update_mask", f"{sorted(unknown)} cannot be updated; {sorted(_UPDATABLE)} can."))
        with self._resources.unchanging():
            found = self.registry.find(request.model.name)
            given = type(request.model)()
            given.CopyFrom(request.model)
            if given.etag and given.etag != found.etag:
                raise FailedPreconditionError(f"The etag {given.etag!r} is not the Model's: {found.etag!r}.")
            aliases = set(found.version_aliases)
            _merge_masked(given, found, request.update_mask)
            changed = set(found.version_aliases)
            del found.version_aliases[:]
            found.version_aliases.extend(sorted(aliases))
            self.registry.change(found)
            if changed != aliases:
                removed = {f"-{alias}" for alias in aliases - changed}
                self.registry.merge(found.name, found.version_id, (changed - aliases) | removed)
            return self.registry.find(f"{found.name}@{found.version_id}")

    def _merge(self, request: Any) -> Any:
        if "@" not in request.name:
            refuse(("name", f"{request.name!r} must name a version, as in <model>@1."))
        with self._resources.unchanging():
            found = self.registry.find(request.name)
            return self.registry.merge(found.name, found.version_id, request.version_aliases)

    def _delete(self, request: Any) -> Any:
        model = self.registry.find(request.name.partition("@")[0]).name

        def work() -> None:
            for version in self.registry.versions(model):
                _check_undeployed(version)
            self.registry.remove(model)

        return self._deletion(model, work)

    def _delete_version(self, request: Any) -> Any:
        if "@" not in request.name:
            refuse(("name", f"{request.name!r} must name a version, as in <model>@1."))
        version = self.registry.find(request.name)
        if len(self.registry.versions(version.name)) == 1:
            message = f"Version {version.version_id} is the only one of {version.name}. Delete the Model instead."
            raise FailedPreconditionError(message)
        if DEFAULT in version.version_aliases:
            message = (
                f"Version {version.version_id} of {version.name} is the default one. Make another the default first."
            )
            raise FailedPreconditionError(message)

        def work() -> None:
            _check_undeployed(self.registry.find(request.name))
            self.registry.remove_version(version)

        return self._deletion(version.name, work)

    def _deletion(self, name: str, delete: Callable[[], None]) -> Any:
        def work() -> Any:
            with self._resources.unchanging():
                delete()
            return empty_pb2.Empty()

        return self._operations.start(name, pb.DeleteOperationMetadata(), work)

    def _export(self, request: Any) -> Any:
        version = self.registry.find(request.name)
        wanted = request.output_config.export_format_id
        formats = [item.id for item in version.supported_export_formats]
        if wanted not in formats:
            refuse(("output_config.export_format_id", f"{wanted!r} is none of the Model's formats {formats}."))
        base = request.output_config.artifact_destination.output_uri_prefix
        if not base:
            refuse(("output_config.artifact_destination.output_uri_prefix", "Required field is not set."))
        metadata = pb.ExportModelOperationMetadata()
        metadata.generic_metadata.create_time.GetCurrentTime()
        when = metadata.generic_metadata.create_time.ToJsonString().replace(":", "-")
        target = f"{base.rstrip('/')}/model-{version.name.rsplit('/', 1)[1]}/{wanted}/{when}"
        metadata.output_info.artifact_output_uri = target
        objects = self._surroundings.objects(project_of(version.name))

        def work() -> Any:
            top = version.artifact_uri.rstrip("/") + "/"
            try:
                for item in objects.under(top):
                    objects.write(f"{target}/{item.uri.removeprefix(top)}", objects.read(item.uri))
            except ObjectError as error:
                raise FailedPreconditionError(str(error)) from error
            return pb.ExportModelResponse()

        return self._operations.start(version.name, metadata, work)


def _complete(model: Any) -> None:
    """Set what only the service sets."""
    for field in ("deployed_models", "supported_export_formats", "etag"):
        model.ClearField(field)
    if model.artifact_uri:
        contents = [types.Model.ExportFormat.ExportableContent.ARTIFACT]
        model.supported_export_formats.add(id="custom-trained", exportable_contents=contents)
    del model.supported_deployment_resources_types[:]
    model.supported_deployment_resources_types.append(types.Model.DeploymentResourcesType.DEDICATED_RESOURCES)
    del model.supported_input_storage_formats[:]
    model.supported_input_storage_formats.extend(_INPUT_FORMATS)
    del model.supported_output_storage_formats[:]
    model.supported_output_storage_formats.append("jsonl")
    model.model_source_info.source_type = types.ModelSourceInfo.ModelSourceType.CUSTOM
    model.etag = etag_of(model)


def _merge_masked(given: Any, found: Any, mask: field_mask_pb2.FieldMask) -> None:
    """Replace the masked fields: a mask's merge adds to maps and lists instead."""
    for path in mask.paths:
        if path == "labels":
            found.labels.clear()
        elif path == "version_aliases":
            del found.version_aliases[:]
    field_mask_pb2.FieldMask(paths=mask.paths).MergeMessage(given, found, replace_repeated_field=True)


def _check_undeployed(version: Any) -> None:
    if version.deployed_models:
        ids = ", ".join(f"{item.deployed_model_id} on {item.endpoint}" for item in version.deployed_models)
        raise FailedPreconditionError(
            f"The Model {version.name}@{version.version_id} is deployed: {ids}. Undeploy it first."
        )
