"""Endpoint configurations."""

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.constraints import check_constraints
from localcloud.aws.sagemaker.endpoints.checks import check_config
from localcloud.aws.sagemaker.hosting.models import Models
from localcloud.aws.sagemaker.pages import listed

# what a configuration may hold beyond what moto keeps
_KEPT = (
    "AsyncInferenceConfig",
    "DataCaptureConfig",
    "KmsKeyId",
    "VpcConfig",
    "ExecutionRoleArn",
    "EnableNetworkIsolation",
)
# moto's own list of instance types is older than the API's model, which has been asked before
_TYPE_KNOWN_TO_MOTO = "ml.m5.large"
DEFAULT_WEIGHT = 1.0


class EndpointConfigs(Models):
    """Create, describe, delete, list."""

    def create_endpoint_config(self) -> ActionResult:
        """Store a configuration under a free name (moto overwrites)."""
        request = self.request_body()
        check_config(request)
        variants = [completed(variant) for variant in request["ProductionVariants"]]
        for variant in variants:
            self.model_containers(variant["ModelName"])
        name = request["EndpointConfigName"]
        with self.running.creating:
            existing = self._configs.get(name)
            if existing is not None:
                message = f'Cannot create already existing endpoint configuration "{existing.endpoint_config_arn}".'
                raise ValidationError(message)
            stored = self.sagemaker_backend.create_endpoint_config(
                endpoint_config_name=name,
                production_variants=[{**variant, "InstanceType": _TYPE_KNOWN_TO_MOTO} for variant in variants],
                tags=request.get("Tags") or [],
                kms_key_id=request.get("KmsKeyId", ""),
                data_capture_config=request.get("DataCaptureConfig") or {},
                async_inference_config=request.get("AsyncInferenceConfig") or {},
            )
            stored.production_variants = variants
            # moto keeps a tuple of one here, which its tagging API cannot read
            vars(stored)["arn"] = stored.endpoint_config_arn
            vars(stored)["request"] = {field: request[field] for field in _KEPT if request.get(field)}
        return ActionResult({"EndpointConfigArn": stored.endpoint_config_arn})

    def describe_endpoint_config(self) -> ActionResult:
        """Describe a configuration."""
        stored = self.known_config(self._get_param("EndpointConfigName"))
        return ActionResult(
            {
                "EndpointConfigName": stored.endpoint_config_name,
                "EndpointConfigArn": stored.endpoint_config_arn,
                "ProductionVariants": stored.production_variants,
                "CreationTime": stored.creation_time,
                "EnableNetworkIsolation": False,
                **kept(stored),
            }
        )

    def delete_endpoint_config(self) -> EmptyResult:
        """Delete a configuration; endpoints that were made from it go on."""
        name = self._get_param("EndpointConfigName")
        self.known_config(name)
        del self._configs[name]
        return EmptyResult()

    def list_endpoint_configs(self) -> ActionResult:
        """List configurations (moto sorts ascending)."""
        request = self.request_body()
        check_constraints("ListEndpointConfigs", request)
        found, token = listed(self._configs.values(), request, lambda config: str(config.endpoint_config_name))
        return ActionResult({"EndpointConfigs": [config.summary() for config in found], "NextToken": token})

    def known_config(self, name: str) -> Any:
        """Return a stored configuration, or refuse in AWS's words."""
        if name not in self._configs:
            message = f'Could not find endpoint configuration "{self.arn_of("endpoint-config", name)}".'
            raise ValidationError(message)
        return self._configs[name]

    @property
    def _configs(self) -> dict[str, Any]:
        configs: dict[str, Any] = self.sagemaker_backend.endpoint_configs
        return configs


def kept(stored: Any) -> dict[str, Any]:
    """Return what a configuration asks for beyond its variants."""
    request: dict[str, Any] = getattr(stored, "request", {})
    return request


def completed(variant: dict[str, Any]) -> dict[str, Any]:
    """Return a variant with AWS's defaults."""
    return {"InitialVariantWeight": DEFAULT_WEIGHT, **variant}
