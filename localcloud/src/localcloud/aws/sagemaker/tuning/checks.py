"""What SageMaker refuses when a tuning job is created, and what cannot run here.

The request's training job definition is checked as the training job that it will become.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.objects import ObjectStore
from localcloud.aws.sagemaker.jobs.checks import unsupported
from localcloud.aws.sagemaker.jobs.execution import Request
from localcloud.aws.sagemaker.training.checks import check_training
from localcloud.aws.sagemaker.tuning.children import complete_definition, training_request
from localcloud.aws.sagemaker.tuning.space import read_space

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}")
_SHORTEST_RUNTIME_SECONDS = 120
_MOST_PARAMETERS = 30
_MOST_TRAINING_JOBS = 750
_NUMERIC = {"IntegerParameterRanges": int, "ContinuousParameterRanges": float}


def check_tuning(request: Request, objects: ObjectStore, region: str) -> dict[str, Any]:
    """Check a CreateHyperParameterTuningJob request; return its training job definition as training jobs need it."""
    name = request["HyperParameterTuningJobName"]
    if not _NAME.fullmatch(name):
        _refuse(
            f"1 validation error detected: Value '{name}' at 'hyperParameterTuningJobName' failed to satisfy "
            f"constraint: Member must satisfy regular expression pattern: ^{_NAME.pattern}"
        )
    definition = _definition(request)
    config = request["HyperParameterTuningJobConfig"]
    _check_config(config)
    ranges = config.get("ParameterRanges") or {}
    _check_ranges(ranges, definition.get("StaticHyperParameters") or {})
    _check_strategy(config, ranges)
    _check_objective(config, definition)
    space = read_space(ranges)
    sample = training_request(
        f"{name}-001-00000000",
        complete_definition(definition, config["HyperParameterTuningJobObjective"]["MetricName"]),
        space.values([0.0] * len(space.ranges)),
        request.get("Tags") or (),
    )
    check_training(sample, objects, region)
    return definition


def _definition(request: Request) -> dict[str, Any]:
    for field in ("WarmStartConfig", "Autotune", "TrainingJobDefinitions"):
        if request.get(field):
            unsupported(f"hyperparameter tuning with {field}")
    if not request.get("TrainingJobDefinition"):
        _refuse("You must specify either TrainingJobDefinition or TrainingJobDefinitions.")
    definition: dict[str, Any] = dict(request["TrainingJobDefinition"])
    for field in ("TuningObjective", "HyperParameterRanges"):
        if definition.get(field):
            _refuse(f"{field} can be specified in TrainingJobDefinitions only.")
    definition["ResourceConfig"] = _resources(definition)
    if definition["AlgorithmSpecification"].get("AlgorithmName"):
        unsupported("hyperparameter tuning with AlgorithmSpecification.AlgorithmName")
    return definition


def _resources(definition: Request) -> dict[str, Any]:
    own, shared = definition.get("HyperParameterTuningResourceConfig"), definition.get("ResourceConfig")
    if bool(own) == bool(shared):
        _refuse("You must specify either ResourceConfig or HyperParameterTuningResourceConfig.")
    for field in ("InstanceConfigs", "AllocationStrategy"):
        if own and own.get(field):
            unsupported(f"hyperparameter tuning with HyperParameterTuningResourceConfig.{field}")
    return dict(own or shared or {})


def _check_config(config: Request) -> None:
    if config["Strategy"] == "Hyperband" or config.get("StrategyConfig"):
        unsupported("hyperparameter tuning with the strategy Hyperband")
    criteria = config.get("TuningJobCompletionCriteria") or {}
    if (criteria.get("ConvergenceDetected") or {}).get("CompleteOnConvergence") == "Enabled":
        unsupported("hyperparameter tuning with ConvergenceDetected")
    limits = config["ResourceLimits"]
    runtime = limits.get("MaxRuntimeInSeconds")
    if runtime is not None and runtime < _SHORTEST_RUNTIME_SECONDS:
        _refuse(
            f"1 validation error detected: Value '{runtime}' at 'hyperParameterTuningJobConfig.resourceLimits."
            f"maxRuntimeInSeconds' failed to satisfy constraint: Member must have value greater than or equal to "
            f"{_SHORTEST_RUNTIME_SECONDS}"
        )
    for field in ("MaxNumberOfTrainingJobs", "MaxParallelTrainingJobs"):
        if limits.get(field, 1) < 1:
            _refuse(f"{field} must be at least 1.")
    if limits.get("MaxNumberOfTrainingJobs", 1) > _MOST_TRAINING_JOBS:
        _refuse(f"MaxNumberOfTrainingJobs must be at most {_MOST_TRAINING_JOBS}.")
    if config["Strategy"] != "Grid" and "MaxNumberOfTrainingJobs" not in limits and runtime is None and not criteria:
        _refuse(
            "You must specify at least one of MaxNumberOfTrainingJobs, MaxRuntimeInSeconds and "
            "TuningJobCompletionCriteria."
        )


def _check_ranges(ranges: Mapping[str, Any], static: Mapping[str, str]) -> None:
    if ranges.get("AutoParameters"):
        unsupported("hyperparameter tuning with AutoParameters")
    every = [item for field in ranges for item in ranges[field]]
    if not every:
        _refuse("At least one hyperparameter range must be specified in ParameterRanges.")
    if len(every) > _MOST_PARAMETERS:
        _refuse(f"The number of hyperparameters that can be searched is at most {_MOST_PARAMETERS}.")
    names = [item["Name"] for item in every]
    for name in names:
        if names.count(name) > 1:
            _refuse(f"The hyperparameter {name} has more than one range in ParameterRanges.")
        if name in static:
            _refuse(f"The hyperparameter {name} is specified in both ParameterRanges and StaticHyperParameters.")
    for field, number in _NUMERIC.items():
        for item in ranges.get(field) or []:
            _check_numeric(item, number)


def _check_numeric(item: Mapping[str, str], number: type[int] | type[float]) -> None:
    name, scaling = item["Name"], item.get("ScalingType", "Auto")
    try:
        low, high = number(item["MinValue"]), number(item["MaxValue"])
    except ValueError:
        _refuse(
            f"The range of the hyperparameter {name} is not of type {number.__name__}: MinValue "
            f"{item['MinValue']!r}, MaxValue {item['MaxValue']!r}."
        )
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        _refuse(f"The MinValue {low} of the hyperparameter {name} must not be greater than its MaxValue {high}.")
    if scaling == "Logarithmic" and low <= 0:
        _refuse(f"Logarithmic scaling of the hyperparameter {name} needs values greater than 0; MinValue is {low}.")
    if scaling == "ReverseLogarithmic" and (number is int or low < 0 or high >= 1):
        _refuse(
            f"Reverse logarithmic scaling of the hyperparameter {name} needs a continuous range with values x for "
            f"which 0 <= x < 1.0."
        )


def _check_strategy(config: Request, ranges: Mapping[str, Any]) -> None:
    if config["Strategy"] != "Grid":
        return
    if any(ranges.get(field) for field in _NUMERIC):
        _refuse("Grid strategy supports categorical parameters only.")
    count = math.prod(len(item["Values"]) for item in ranges["CategoricalParameterRanges"])
    most = config["ResourceLimits"].get("MaxNumberOfTrainingJobs", count)
    if most != count:
        _refuse(
            f"MaxNumberOfTrainingJobs, if specified with Grid strategy, must be the number of distinct categorical "
            f"combinations, {count}; it is {most}."
        )


def _check_objective(config: Request, definition: Request) -> None:
    objective = config.get("HyperParameterTuningJobObjective")
    if not objective:
        _refuse("HyperParameterTuningJobObjective must be specified with TrainingJobDefinition.")
    metrics = definition["AlgorithmSpecification"].get("MetricDefinitions") or []
    if objective["MetricName"] not in {item["Name"] for item in metrics}:
        _refuse(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric "
            "definitions."
        )


def _refuse(message: str) -> NoReturn:
    raise ValidationError(message)
