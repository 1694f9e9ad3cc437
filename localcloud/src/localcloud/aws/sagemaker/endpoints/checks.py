"""What SageMaker refuses in endpoint configurations and endpoints, and what cannot run here."""

from collections.abc import Mapping, Sequence
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.objects import split_uri
from localcloud.aws.sagemaker.constraints import check_constraints
from localcloud.aws.sagemaker.jobs.checks import unsupported
from localcloud.aws.sagemaker.jobs.failures import JobFailedError

_MEMORY_SIZES = [1024, 2048, 3072, 4096, 5120, 6144]
_UNSUPPORTED = ("ShadowProductionVariants", "ExplainerConfig", "MetricsConfig")
_UNSUPPORTED_OF_VARIANT = (
    "AcceleratorType",
    "InstancePools",
    "CoreDumpConfig",
    "ManagedInstanceScaling",
    "CapacityReservationConfig",
)


def check_config(request: Mapping[str, Any]) -> None:
    """Check a CreateEndpointConfig request; that the models exist is the caller's to check."""
    check_constraints("CreateEndpointConfig", dict(request))
    for field in _UNSUPPORTED:
        if request.get(field):
            unsupported(f"{field} of an endpoint configuration")
    variants = request["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    check_unique(names)
    for number, variant in enumerate(variants, start=1):
        _check_variant(variant, f"productionVariants.{number}.member")
    if request.get("AsyncInferenceConfig"):
        _check_async(request["AsyncInferenceConfig"], variants)
    if request.get("DataCaptureConfig"):
        _check_address(request["DataCaptureConfig"]["DestinationS3Uri"])


def check_unique(names: Sequence[str]) -> None:
    """Refuse a variant that is named twice."""
    for name in names:
        if names.count(name) > 1:
            message = f'The variant name "{name}" was non-unique within the request.'
            raise ValidationError(message)


def check_deployment(request: Mapping[str, Any]) -> None:
    """Refuse ways to deploy that do not exist here: all at once is the only one."""
    deployment = request.get("DeploymentConfig") or {}
    if deployment.get("RollingUpdatePolicy"):
        unsupported("DeploymentConfig RollingUpdatePolicy")
    if (deployment.get("AutoRollbackConfiguration") or {}).get("Alarms"):
        unsupported("DeploymentConfig AutoRollbackConfiguration")
    policy = deployment.get("BlueGreenUpdatePolicy") or {}
    kind = (policy.get("TrafficRoutingConfiguration") or {}).get("Type", "ALL_AT_ONCE")
    if kind != "ALL_AT_ONCE":
        unsupported(f"DeploymentConfig TrafficRoutingConfiguration {kind}")
    if policy.get("TerminationWaitInSeconds"):
        unsupported("DeploymentConfig TerminationWaitInSeconds")


def _check_variant(variant: Mapping[str, Any], field: str) -> None:
    for name in _UNSUPPORTED_OF_VARIANT:
        if variant.get(name):
            unsupported(f"{name} of a production variant")
    if not variant.get("ModelName"):
        unsupported("a production variant without ModelName (inference components)")
    serverless = variant.get("ServerlessConfig")
    if not serverless:
        if not variant.get("InstanceType") or not variant.get("InitialInstanceCount"):
            message = (
                f"The production variant {variant['VariantName']} requires InstanceType and InitialInstanceCount, "
                "or ServerlessConfig."
            )
            raise ValidationError(message)
        return
    if variant.get("InstanceType") or variant.get("InitialInstanceCount"):
        message = (
            f"The production variant {variant['VariantName']} cannot have both ServerlessConfig and InstanceType or "
            "InitialInstanceCount."
        )
        raise ValidationError(message)
    if serverless["MemorySizeInMB"] not in _MEMORY_SIZES:
        message = (
            f"1 validation error detected: Value '{serverless['MemorySizeInMB']}' at "
            f"'{field}.serverlessConfig.memorySizeInMB' failed to satisfy constraint: Member must satisfy enum value "
            f"set: {_MEMORY_SIZES}"
        )
        raise ValidationError(message)


def _check_async(config: Mapping[str, Any], variants: Sequence[Mapping[str, Any]]) -> None:
    if any(variant.get("ServerlessConfig") for variant in variants):
        message = "AsyncInferenceConfig is not supported with ServerlessConfig."
        raise ValidationError(message)
    output = config["OutputConfig"]
    if (output.get("NotificationConfig") or {}).get("IncludeInferenceResponseIn"):
        unsupported("IncludeInferenceResponseIn")
    if not output.get("S3OutputPath"):
        message = "AsyncInferenceConfig requires OutputConfig.S3OutputPath."
        raise ValidationError(message)
    _check_address(output["S3OutputPath"])
    if output.get("S3FailurePath"):
        _check_address(output["S3FailurePath"])


def _check_address(uri: str) -> None:
    try:
        split_uri(uri)
    except JobFailedError as error:
        raise ValidationError(str(error).removeprefix("ClientError: ")) from error
