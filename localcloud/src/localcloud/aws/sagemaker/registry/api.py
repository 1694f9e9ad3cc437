"""Model packages: create, approve and change, describe, list, delete; and the tags of the registry's resources.

What it does not do: validate a package by a transform job, scan its image or take it from an algorithm (refused). A
package is therefore Completed as soon as it is created, where AWS shows an unversioned one as Pending and InProgress
for some minutes.
"""

from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.changes import model_package_changed
from localcloud.aws.sagemaker.pages import listed
from localcloud.aws.sagemaker.registry.checks import METADATA_LIMIT, check_creation, check_update
from localcloud.aws.sagemaker.registry.groups import PackageGroups
from localcloud.aws.sagemaker.registry.records import (
    Package,
    bare_name,
    stored_package,
    unknown_package,
)
from localcloud.aws.sagemaker.tags import Tagged, Tags

# fields of UpdateModelPackage that take the place of what was there
_REPLACED = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "ModelPackageRegistrationType",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)


class ModelRegistry(PackageGroups, Tags):
    """The operations of model packages, and those of their groups."""

    def create_model_package(self) -> ActionResult:
        """Store a package: the next version of a group, or an unversioned one under a free name."""
        request = self.request_body()
        check_creation(request)
        with self.running.creating:
            repeated = self._created_before(request.get("ClientToken"))
            if repeated is not None:
                return ActionResult({"ModelPackageArn": repeated.arn})
            package = self._new_version(request) if request.get("ModelPackageGroupName") else self._unversioned(request)
            self.packages[package.arn] = package
        self._tell_of(package)
        return ActionResult({"ModelPackageArn": package.arn})

    def describe_model_package(self) -> ActionResult:
        """Describe a package by ARN, or an unversioned one by name."""
        return ActionResult(self.known_package("ModelPackageName").gen_response_object())

    def update_model_package(self) -> ActionResult:
        """Approve, reject or change a version; what the request does not mention stays as it is."""
        package = self.known_package("ModelPackageArn")
        request = self.request_body()
        check_update(request, package.shown)
        fields = {field: request[field] for field in _REPLACED if field in request}
        package.update({**fields, **_metadata(request, package), **_additional(request, package)})
        self._tell_of(package)
        return ActionResult({"ModelPackageArn": package.arn})

    def delete_model_package(self) -> EmptyResult:
        """Delete a package; its version is never given again."""
        del self.packages[self.known_package("ModelPackageName").arn]
        return EmptyResult()

    def list_model_packages(self) -> ActionResult:
        """List packages: a group's, or the unversioned ones unless asked otherwise."""
        request = self.request_body()
        kind = request.get("ModelPackageType", "Unversioned")
        packages = list(self.packages.values())
        if request.get("ModelPackageGroupName"):
            kind, group = "Versioned", self.known_group(request)
            packages = [package for package in packages if package.group == group.name]
        if kind != "Both":
            packages = [package for package in packages if (package.version is not None) == (kind == "Versioned")]
        if "ModelApprovalStatus" in request:
            packages = [package for package in packages if package.approval == request["ModelApprovalStatus"]]
        found, token = listed(packages, {"SortOrder": "Ascending", **request}, lambda package: package.name)
        return ActionResult({"ModelPackageSummaryList": [package.summary() for package in found], "NextToken": token})

    def batch_describe_model_package(self) -> ActionResult:
        """Describe versions; those that do not exist are reported beside the others."""
        found, missing = {}, {}
        for arn in self.request_body()["ModelPackageArnList"]:
            package = self.packages.get(arn)
            if package is not None and package.version is not None:
                found[arn] = package.batch_summary()
            else:
                missing[arn] = {"ErrorCode": "ValidationException", "ErrorResponse": unknown_package(arn)}
        return ActionResult({"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": missing})

    def known_package(self, field: str) -> Package:
        """Return the package whose name or ARN a field of the request gives, or refuse in AWS's words."""
        given = self.request_body()[field]
        arn = given if given.startswith("arn:") else self.registry_arn("model-package", given.lower())
        return stored_package(self.sagemaker_backend, arn)

    def _created_before(self, token: str | None) -> Package | None:
        """Return the package that the same request made when it was sent for the first time."""
        return next((package for package in self.packages.values() if token and package.client_token == token), None)

    def _new_version(self, request: dict[str, Any]) -> Package:
        group = self.groups.get(bare_name(request["ModelPackageGroupName"]))
        if group is None:
            message = "Model Package Group does not exist."
            raise ValidationError(message)
        group.last_version += 1
        arn = self.registry_arn("model-package", f"{group.name.lower()}/{group.last_version}")
        return Package(arn, request, group.last_version, [])

    def _unversioned(self, request: dict[str, Any]) -> Package:
        arn = self.registry_arn("model-package", request["ModelPackageName"].lower())
        if arn in self.packages:
            message = f"Model Package already exists: {arn}"
            raise ValidationError(message)
        return Package(arn, request, None, list(request.get("Tags") or []))

    def _tell_of(self, package: Package) -> None:
        tags = package.tags if package.group is None else self.groups[package.group].tags
        model_package_changed(package.arn, package.gen_response_object(), tags)

    def tagged(self, arn: str, *, change: bool) -> Tagged | None:
        """Return a group or package; a version has its group's tags."""
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if kind == "model-package-group":
            return self.known_group({"ModelPackageGroupName": name})
        if kind != "model-package":
            return super().tagged(arn, change=change)
        package = stored_package(self.sagemaker_backend, arn)
        if package.group is None:
            return package
        if change:
            message = f"Model package {arn} is versioned: its tags are those of its model package group."
            raise ValidationError(message)
        return self.groups[package.group]


def _metadata(request: Mapping[str, Any], package: Package) -> dict[str, Any]:
    """Return the metadata after a change: what is given is added or replaced, what is named is removed."""
    added, removed = request.get("CustomerMetadataProperties"), request.get("CustomerMetadataPropertiesToRemove")
    if not added and not removed:
        return {}
    merged = {**(package.shown["CustomerMetadataProperties"] or {}), **(added or {})}
    kept = {name: value for name, value in merged.items() if name not in (removed or [])}
    if len(kept) > METADATA_LIMIT:
        message = f"The number of customer metadata properties ({len(kept)}) exceeds the limit of {METADATA_LIMIT}."
        raise ValidationError(message)
    return {"CustomerMetadataProperties": kept or None}


def _additional(request: Mapping[str, Any], package: Package) -> dict[str, Any]:
    added = request.get("AdditionalInferenceSpecificationsToAdd")
    if not added:
        return {}
    return {"AdditionalInferenceSpecifications": [*(package.shown["AdditionalInferenceSpecifications"] or []), *added]}
