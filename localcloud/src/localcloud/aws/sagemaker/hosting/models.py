"""Models: what a container serves."""

from typing import Any

from moto.core.responses import ActionResult
from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.front import Front


class Models(Front):
    """The operations of models that differ from moto's."""

    def create_model(self) -> ActionResult:
        """Refuse a name that is taken (moto overwrites)."""
        existing = self.sagemaker_backend._models.get(self._get_param("ModelName"))  # noqa: SLF001 - moto offers no other
        if existing is not None:
            message = f'Cannot create already existing model "{existing.arn}".'
            raise ValidationError(message)
        return super().create_model()

    def model_containers(self, name: str) -> tuple[list[dict[str, Any]], str]:
        """Return a model's containers and its role; refuse an unknown model in AWS's words.

        A container that names a model package gets the package's image and artifact.
        """
        model = self.sagemaker_backend._models.get(name)  # noqa: SLF001 - moto offers no other way
        if model is None:
            message = f'Could not find model "{name}".'
            raise ValidationError(message)
        stored = [model.primary_container] if model.primary_container else model.containers
        return [self._resolved(container) for container in stored], model.execution_role_arn

    def _resolved(self, container: dict[str, Any]) -> dict[str, Any]:
        package = container.get("ModelPackageName")
        if not package:
            return container
        found = self.sagemaker_backend.describe_model_package(package)
        return {**found.inference_specification["Containers"][0], **container}
