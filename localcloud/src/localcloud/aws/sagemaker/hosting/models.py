"""Models: what a container serves."""

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.constraints import check_constraints
from localcloud.aws.sagemaker.front import Front
from localcloud.aws.sagemaker.hosting.checks import check_model
from localcloud.aws.sagemaker.hosting.container import model_data
from localcloud.aws.sagemaker.pages import listed
from localcloud.aws.sagemaker.registry.records import Package, check_deployable, stored_package


class Models(Front):
    """The operations of models that differ from moto's."""

    def create_model(self) -> ActionResult:
        """Store a model under a free name (moto overwrites), with all that was asked for."""
        request = self.request_body()
        check_model(request, self.running.connections.objects())
        for container in [request.get("PrimaryContainer") or {}, *(request.get("Containers") or [])]:
            self._resolved(container)
            if container.get("ModelPackageName"):
                check_deployable(self._package(container["ModelPackageName"]))
        with self.running.creating:
            existing = self._models.get(request["ModelName"])
            if existing is not None:
                message = f'Cannot create already existing model "{existing.arn}".'
                raise ValidationError(message)
            answer = super().create_model()
            model = self._models[request["ModelName"]]
            model.primary_container = request.get("PrimaryContainer")
            model.containers = request.get("Containers") or []
            model.enable_network_isolation = request.get("EnableNetworkIsolation", False)
            model.inference_execution_config = request.get("InferenceExecutionConfig")
        return answer

    def describe_model(self) -> ActionResult:
        """Describe a model as AWS does: every container with its mode, its data and its environment."""
        model = self._known_model(self._get_param("ModelName"))
        described = {
            "ModelName": model.model_name,
            "ModelArn": model.arn,
            "ExecutionRoleArn": model.execution_role_arn,
            "CreationTime": model.creation_time,
            "EnableNetworkIsolation": model.enable_network_isolation,
            "VpcConfig": model.vpc_config or None,
            "InferenceExecutionConfig": getattr(model, "inference_execution_config", None),
            "PrimaryContainer": _described(model.primary_container) if model.primary_container else None,
            "Containers": [_described(container) for container in model.containers] or None,
        }
        return ActionResult({field: value for field, value in described.items() if value is not None})

    def delete_model(self) -> EmptyResult:
        """Delete a model; what it serves goes on."""
        self._known_model(self._get_param("ModelName"))
        super().delete_model()
        return EmptyResult()

    def list_models(self) -> ActionResult:
        """List models (moto knows neither filter, nor order, nor pages)."""
        request = self.request_body()
        check_constraints("ListModels", request)
        found, token = listed(self._models.values(), request, lambda model: str(model.model_name))
        models = [
            {"ModelName": model.model_name, "ModelArn": model.arn, "CreationTime": model.creation_time}
            for model in found
        ]
        return ActionResult({"Models": models, "NextToken": token})

    def model_containers(self, name: str) -> tuple[list[dict[str, Any]], str]:
        """Return a model's containers and its role; refuse an unknown model in AWS's words.

        A container that names a model package gets the package's image and artifact.
        """
        model = self._known_model(name)
        stored = [model.primary_container] if model.primary_container else model.containers
        return [self._resolved(container) for container in stored], model.execution_role_arn

    @property
    def _models(self) -> dict[str, Any]:
        models: dict[str, Any] = self.sagemaker_backend._models  # noqa: SLF001 - moto offers no other way
        return models

    def _known_model(self, name: str) -> Any:
        if name not in self._models:
            message = f'Could not find model "{self.arn_of("model", name)}".'
            raise ValidationError(message)
        return self._models[name]

    def arn_of(self, kind: str, name: str) -> str:
        """Return the ARN of a SageMaker resource of this request's account and region."""
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.current_account}:{kind}/{name}"

    def _resolved(self, container: dict[str, Any]) -> dict[str, Any]:
        package = container.get("ModelPackageName")
        if not package:
            return container
        found = self._package(package)
        if not found.inference_specification:
            message = f"The model package {package} has no InferenceSpecification, so no model can be made from it."
            raise ValidationError(message)
        specified = found.inference_specification["Containers"][0]
        variables = {**(specified.get("Environment") or {}), **(container.get("Environment") or {})}
        return {**specified, **container, "Environment": variables}

    def _package(self, name: str) -> Package:
        arn = name if name.startswith("arn:") else self.arn_of("model-package", name.lower())
        return stored_package(self.sagemaker_backend, arn)


def _described(container: dict[str, Any]) -> dict[str, Any]:
    """Return a container with what AWS adds to it."""
    source = model_data(container)
    return {
        "Mode": "SingleModel",
        "Environment": {},
        **({"ModelDataSource": {"S3DataSource": source}} if source else {}),
        **container,
    }
