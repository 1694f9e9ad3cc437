"""The parts of a request that all kinds of job check: what AWS refuses, and what cannot run here and is refused.

Raised as moto's ValidationError, so a client gets a ValidationException. It checks what would otherwise be ignored
silently; botocore has already checked shapes and required fields.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.objects import ObjectStore, split_uri
from localcloud.aws.sagemaker.jobs.failures import JobFailedError
from localcloud.aws.sagemaker.jobs.images import find_image
from localcloud.images import Image, UnknownImageError

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


def check_unique(field: str, names: Sequence[str]) -> None:
    """Refuse names of a request's parts that are given twice."""
    for name in names:
        if names.count(name) > 1:
            message = f"{field} must be unique within a job; {name!r} is given more than once."
            raise ValidationError(message)


def check_source(source: Mapping[str, Any], objects: ObjectStore, role: str, region: str) -> None:
    """Refuse an S3 data source that holds nothing, in AWS's words."""
    if source["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        unsupported(f"S3DataType {source['S3DataType']}")
    uri = source["S3Uri"]
    split_address("s3Uri", uri)
    problem = objects.problem_with(uri)
    if problem is not None:
        bucket = uri.removeprefix("s3://").partition("/")[0]
        complaint = f" Error message from S3: {problem}" if problem else ""
        message = (
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({region}), that objects exist under that S3 prefix, and that the role "
            f'"{role}" has "s3:ListBucket" permissions on bucket "{bucket}".{complaint}'
        )
        raise ValidationError(message)


def split_address(field: str, uri: str) -> tuple[str, str]:
    """Return bucket and key of an S3 address; refuse anything else."""
    try:
        return split_uri(uri)
    except JobFailedError as error:
        raise ValidationError(f"{field}: {str(error).removeprefix('ClientError: ')}") from error


def unsupported(what: str) -> NoReturn:
    """Refuse what cannot run here."""
    message = f"localcloud does not run {what}; see localcloud/README.md for what it covers"
    raise ValidationError(message)
