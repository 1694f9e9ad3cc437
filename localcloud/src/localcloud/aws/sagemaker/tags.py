"""Tags of the resources that moto does not know or whose ARN it cannot take apart.

A part overrides `tagged` for its kinds of ARN and hands the others on to `super()`; what no part knows is moto's.
"""

from collections.abc import Callable
from typing import Protocol

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.front import Front

_MOST_TAGS = 50


class Tagged(Protocol):
    """A record that has tags."""

    tags: list[dict[str, str]]


class Tags(Front):
    """The operations of tags."""

    def list_tags(self) -> ActionResult:
        """List a resource's tags."""
        resource = self.tagged(self._arn(), change=False)
        return self._by_moto(super().list_tags) if resource is None else ActionResult({"Tags": resource.tags})

    def add_tags(self) -> ActionResult:
        """Set tags of a resource; one of the same key is replaced (moto keeps both)."""
        resource = self.tagged(self._arn(), change=True)
        if resource is None:
            return self._by_moto(super().add_tags)
        added = self.request_body()["Tags"]
        keys = {tag["Key"] for tag in added}
        tags = [tag for tag in resource.tags if tag["Key"] not in keys] + added
        if len(tags) > _MOST_TAGS:
            message = f"The number of tags on a resource cannot exceed {_MOST_TAGS}."
            raise ValidationError(message)
        resource.tags = tags
        return ActionResult({"Tags": tags})

    def delete_tags(self) -> ActionResult:
        """Remove tags of a resource."""
        resource = self.tagged(self._arn(), change=True)
        if resource is None:
            return self._by_moto(super().delete_tags)
        removed = self.request_body()["TagKeys"]
        resource.tags = [tag for tag in resource.tags if tag["Key"] not in removed]
        return EmptyResult()

    def tagged(self, arn: str, *, change: bool) -> Tagged | None:  # noqa: ARG002 - overridden by the parts
        """Return the resource of an ARN; None when it is none of ours. `change`: its tags are to be changed."""
        return None

    def _by_moto(self, operation: Callable[[], ActionResult]) -> ActionResult:
        """Let moto do it for its own records; it breaks where it knows none."""
        try:
            return operation()
        except (AttributeError, KeyError, ValueError) as error:
            raise no_resource(self._arn()) from error

    def _arn(self) -> str:
        return str(self.request_body()["ResourceArn"])


def no_resource(arn: str) -> ValidationError:
    """Return the refusal of an ARN that names nothing."""
    return ValidationError(f"Could not find resource {arn}.")
