"""DatasetService: tabular datasets over CSV files in Cloud Storage.

What it does not do: images, texts, videos and their annotations; BigQuery; import and export of data.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#datasetservice
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import field_mask_pb2, json_format

from localcloud.gcp.vertex.collection import Collection, Kind
from localcloud.gcp.vertex.custom_jobs.api import check_display_name
from localcloud.gcp.vertex.errors import refuse, unsupported
from localcloud.gcp.vertex.messages import pb
from localcloud.gcp.vertex.models.registry import etag_of
from localcloud.gcp.vertex.names import check_parent, new_id
from localcloud.gcp.vertex.server import Method
from localcloud.gcp.vertex.surroundings import Surroundings

DATASET = Kind("DatasetService", "Dataset", "datasets", "datasets")
_TABULAR = "tabular_1.0.0.yaml"
_UPDATABLE = {"display_name", "description", "labels"}


class Datasets:
    """Create, get, list, update, delete."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Serve the datasets of `surroundings`."""
        self._resources = surroundings.resources
        self._operations = surroundings.operations
        self._collection = Collection(DATASET, surroundings.resources, surroundings.operations)

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        return {
            **self._collection.methods(),
            "DatasetService/CreateDataset": self._create,
            "DatasetService/UpdateDataset": self._update,
        }

    def find(self, name: str) -> Any:
        """Return a dataset.

        Raises:
            NotFoundError: There is none.
        """
        return self._collection.find(name)

    def _create(self, request: Any) -> Any:
        dataset = request.dataset
        check_parent(request.parent)
        check_display_name("dataset.display_name", dataset.display_name)
        if not dataset.metadata_schema_uri:
            refuse(("dataset.metadata_schema_uri", "Required field is not set."))
        if not dataset.metadata_schema_uri.endswith(_TABULAR):
            unsupported(f"datasets of {dataset.metadata_schema_uri!r} (only …/{_TABULAR})")
        if not sources_of(dataset):
            refuse(("dataset.metadata.inputConfig.gcsSource.uri", "Required field is not set (there is no BigQuery)."))

        def work() -> Any:
            dataset.name = f"{request.parent}/datasets/{new_id()}"
            dataset.create_time.GetCurrentTime()
            dataset.update_time.CopyFrom(dataset.create_time)
            dataset.etag = etag_of(dataset)
            self._resources.add(request.parent, DATASET.collection, dataset)
            return dataset

        return self._operations.start(request.parent, pb.CreateDatasetOperationMetadata(), work)

    def _update(self, request: Any) -> Any:
        unknown = {path.split(".")[0] for path in request.update_mask.paths} - _UPDATABLE
        if unknown or not request.update_mask.paths:
            refuse(("update_mask", f"must name some of {sorted(_UPDATABLE)}, got {list(request.update_mask.paths)}."))
        self._collection.find(request.dataset.name)
        with self._resources.change(request.dataset.name) as dataset:
            if "labels" in request.update_mask.paths:
                dataset.labels.clear()
            field_mask_pb2.FieldMask(paths=request.update_mask.paths).MergeMessage(request.dataset, dataset)
            dataset.update_time.GetCurrentTime()
            dataset.etag = etag_of(dataset)
            return dataset


def sources_of(dataset: Any) -> list[str]:
    """Return the addresses of a tabular dataset's files; fields are spelled as in JSON or as in proto."""
    found: Any = json_format.MessageToDict(dataset.metadata)
    for camel, snake in (("inputConfig", "input_config"), ("gcsSource", "gcs_source")):
        found = found.get(camel) or found.get(snake) if isinstance(found, dict) else None
    uris = found.get("uri") if isinstance(found, dict) else None
    return [uris] if isinstance(uris, str) else list(uris or [])
