"""The parts of a request that all kinds of job check: what AWS refuses, and what cannot run here and is refused.

Raised as moto's ValidationError, so a client gets a ValidationException. It checks what would otherwise be ignored
silently; botocore has already checked shapes and required fields.
"""

import re
from collections.abc import Mapping
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.objects import ObjectStore
from localcloud.aws.sagemaker.jobs.failures import JobFailedError
from localcloud.aws.sagemaker.jobs.images import Image, UnknownImageError, find_image

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def check_name(field: str, name: str) -> None:
    """Refuse a job name that AWS refuses (names become folder names here)."""
    if not _NAME.fullmatch(name):
        message = (
            f"1 validation error detected: Value '{name}' at '{field}' failed to satisfy constraint: Member must "
            f"satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9]){{0,62}}"
        )
        raise ValidationError(message)


def check_image(address: str) -> Image:
    """Return the image's stand-in."""
    try:
        return find_image(address)
    except UnknownImageError as error:
        raise ValidationError(str(error)) from error


def check_one_host(resources: Mapping[str, Any]) -> None:
    """Refuse more than one instance."""
    if resources.get("InstanceCount", 1) != 1 or resources.get("InstanceGroups"):
        unsupported(f"more than one instance (InstanceCount {resources.get('InstanceCount')})")


def check_source(source: Mapping[str, Any], objects: ObjectStore, role: str, region: str) -> None:
    """Refuse an S3 data source that holds nothing, in AWS's words."""
    if source["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        unsupported(f"S3DataType {source['S3DataType']}")
    uri = source["S3Uri"]
    try:
        problem = objects.problem_with(uri)
    except JobFailedError as error:  # not an S3 address
        raise ValidationError(str(error).removeprefix("ClientError: ")) from error
    if problem is not None:
        bucket = uri.removeprefix("s3://").partition("/")[0]
        complaint = f" Error message from S3: {problem}" if problem else ""
        message = (
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({region}), that objects exist under that S3 prefix, and that the role "
            f'"{role}" has "s3:ListBucket" permissions on bucket "{bucket}".{complaint}'
        )
        raise ValidationError(message)


def unsupported(what: str) -> None:
    """Refuse what cannot run here."""
    message = f"localcloud does not run {what}; see localcloud/README.md for what it covers"
    raise ValidationError(message)
