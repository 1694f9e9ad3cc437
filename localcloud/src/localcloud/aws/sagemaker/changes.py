"""The EventBridge events that tell of SageMaker's resources: their names, and what is in their details.

A detail holds what the resource's Describe operation answers; times are milliseconds since 1970 and tags a mapping, as
in the events that AWS documents ("Events that Amazon SageMaker AI sends to Amazon EventBridge").
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from moto.core.utils import get_service_model

from localcloud.aws import events

# by the attribute that holds a job's status: the event, and the operation whose answer is its detail
JOBS: Mapping[str, tuple[str, str]] = {
    "training_job_status": ("SageMaker Training Job State Change", "DescribeTrainingJob"),
    "processing_job_status": ("SageMaker Processing Job State Change", "DescribeProcessingJob"),
    "transform_job_status": ("SageMaker Transform Job State Change", "DescribeTransformJob"),
    "hyper_parameter_tuning_job_status": (
        "SageMaker HyperParameter Tuning Job State Change",
        "DescribeHyperParameterTuningJob",
    ),
}
ENDPOINT = ("SageMaker Endpoint State Change", "DescribeEndpoint")
MODEL_PACKAGE = ("SageMaker Model Package State Change", "DescribeModelPackage")


# what describes a job when moto's own description does not
_DESCRIPTIONS: dict[str, Callable[[Any], Mapping[str, Any]]] = {}


def describe_with(status_field: str, description: Callable[[Any], Mapping[str, Any]]) -> None:
    """Let a function return the Describe operation's answer for the jobs of a kind."""
    _DESCRIPTIONS[status_field] = description


def description_of(stored: Any, status_field: str) -> Mapping[str, Any]:
    """Return what the Describe operation answers of a job."""
    describe = _DESCRIPTIONS.get(status_field)
    found: Mapping[str, Any] = describe(stored) if describe else stored.response_object
    return found


def job_changed(stored: Any, status_field: str) -> None:
    """Tell of a job's new status or secondary status."""
    if status_field not in JOBS:
        return
    tell(JOBS[status_field], stored.arn, description_of(stored, status_field), getattr(stored, "tags", None))


def endpoint_changed(arn: str, description: Mapping[str, Any], tags: Sequence[Mapping[str, str]] | None) -> None:
    """Tell of an endpoint's new status, which its event spells in capitals: IN_SERVICE."""
    status = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", description["EndpointStatus"]).upper()
    tell(ENDPOINT, arn, {**description, "EndpointStatus": status}, tags)


def model_package_changed(arn: str, description: Mapping[str, Any], tags: Sequence[Mapping[str, str]] | None) -> None:
    """Tell of a model package's new status or approval; `description` is DescribeModelPackage's answer."""
    tell(MODEL_PACKAGE, arn, description, tags)


def tell(
    event: tuple[str, str], arn: str, description: Mapping[str, Any], tags: Sequence[Mapping[str, str]] | None
) -> None:
    """Publish an event of a resource."""
    name, operation = event
    detail = _plain(description, _answer(operation))
    detail["Tags"] = {tag["Key"]: tag["Value"] for tag in tags or ()}
    events.publish(arn, name, detail)


@functools.cache
def _answer(operation: str) -> Shape:
    shape: Shape = get_service_model("sagemaker").operation_model(operation).output_shape
    return shape


def _plain(value: Any, shape: Shape) -> Any:
    """Return what the shape knows of a value, as JSON."""
    if isinstance(shape, StructureShape):
        return {
            field: _plain(value[field], member)
            for field, member in shape.members.items()
            if value.get(field) is not None
        }
    if isinstance(shape, ListShape):
        return [_plain(item, shape.member) for item in value]
    if isinstance(shape, MapShape):
        return {key: _plain(item, shape.value) for key, item in value.items()}
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    return value
