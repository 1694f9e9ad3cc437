"""What SageMaker refuses when a training job is created, and what cannot run here."""

import re
from collections.abc import Mapping

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.objects import ObjectStore
from localcloud.aws.sagemaker.jobs.checks import check_image, check_name, check_one_host, check_source, unsupported
from localcloud.aws.sagemaker.jobs.execution import Request
from localcloud.aws.sagemaker.jobs.images import Image
from localcloud.aws.sagemaker.training.script_mode import PROGRAM


def check_training(request: Request, objects: ObjectStore, region: str) -> Image:
    """Check a CreateTrainingJob request; return its image."""
    check_name("trainingJobName", request["TrainingJobName"])
    algorithm = request["AlgorithmSpecification"]
    image = check_image(algorithm.get("TrainingImage", ""))
    hyperparameters = request.get("HyperParameters") or {}
    if PROGRAM not in hyperparameters and not algorithm.get("ContainerEntrypoint"):
        unsupported(f"a built-in algorithm (neither the hyperparameter {PROGRAM} nor ContainerEntrypoint is given)")
    check_one_host(request.get("ResourceConfig") or {})
    if algorithm.get("TrainingInputMode", "File") == "Pipe":
        unsupported("TrainingInputMode Pipe")
    if request.get("CheckpointConfig"):
        unsupported("CheckpointConfig")
    for definition in algorithm.get("MetricDefinitions") or []:
        _check_regex(definition)
    for channel in request.get("InputDataConfig") or []:
        if channel.get("InputMode") == "Pipe":
            unsupported(f"InputMode Pipe of channel {channel['ChannelName']}")
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            unsupported(f"a data source other than S3 (channel {channel['ChannelName']})")
        check_source(source, objects, request["RoleArn"], region)
    return image


def _check_regex(definition: Mapping[str, str]) -> None:
    try:
        re.compile(definition["Regex"])
    except re.error as error:
        message = f"MetricDefinitions: the Regex {definition['Regex']!r} of {definition['Name']!r} is invalid: {error}"
        raise ValidationError(message) from error
