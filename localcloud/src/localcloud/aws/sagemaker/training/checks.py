"""What SageMaker refuses when a training job is created, and what cannot run here."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.objects import ObjectStore
from localcloud.aws.sagemaker.jobs.checks import (
    check_image,
    check_name,
    check_source,
    check_unique,
    split_address,
    unsupported,
)
from localcloud.aws.sagemaker.jobs.cluster import check_cluster
from localcloud.aws.sagemaker.jobs.execution import Request
from localcloud.aws.sagemaker.training.files import DEFAULT_CHECKPOINTS
from localcloud.aws.sagemaker.training.run import DEFAULT_RUNTIME_SECONDS
from localcloud.aws.sagemaker.training.script_mode import PROGRAM
from localcloud.engine.tree import JOB_BASE
from localcloud.images import Image

# fields of a request that ask for what is carried out beside the job, and what they ask for
_ELSEWHERE = {
    "DebugRuleConfigurations": "the rules of the debugger (DebugRuleConfigurations)",
    "ProfilerRuleConfigurations": "the rules of the profiler (ProfilerRuleConfigurations)",
    "ServerlessJobConfig": "a serverless training job (ServerlessJobConfig)",
    "MlflowConfig": "a job that reports to MLflow (MlflowConfig)",
    "ModelPackageConfig": "a job that registers its model (ModelPackageConfig)",
}


def check_training(request: Request, objects: ObjectStore, region: str) -> Image:
    """Check a CreateTrainingJob request; return its image."""
    check_name("trainingJobName", request["TrainingJobName"])
    algorithm = request["AlgorithmSpecification"]
    _check_covered(request)
    if algorithm.get("AlgorithmName"):
        unsupported(f"an algorithm resource (AlgorithmName {algorithm['AlgorithmName']!r})")
    image = check_image(algorithm.get("TrainingImage", ""))
    hyperparameters = request.get("HyperParameters") or {}
    if PROGRAM not in hyperparameters and not algorithm.get("ContainerEntrypoint") and not image.entrypoint:
        unsupported(f"a built-in algorithm (neither the hyperparameter {PROGRAM} nor ContainerEntrypoint is given)")
    if not request.get("ResourceConfig"):
        unsupported("a serverless training job (ResourceConfig is not given)")
    check_cluster(request["ResourceConfig"], "resourceConfig", "TrainingInstanceType")
    if algorithm.get("TrainingInputMode", "File") == "Pipe":
        unsupported("TrainingInputMode Pipe")
    _check_checkpoints(request)
    _check_times(request)
    for definition in algorithm.get("MetricDefinitions") or []:
        _check_regex(definition)
    channels = request.get("InputDataConfig") or []
    check_unique("ChannelName", [channel["ChannelName"] for channel in channels])
    for channel in channels:
        _check_channel(channel, request, objects, region)
    return image


def _check_covered(request: Request) -> None:
    """Refuse what would have to be carried out beside the job, or on machines of a special kind."""
    for field, what in _ELSEWHERE.items():
        if request.get(field):
            unsupported(what)
    if (request.get("RemoteDebugConfig") or {}).get("EnableRemoteDebug"):
        unsupported("a job with remote debugging (RemoteDebugConfig)")
    for field in ("TrainingPlanArn", "InstancePlacementConfig", "InstancePreferences"):
        if (request.get("ResourceConfig") or {}).get(field):
            unsupported(f"ResourceConfig.{field}")


def _check_regex(definition: Mapping[str, str]) -> None:
    try:
        re.compile(definition["Regex"])
    except re.error as error:
        message = f"MetricDefinitions: the Regex {definition['Regex']!r} of {definition['Name']!r} is invalid: {error}"
        raise ValidationError(message) from error


def _check_channel(channel: Request, request: Request, objects: ObjectStore, region: str) -> None:
    name = channel["ChannelName"]
    if name in {".", ".."}:
        unsupported(f"a channel called {name!r}")
    if channel.get("InputMode") == "Pipe":
        unsupported(f"InputMode Pipe of channel {name}")
    # AWS uses both in Pipe mode only
    if channel.get("CompressionType", "None") != "None":
        unsupported(f"CompressionType {channel['CompressionType']} of channel {name}")
    if channel.get("RecordWrapperType", "None") != "None":
        unsupported(f"RecordWrapperType {channel['RecordWrapperType']} of channel {name}")
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        unsupported(f"a data source other than S3 (channel {name})")
    groups = {group["InstanceGroupName"] for group in request["ResourceConfig"].get("InstanceGroups") or []}
    unknown = set(source.get("InstanceGroupNames") or []) - groups
    if unknown:
        message = f"Channel {name}: InstanceGroupNames {sorted(unknown)} are not among the groups of ResourceConfig."
        raise ValidationError(message)
    check_source(source, objects, request["RoleArn"], region)


def _check_checkpoints(request: Request) -> None:
    given = request.get("CheckpointConfig")
    if not given:
        return
    split_address("checkpointConfig.s3Uri", given["S3Uri"])
    place = PurePosixPath(given.get("LocalPath") or DEFAULT_CHECKPOINTS)
    reserved = any(place.is_relative_to(f"{JOB_BASE}/{name}") for name in ("input", "model", "output", "code"))
    if reserved or ".." in place.parts or PurePosixPath(JOB_BASE) not in place.parents:
        unsupported(f"CheckpointConfig.LocalPath {str(place)!r} (it has to be a folder of its own below {JOB_BASE})")


def _check_times(request: Request) -> None:
    """Refuse a wait limit without managed spot training, and one that is shorter than the run."""
    condition = request.get("StoppingCondition") or {}
    wait, spot = condition.get("MaxWaitTimeInSeconds"), request.get("EnableManagedSpotTraining", False)
    if spot and wait is None:
        message = "MaxWaitTimeInSeconds must be present in StoppingCondition when EnableManagedSpotTraining is true."
        raise ValidationError(message)
    if not spot and wait is not None:
        message = "MaxWaitTimeInSeconds must not be present when EnableManagedSpotTraining is false."
        raise ValidationError(message)
    runtime = condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS)
    if wait is not None and wait < runtime:
        message = (
            f"Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds "
            f"(MaxWaitTimeInSeconds {wait}, MaxRuntimeInSeconds {runtime})."
        )
        raise ValidationError(message)
