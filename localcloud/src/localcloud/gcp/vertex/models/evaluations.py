"""ModelService: evaluations that somebody made elsewhere, imported beside a model's version.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#google.cloud.aiplatform.v1.ModelEvaluation
"""

from collections.abc import Mapping
from typing import Any

from localcloud.gcp.vertex.errors import NotFoundError, refuse
from localcloud.gcp.vertex.listing.pages import Listed, list_page
from localcloud.gcp.vertex.messages import pb
from localcloud.gcp.vertex.models.registry import Registry
from localcloud.gcp.vertex.names import new_id
from localcloud.gcp.vertex.resources import Resources
from localcloud.gcp.vertex.server import Method

_COLLECTION = "evaluations"


class Evaluations:
    """Import, get, list."""

    def __init__(self, resources: Resources, registry: Registry) -> None:
        """Keep evaluations beside the models of `registry`."""
        self._resources = resources
        self._registry = registry

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        return {
            "ModelService/ImportModelEvaluation": self._import,
            "ModelService/GetModelEvaluation": self._get,
            "ModelService/ListModelEvaluations": self._list,
        }

    def _import(self, request: Any) -> Any:
        version = self._registry.find(request.parent)
        evaluation = request.model_evaluation
        if not evaluation.metrics_schema_uri:
            refuse(("model_evaluation.metrics_schema_uri", "Required field is not set."))
        if not evaluation.HasField("metrics"):
            refuse(("model_evaluation.metrics", "Required field is not set."))
        evaluation.name = f"{version.name}/evaluations/{new_id()}"
        evaluation.create_time.GetCurrentTime()
        self._resources.add(f"{version.name}@{version.version_id}", _COLLECTION, evaluation)
        return evaluation

    def _get(self, request: Any) -> Any:
        found = self._resources.get(request.name)
        if found is None or found.DESCRIPTOR.name != "ModelEvaluation":
            raise NotFoundError(f"The ModelEvaluation {request.name!r} does not exist.")
        return found

    def _list(self, request: Any) -> Any:
        version = self._registry.find(request.parent)
        found = self._resources.under(f"{version.name}@{version.version_id}", _COLLECTION)
        page = list_page(Listed.of(request), found)
        return pb.ListModelEvaluationsResponse(model_evaluations=page.items, next_page_token=page.next_token)
