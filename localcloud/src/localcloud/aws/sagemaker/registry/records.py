"""What is kept of a model package group and of a model package: the request, and what the registry adds to it.

A record lives in the table of moto's backend that moto keeps its own in, so that tags, Search and resets cover it; it
has the attributes that these look for.
"""

import re
from collections.abc import Mapping
from typing import Any

from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.jobs.records import utc_now

COMPLETED = "Completed"
PENDING_APPROVAL = "PendingManualApproval"
# fields of CreateModelPackage that DescribeModelPackage repeats; the rest say what to do once
_REPEATED = (
    "ModelPackageDescription",
    "ModelPackageRegistrationType",
    "InferenceSpecification",
    "MetadataProperties",
    "ModelMetrics",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "CustomerMetadataProperties",
    "DriftCheckBaselines",
    "AdditionalInferenceSpecifications",
    "SkipModelValidation",
    "SourceUri",
    "SecurityConfig",
    "ModelCard",
    "ModelLifeCycle",
)


class _Record:
    """A resource as its Describe operation shows it: `shown` holds the fields."""

    def __init__(self, arn: str, tags: list[dict[str, str]], shown: dict[str, Any]) -> None:
        self.arn = arn
        self.tags = tags
        self.creation_time = utc_now()
        self.shown = {**shown, "CreationTime": self.creation_time}

    def __getattr__(self, name: str) -> Any:
        """Return a field by the name that moto's Search asks for, as in `model_approval_status`."""
        if name.startswith("_") or "shown" not in vars(self):
            raise AttributeError(name)
        field = "".join(part.capitalize() for part in name.split("_"))
        if field not in self.shown:
            raise AttributeError(name)
        return self.shown[field]

    def gen_response_object(self) -> dict[str, Any]:
        """Return what Describe answers (moto's Search calls it)."""
        return {field: value for field, value in self.shown.items() if value is not None}


class PackageGroup(_Record):
    """A model package group. `last_version` is the highest version that a package of it ever had."""

    def __init__(self, arn: str, request: Mapping[str, Any]) -> None:
        """Take the request of CreateModelPackageGroup."""
        self.last_version = 0
        self.policy: str | None = None
        shown = {
            "ModelPackageGroupName": request["ModelPackageGroupName"],
            "ModelPackageGroupArn": arn,
            "ModelPackageGroupDescription": request.get("ModelPackageGroupDescription"),
            "CreatedBy": {},
            "ModelPackageGroupStatus": COMPLETED,
        }
        super().__init__(arn, list(request.get("Tags") or []), shown)

    @property
    def name(self) -> str:
        """The group's name."""
        return str(self.shown["ModelPackageGroupName"])

    def summary(self) -> dict[str, Any]:
        """Return what ListModelPackageGroups shows."""
        return {field: value for field, value in self.gen_response_object().items() if field != "CreatedBy"}


class Package(_Record):
    """A model package: version `version` of a group, or unversioned (version None)."""

    def __init__(self, arn: str, request: Mapping[str, Any], version: int | None, tags: list[dict[str, str]]) -> None:
        """Take the request of CreateModelPackage."""
        shown = {field: request.get(field) for field in _REPEATED}
        shown |= {
            "ModelPackageArn": arn,
            "ModelPackageStatus": COMPLETED,
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CertifyForMarketplace": False,
            "CreatedBy": {},
        }
        # the fields of the other kind stay known, so that Search can ask for them
        versioned = version is not None
        shown |= {
            "ModelPackageName": None if versioned else request["ModelPackageName"],
            "ModelPackageGroupName": bare_name(request["ModelPackageGroupName"]) if versioned else None,
            "ModelPackageVersion": version,
            "ModelApprovalStatus": request.get("ModelApprovalStatus", PENDING_APPROVAL) if versioned else None,
        }
        self.version = version
        self.client_token = request.get("ClientToken")
        super().__init__(arn, tags, shown)

    @property
    def name(self) -> str:
        """The name that lists filter and order by: the group's for a version."""
        return str(self.group or self.shown["ModelPackageName"])

    @property
    def group(self) -> str | None:
        """The name of its group."""
        return self.shown.get("ModelPackageGroupName")

    @property
    def inference_specification(self) -> dict[str, Any] | None:
        """How it is served."""
        return self.shown["InferenceSpecification"]  # type: ignore[no-any-return] # JSON

    @property
    def approval(self) -> str | None:
        """The approval state; None of an unversioned package."""
        return self.shown.get("ModelApprovalStatus")

    def update(self, fields: Mapping[str, Any]) -> None:
        """Change fields."""
        self.shown = {**self.shown, **fields, "LastModifiedTime": utc_now(), "LastModifiedBy": {}}

    def summary(self) -> dict[str, Any]:
        """Return what ListModelPackages shows."""
        return self._some(
            "ModelPackageName",
            "ModelPackageGroupName",
            "ModelPackageVersion",
            "ModelPackageArn",
            "ModelPackageDescription",
            "CreationTime",
            "ModelPackageStatus",
            "ModelApprovalStatus",
            "ModelLifeCycle",
            "ModelPackageRegistrationType",
        )

    def batch_summary(self) -> dict[str, Any]:
        """Return what BatchDescribeModelPackage shows."""
        summary = self.summary() | self._some("InferenceSpecification")
        return {field: value for field, value in summary.items() if field not in {"ModelPackageName", "ModelLifeCycle"}}

    def _some(self, *fields: str) -> dict[str, Any]:
        return {field: self.shown[field] for field in fields if self.shown.get(field) is not None}


def bare_name(name_or_arn: str) -> str:
    """Return the name in an ARN of a group, or the name that is given."""
    return re.sub(r"^arn:[^/]*/", "", name_or_arn)


def stored_package(backend: SageMakerModelBackend, arn: str) -> Package:
    """Return a package by its ARN, or refuse in AWS's words."""
    package = backend.model_packages.get(arn)
    if package is None:
        raise ValidationError(unknown_package(arn))
    return package  # type: ignore[return-value] # our records in moto's table


def unknown_package(arn: str) -> str:
    """Return what AWS says of a package that does not exist."""
    return f"ModelPackage {arn} does not exist."


def check_deployable(package: Package) -> None:
    """Refuse to make a model of a version that is not approved: the API's reference asks for Approved."""
    if package.version is not None and package.approval != "Approved":
        message = (
            f"Model package {package.arn} cannot be deployed: its ModelApprovalStatus must be Approved, and is "
            f"{package.approval}."
        )
        raise ValidationError(message)
