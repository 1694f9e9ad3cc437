"""What SageMaker refuses when a model package is created or changed, and what the registry does not do here."""

from collections.abc import Mapping, Sequence
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.jobs.checks import split_address, unsupported

SPECIFICATIONS_LIMIT = 15
METADATA_LIMIT = 50
_NEEDED_WITHOUT_VERSION = (
    "SupportedTransformInstanceTypes",
    "SupportedRealtimeInferenceInstanceTypes",
    "SupportedContentTypes",
    "SupportedResponseMIMETypes",
)


def check_creation(request: dict[str, Any]) -> None:
    """Check a CreateModelPackage request."""
    versioned = bool(request.get("ModelPackageGroupName"))
    if versioned and request.get("ModelPackageName"):
        message = (
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot determine which one to "
            "use."
        )
        raise ValidationError(message)
    if not versioned and not request.get("ModelPackageName"):
        message = "Missing ARN."
        raise ValidationError(message)
    for field in ("ValidationSpecification", "SourceAlgorithmSpecification", "CertifyForMarketplace"):
        if request.get(field):
            unsupported(f"{field} of a model package")
    if request.get("ManagedStorageType"):
        unsupported("ManagedStorageType of a model package")
    if versioned and request.get("Tags"):
        message = "Tags cannot be specified for a versioned model package: it uses the tags of its model package group."
        raise ValidationError(message)
    specification = request.get("InferenceSpecification")
    if not versioned:
        _check_unversioned(request, specification)
    if specification:
        check_containers(specification["Containers"], versioned=versioned)
    _check_additional(request.get("AdditionalInferenceSpecifications") or [])
    check_reports(request)


def check_update(request: dict[str, Any], present: Mapping[str, Any]) -> None:
    """Check an UpdateModelPackage request of a package whose fields are `present`."""
    if present.get("ModelPackageVersion") is None:
        message = f"Model package {request['ModelPackageArn']} is not versioned; only versions can be updated."
        raise ValidationError(message)
    if request.get("InferenceSpecification"):
        check_containers(request["InferenceSpecification"]["Containers"], versioned=True)
    additional = [
        *(present.get("AdditionalInferenceSpecifications") or []),
        *(request.get("AdditionalInferenceSpecificationsToAdd") or []),
    ]
    _check_additional(additional)


def check_containers(containers: Sequence[Mapping[str, Any]], *, versioned: bool) -> None:
    """Check the containers of an InferenceSpecification."""
    for container in containers:
        if not container.get("Image"):
            message = "Image must be provided for every container of an InferenceSpecification."
            raise ValidationError(message)
        if container.get("ModelDataUrl") and container.get("ModelDataSource"):
            message = "Both ModelDataUrl and ModelDataSource cannot be provided. Provide only one of them."
            raise ValidationError(message)
        if container.get("ModelDataUrl"):
            split_address("modelDataUrl", container["ModelDataUrl"])
        if container.get("Environment") and not versioned:
            # the blank after the colon is missing on AWS, too
            message = (
                "1 validation errors detected:Environment variable map cannot be specified when using non-versioned "
                "ModelPackages"
            )
            raise ValidationError(message)


def check_reports(request: Mapping[str, Any]) -> None:
    """Refuse reports that are not in S3; whether they are there is the reader's business, as on AWS."""
    for field in ("ModelMetrics", "DriftCheckBaselines"):
        for section, reports in (request.get(field) or {}).items():
            for name, report in reports.items():
                split_address(f"{field[0].lower()}{field[1:]}.{section}.{name}.s3Uri", report["S3Uri"])


def _check_unversioned(request: Mapping[str, Any], specification: Mapping[str, Any] | None) -> None:
    if request.get("ModelApprovalStatus"):
        message = "ModelApprovalStatus can only be specified for a versioned model package."
        raise ValidationError(message)
    if not specification:
        message = "InferenceSpecification must be provided for an unversioned model package."
        raise ValidationError(message)
    missing = [field for field in _NEEDED_WITHOUT_VERSION if not specification.get(field)]
    if missing:
        message = f"{', '.join(missing)} of InferenceSpecification must be provided for an unversioned model package."
        raise ValidationError(message)


def _check_additional(specifications: Sequence[Mapping[str, Any]]) -> None:
    if len(specifications) > SPECIFICATIONS_LIMIT:
        message = (
            f"The number of additional inference specifications ({len(specifications)}) exceeds the limit of "
            f"{SPECIFICATIONS_LIMIT}."
        )
        raise ValidationError(message)
    names = [specification["Name"] for specification in specifications]
    if len(names) != len(set(names)):
        message = "The names of additional inference specifications must be unique within a model package."
        raise ValidationError(message)
    for specification in specifications:
        check_containers(specification["Containers"], versioned=True)
