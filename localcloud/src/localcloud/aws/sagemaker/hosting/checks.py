"""What SageMaker refuses when a model is created, and what cannot be served here."""

from collections.abc import Mapping, Sequence
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.objects import ObjectStore, split_uri
from localcloud.aws.sagemaker.constraints import check_constraints
from localcloud.aws.sagemaker.hosting.container import model_data
from localcloud.aws.sagemaker.jobs.checks import unsupported
from localcloud.aws.sagemaker.jobs.failures import JobFailedError

# what a container may ask for and cannot have here
_CONTAINER_FIELDS = ("ImageConfig", "AdditionalModelDataSources", "MultiModelConfig")


def check_model(request: Mapping[str, Any], objects: ObjectStore) -> None:
    """Check a CreateModel request."""
    check_constraints("CreateModel", dict(request))
    primary, several = request.get("PrimaryContainer"), request.get("Containers") or []
    if primary and several:
        message = "Both PrimaryContainer and Containers cannot be provided. Provide only one of them."
        raise ValidationError(message)
    if not primary and not several:
        message = "Either PrimaryContainer or Containers must be provided."
        raise ValidationError(message)
    if (request.get("InferenceExecutionConfig") or {}).get("Mode", "Serial") != "Serial":
        unsupported("InferenceExecutionConfig Mode Direct")
    for container in [primary] if primary else several:
        _check_container(container, objects)
    _check_hostnames(several)


def _check_container(container: Mapping[str, Any], objects: ObjectStore) -> None:
    if not container.get("Image") and not container.get("ModelPackageName"):
        message = "Either Image or ModelPackageName must be provided for a container."
        raise ValidationError(message)
    if container.get("Mode", "SingleModel") != "SingleModel":
        unsupported(f"a container of Mode {container['Mode']}")
    for field in _CONTAINER_FIELDS:
        if container.get(field):
            unsupported(f"{field} of a container")
    if container.get("ModelDataUrl") and container.get("ModelDataSource"):
        message = "Both ModelDataUrl and ModelDataSource cannot be provided. Provide only one of them."
        raise ValidationError(message)
    source = model_data(container)
    if source is None:
        return
    uri = source["S3Uri"]
    if source["S3DataType"] == "S3Prefix" and source["CompressionType"] != "None":
        message = "CompressionType Gzip requires S3DataType S3Object."
        raise ValidationError(message)
    if source["S3DataType"] == "S3Prefix" and not uri.endswith("/"):
        message = f"The S3Uri {uri} must end with a slash when S3DataType is S3Prefix."
        raise ValidationError(message)
    if not _holds_model(objects, uri, exact=source["S3DataType"] == "S3Object"):
        message = f"Could not find model data at {uri}."
        raise ValidationError(message)


def _holds_model(objects: ObjectStore, uri: str, *, exact: bool) -> bool:
    try:
        _, key = split_uri(uri)
        found = objects.problem_with(uri) is None
        return found and (not exact or any(item.key == key for item in objects.under(uri)))
    except JobFailedError as error:  # not an S3 address
        raise ValidationError(str(error).removeprefix("ClientError: ")) from error


def _check_hostnames(containers: Sequence[Mapping[str, Any]]) -> None:
    names = [container["ContainerHostname"] for container in containers if container.get("ContainerHostname")]
    if len(names) != len(set(names)):
        message = f"The ContainerHostname values {', '.join(names)} must be unique within a model."
        raise ValidationError(message)
