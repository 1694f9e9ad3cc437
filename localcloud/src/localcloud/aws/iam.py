"""IAM: moto's, with the policy simulator that the SageMaker Python SDK asks before it uses a role.

What it does not do: evaluate policies. The local cloud lets everyone do everything, so everything is allowed.
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.responses import IamResponse


class LocalIam(IamResponse):
    """All operations."""

    def simulate_principal_policy(self) -> ActionResult:
        """Answer what the local cloud would do: allow each action on each resource.

        Raises:
            NotFoundException: Nobody has the ARN; AWS answers NoSuchEntity too.
        """
        arn = self._get_param("PolicySourceArn")
        if not self._has_principal(arn):
            message = f"The entity {arn} cannot be found."
            raise NotFoundException(message)
        resources = self._get_param("ResourceArns") or ["*"]
        results: list[dict[str, Any]] = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "allowed",
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            for action in self._get_param("ActionNames")
            for resource in resources
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    def _has_principal(self, arn: str) -> bool:
        principals = (self.backend.roles, self.backend.users, self.backend.groups)
        return any(each.arn == arn for table in principals for each in table.values())
