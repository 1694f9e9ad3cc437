"""PredictionService: requests to the models of an endpoint.

What it does not do: Explain, streams, gRPC to the container.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#predictionservice
"""

import json
from collections.abc import Mapping
from typing import Any

import grpc
from google.api import httpbody_pb2
from google.protobuf import json_format

from localcloud.gcp.vertex.endpoints.api import Endpoints
from localcloud.gcp.vertex.endpoints.traffic import choose
from localcloud.gcp.vertex.errors import VertexError
from localcloud.gcp.vertex.messages import pb
from localcloud.gcp.vertex.models.api import Models
from localcloud.gcp.vertex.server import Method
from localcloud.gcp.vertex.serving.container import Answer, ContainerError

# what Vertex AI gives a container for one request
PREDICT_SECONDS = 60.0
_OK = range(200, 300)
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.ABORTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class PredictionError(VertexError):
    """The model did not answer the request."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        """Keep the code."""
        super().__init__(message)
        self.code = code


class Predictions:
    """Predict and RawPredict."""

    def __init__(self, endpoints: Endpoints, models: Models) -> None:
        """Ask the models of `endpoints`."""
        self._endpoints = endpoints
        self._models = models

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        return {
            "PredictionService/Predict": self._predict,
            "PredictionService/RawPredict": self._raw_predict,
        }

    def _predict(self, request: Any) -> Any:
        body: dict[str, Any] = {"instances": [json_format.MessageToDict(item) for item in request.instances]}
        if request.HasField("parameters"):
            body["parameters"] = json_format.MessageToDict(request.parameters)
        deployed, answer = self._ask(request.endpoint, json.dumps(body).encode(), "application/json")
        try:
            content = json.loads(answer.body)
            predictions = content["predictions"]
        except (ValueError, LookupError, TypeError) as error:
            said = answer.body.decode(errors="replace")
            message = f'The model server answered without "predictions": {said}'
            raise PredictionError(grpc.StatusCode.INTERNAL, message) from error
        response = pb.PredictResponse(
            deployed_model_id=deployed.id,
            model=deployed.model,
            model_version_id=deployed.model_version_id,
            model_display_name=self._models.registry.find(f"{deployed.model}@{deployed.model_version_id}").display_name,
        )
        for prediction in predictions:
            json_format.ParseDict(prediction, response.predictions.add())
        if "metadata" in content:
            json_format.ParseDict(content["metadata"], response.metadata)
        return response

    def _raw_predict(self, request: Any) -> Any:
        content_type = request.http_body.content_type or "application/json"
        _, answer = self._ask(request.endpoint, request.http_body.data, content_type)
        return httpbody_pb2.HttpBody(content_type=answer.content_type, data=answer.body)

    def _ask(self, name: str, body: bytes, content_type: str) -> tuple[Any, Answer]:
        endpoint = self._endpoints.find(name)
        deployed = choose(endpoint)
        try:
            container = self._endpoints.deployments.choose(name, deployed.id)
            answer = container.predict(body, {"Content-Type": content_type}, PREDICT_SECONDS)
        except ContainerError as error:
            raise PredictionError(grpc.StatusCode.UNAVAILABLE, str(error)) from error
        if answer.status not in _OK:
            code = _CODES.get(answer.status, grpc.StatusCode.INTERNAL)
            said = answer.body.decode(errors="replace")
            raise PredictionError(code, f"The model server answered {answer.status}: {said}")
        return deployed, answer
