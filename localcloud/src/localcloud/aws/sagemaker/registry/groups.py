"""Model package groups: create, describe, list, delete, resource policies."""

import json
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ConflictException, ValidationError

from localcloud.aws.sagemaker.front import Front
from localcloud.aws.sagemaker.jobs.checks import unsupported
from localcloud.aws.sagemaker.pages import listed
from localcloud.aws.sagemaker.registry.records import Package, PackageGroup, bare_name


class PackageGroups(Front):
    """The operations of model package groups (moto's overwrites a group of the same name, and deletes none)."""

    def create_model_package_group(self) -> ActionResult:
        """Store a group under a free name."""
        request = self.request_body()
        if request.get("ManagedConfiguration"):
            unsupported("ManagedConfiguration of a model package group")
        name = request["ModelPackageGroupName"]
        arn = self.registry_arn("model-package-group", name)
        with self.running.creating:
            if name in self.groups:
                message = f"Model Package Group already exists: {arn}"
                raise ValidationError(message)
            self.groups[name] = PackageGroup(arn, request)
        return ActionResult({"ModelPackageGroupArn": arn})

    def describe_model_package_group(self) -> ActionResult:
        """Describe a group."""
        return ActionResult(self.known_group(self.request_body()).gen_response_object())

    def list_model_package_groups(self) -> ActionResult:
        """List groups; none of another account is ever shared with this one."""
        request = self.request_body()
        shared = request.get("CrossAccountFilterOption", "SameAccount") == "CrossAccount"
        found, token = listed(
            [] if shared else self.groups.values(), {"SortOrder": "Ascending", **request}, lambda group: group.name
        )
        return ActionResult({"ModelPackageGroupSummaryList": [group.summary() for group in found], "NextToken": token})

    def delete_model_package_group(self) -> EmptyResult:
        """Delete an empty group."""
        group = self.known_group(self.request_body())
        with self.running.creating:
            if any(package.group == group.name for package in self.packages.values()):
                message = f"Model Package Group {group.arn} cannot be deleted because it still contains model packages."
                raise ConflictException(message)
            self.groups.pop(group.name, None)
        return EmptyResult()

    def put_model_package_group_policy(self) -> ActionResult:
        """Keep a resource policy; it is not enforced."""
        request = self.request_body()
        group = self._group_of_policy(request)
        try:
            json.loads(request["ResourcePolicy"])
        except ValueError as error:
            message = f"Invalid resource policy: {error}"
            raise ValidationError(message) from error
        group.policy = request["ResourcePolicy"]
        return ActionResult({"ModelPackageGroupArn": group.arn})

    def get_model_package_group_policy(self) -> ActionResult:
        """Return a group's resource policy."""
        group = self._group_with_policy(self.request_body())
        return ActionResult({"ResourcePolicy": group.policy})

    def delete_model_package_group_policy(self) -> EmptyResult:
        """Forget a group's resource policy."""
        self._group_with_policy(self.request_body()).policy = None
        return EmptyResult()

    def known_group(self, request: dict[str, Any]) -> PackageGroup:
        """Return the group that a request names, or refuse in AWS's words."""
        name = bare_name(request["ModelPackageGroupName"])
        if name not in self.groups:
            message = f"ModelPackageGroup {self.registry_arn('model-package-group', name)} does not exist."
            raise ValidationError(message)
        return self.groups[name]

    def registry_arn(self, kind: str, name: str) -> str:
        """Return the ARN of a group or package of this request's account and region."""
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.current_account}:{kind}/{name}"

    @property
    def groups(self) -> dict[str, PackageGroup]:
        """The groups by name."""
        return self.sagemaker_backend.model_package_groups  # type: ignore[return-value] # our records in moto's table

    @property
    def packages(self) -> dict[str, Package]:
        """The packages by ARN."""
        return self.sagemaker_backend.model_packages  # type: ignore[return-value] # our records in moto's table

    def _group_of_policy(self, request: dict[str, Any]) -> PackageGroup:
        name = request["ModelPackageGroupName"]
        if name not in self.groups:
            message = f"Cannot find Model Package Group: {self.registry_arn('model-package-group', name)}"
            raise ValidationError(message)
        return self.groups[name]

    def _group_with_policy(self, request: dict[str, Any]) -> PackageGroup:
        group = self._group_of_policy(request)
        if group.policy is None:
            message = f"Cannot find resource policy for: {group.arn}"
            raise ValidationError(message)
        return group
