"""What SageMaker refuses when a job is created, and what the local cloud cannot run and therefore refuses.

Raised as moto's ValidationError, so a client gets a ValidationException. It checks what would otherwise be ignored
silently; botocore has already checked shapes and required fields.
"""

import re
from collections.abc import Mapping
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.execution import Request
from localcloud.aws.failures import JobFailedError
from localcloud.aws.images import Image, UnknownImageError, find_image
from localcloud.aws.objects import ObjectStore
from localcloud.aws.script_mode import PROGRAM
from localcloud.engine.tree import JOB_BASE

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_PROCESSING_BASE = f"{JOB_BASE}/processing"


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


def check_training(request: Request, objects: ObjectStore, region: str) -> Image:
    """Check a CreateTrainingJob request; return its image."""
    check_name("trainingJobName", request["TrainingJobName"])
    algorithm = request["AlgorithmSpecification"]
    image = check_image(algorithm.get("TrainingImage", ""))
    hyperparameters = request.get("HyperParameters") or {}
    if PROGRAM not in hyperparameters and not algorithm.get("ContainerEntrypoint"):
        _unsupported(f"a built-in algorithm (neither the hyperparameter {PROGRAM} nor ContainerEntrypoint is given)")
    _one_host(request.get("ResourceConfig") or {})
    if algorithm.get("TrainingInputMode", "File") == "Pipe":
        _unsupported("TrainingInputMode Pipe")
    if request.get("CheckpointConfig"):
        _unsupported("CheckpointConfig")
    for definition in algorithm.get("MetricDefinitions") or []:
        _check_regex(definition)
    for channel in request.get("InputDataConfig") or []:
        if channel.get("InputMode") == "Pipe":
            _unsupported(f"InputMode Pipe of channel {channel['ChannelName']}")
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            _unsupported(f"a data source other than S3 (channel {channel['ChannelName']})")
        _check_source(source, objects, request["RoleArn"], region)
    return image


def check_processing(request: Request) -> Image:
    """Check a CreateProcessingJob request; return its image."""
    check_name("processingJobName", request["ProcessingJobName"])
    application = request["AppSpecification"]
    image = check_image(application.get("ImageUri", ""))
    if not application.get("ContainerEntrypoint"):
        _unsupported("an image's own entry point (AppSpecification.ContainerEntrypoint is not given)")
    _one_host((request.get("ProcessingResources") or {}).get("ClusterConfig") or {})
    outputs = (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    for field, items in (("S3Input", request.get("ProcessingInputs") or []), ("S3Output", outputs)):
        for item in items:
            name = item.get("InputName") or item.get("OutputName")
            if field not in item:
                _unsupported(f"an input or output other than {field} ({name})")
            path = item[field].get("LocalPath", "")
            if not f"{path}/".startswith(f"{_PROCESSING_BASE}/") or ".." in path:
                message = f"LocalPath {path!r} of {name!r} must start with {_PROCESSING_BASE}"
                raise ValidationError(message)
    for item in outputs:
        if item["S3Output"].get("S3UploadMode", "EndOfJob") != "EndOfJob":
            _unsupported(f"S3UploadMode Continuous (output {item.get('OutputName')})")
    return image


def check_transform(request: Request, objects: ObjectStore, role: str, region: str) -> None:
    """Check a CreateTransformJob request."""
    check_name("transformJobName", request["TransformJobName"])
    source = request["TransformInput"]
    if source.get("SplitType", "None") not in {"None", "Line"}:
        _unsupported(f"SplitType {source['SplitType']}")
    selection = request.get("DataProcessing") or {}
    filtered = {selection.get("InputFilter", "$"), selection.get("OutputFilter", "$")} != {"$"}
    if filtered or selection.get("JoinSource", "None") != "None":
        _unsupported("DataProcessing (filters and joins)")
    _check_source(source["DataSource"]["S3DataSource"], objects, role, region)


def check_container(container: Mapping[str, Any]) -> None:
    """Check that a model's container can be served."""
    check_image(container.get("Image", ""))


def _one_host(resources: Mapping[str, Any]) -> None:
    if resources.get("InstanceCount", 1) != 1 or resources.get("InstanceGroups"):
        _unsupported(f"more than one instance (InstanceCount {resources.get('InstanceCount')})")


def _check_regex(definition: Mapping[str, str]) -> None:
    try:
        re.compile(definition["Regex"])
    except re.error as error:
        message = f"MetricDefinitions: the Regex {definition['Regex']!r} of {definition['Name']!r} is invalid: {error}"
        raise ValidationError(message) from error


def _check_source(source: Mapping[str, Any], objects: ObjectStore, role: str, region: str) -> None:
    if source["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        _unsupported(f"S3DataType {source['S3DataType']}")
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


def _unsupported(what: str) -> None:
    message = f"localcloud does not run {what}; see localcloud/README.md for what it covers"
    raise ValidationError(message)
