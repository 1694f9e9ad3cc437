"""A pipeline definition (version 2020-12-01): its parameters and steps, read and checked when a pipeline is created.

Steps inside a Condition step's branches stand beside all others, with the branch that has to be taken for them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from typing import Any, NoReturn

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.jobs.checks import unsupported
from localcloud.aws.sagemaker.pipelines.cache import read_duration
from localcloud.aws.sagemaker.pipelines.conditions import CONDITION_TYPES
from localcloud.aws.sagemaker.pipelines.expressions import ExpressionError, references
from localcloud.aws.sagemaker.pipelines.kinds import CALLS
from localcloud.aws.sagemaker.pipelines.shapes import ArgumentError, check_arguments, request_shape

_VERSION = "2020-12-01"
_STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (float, int),
    "Boolean": (bool,),
}
_STEP_FIELDS = {
    "Name",
    "Type",
    "Arguments",
    "DependsOn",
    "DisplayName",
    "Description",
    "PropertyFiles",
    "RetryPolicies",
    "CacheConfig",
}
# of these, the limits of quotas and internal errors happen here
_RETRIED = {
    "Step.SERVICE_FAULT",
    "Step.THROTTLING",
    "SageMaker.JOB_INTERNAL_ERROR",
    "SageMaker.CAPACITY_ERROR",
    "SageMaker.RESOURCE_LIMIT",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a pipeline; without a default its value is None."""

    name: str
    kind: str
    default: Any
    choices: tuple[Any, ...]

    def read(self, text: str) -> Any:
        """Return the value that an execution was started with.

        Raises:
            ValidationError: the text is no value of the parameter's type, or none of its choices.
        """
        value: Any = text
        try:
            if self.kind == "Boolean":
                value = {"true": True, "false": False}[text.lower()]
            elif self.kind != "String":
                value = {"Integer": int, "Float": float}[self.kind](text)
        except (ValueError, KeyError):
            _refuse(f"Parameter [{self.name}] value [{text}] is not of type {self.kind}.")
        if self.choices and value not in self.choices:
            _refuse(f"Parameter [{self.name}] value [{text}] is not in enum value set: {list(self.choices)}.")
        return value


@dataclass(frozen=True)
class Step:
    """A step.

    `needs` are the steps before it, `branch` the Condition step that it belongs to and the outcome that it is for,
    `cache` how old a result of the same step may be to be taken instead.
    """

    name: str
    kind: str
    arguments: Mapping[str, Any]
    needs: frozenset[str]
    branch: tuple[str, bool] | None
    display_name: str | None
    description: str | None
    files: Mapping[str, Mapping[str, str]]
    retries: tuple[Mapping[str, Any], ...]
    cache: timedelta | None


@dataclass(frozen=True)
class Definition:
    """A pipeline's parameters and steps, by name."""

    parameters: Mapping[str, Parameter]
    steps: Mapping[str, Step]
    experiment: Mapping[str, Any]


def read_definition(text: str) -> Definition:
    """Read and check a definition.

    Raises:
        ValidationError: it is none, in AWS's words; or it asks for what does not run here.
    """
    try:
        content = json.loads(text)
    except ValueError:
        _unreadable("Invalid Json.")
    if not isinstance(content, dict):
        _unreadable("Expecting start of Json Object.")
    if content.get("Version") != _VERSION:
        _unreadable(f"Version {content.get('Version')!r} is not supported; the version is '{_VERSION}'.")
    if content.get("MlflowConfig"):
        unsupported("pipelines with MlflowConfig")
    try:
        steps = list(_steps(content.get("Steps") or [], None))
    except (ArgumentError, ExpressionError) as error:
        _unreadable(str(error))
    except (KeyError, TypeError, AttributeError) as error:
        _unreadable(f"Missing or malformed member {error}.")
    if not steps:
        _unreadable("At least one step must be provided.")
    parameters = [_parameter(item) for item in content.get("Parameters") or []]
    definition = Definition(
        {item.name: item for item in parameters},
        {step.name: step for step in steps},
        content.get("PipelineExperimentConfig") or {},
    )
    if len(definition.steps) < len(steps):
        _unreadable("Step names must be unique within a pipeline.")
    if len(definition.parameters) < len(parameters):
        _unreadable("Parameter names must be unique within a pipeline.")
    _check_references(definition)
    return definition


def _parameter(item: Mapping[str, Any]) -> Parameter:
    name, kind, default = item["Name"], item.get("Type", "String"), item.get("DefaultValue")
    if kind not in _TYPES:
        _unreadable(f"Unknown parameter type '{kind}'.")
    if default is not None and (
        not isinstance(default, _TYPES[kind]) or (isinstance(default, bool) != (kind == "Boolean"))
    ):
        _unreadable(f"The default value of parameter [{name}] is not of type {kind}.")
    choices = tuple(item.get("EnumValues") or ())
    if default is not None and choices and default not in choices:
        _unreadable(f"The default value of parameter [{name}] is not in enum value set: {list(choices)}.")
    return Parameter(name, kind, default, choices)


def _steps(items: list[dict[str, Any]], branch: tuple[str, bool] | None) -> Iterator[Step]:
    for item in items:
        step = _step(item, branch)
        yield step
        if step.kind == "Condition":
            yield from _steps(item["Arguments"].get("IfSteps") or [], (step.name, True))
            yield from _steps(item["Arguments"].get("ElseSteps") or [], (step.name, False))


def _step(item: Mapping[str, Any], branch: tuple[str, bool] | None) -> Step:
    name, kind = item["Name"], item["Type"]
    if not _STEP_NAME.fullmatch(name):
        _unreadable(f"Step name '{name}' does not satisfy the pattern {_STEP_NAME.pattern}.")
    arguments = _arguments(name, kind, dict(item.get("Arguments") or {}))
    unknown = sorted(set(item) - _STEP_FIELDS)
    if unknown:
        _unreadable(f"Unknown member '{unknown[0]}' in step {name}.")
    needs = set(item.get("DependsOn") or ()) | {str(parts[1]) for parts in references(arguments) if parts[0] == "Steps"}
    return Step(
        name,
        kind,
        arguments,
        frozenset(needs | ({branch[0]} if branch else set())),
        branch,
        item.get("DisplayName"),
        item.get("Description"),
        {file["PropertyFileName"]: file for file in item.get("PropertyFiles") or ()},
        _retries(name, item.get("RetryPolicies") or ()),
        _cache(name, kind, item.get("CacheConfig") or {}),
    )


def _arguments(name: str, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return a step's checked arguments, without the steps of its branches."""
    if kind == "Condition":
        for condition in given["Conditions"]:
            _check_condition(condition)
        return {"Conditions": given["Conditions"]}
    if kind == "Fail":
        return {"ErrorMessage": "", **given}
    if kind not in CALLS:
        unsupported(f"pipeline steps of type {kind} (step {name})")
    check_arguments(given, request_shape(CALLS[kind].operation))
    return given


def _cache(name: str, kind: str, given: Mapping[str, Any]) -> timedelta | None:
    if not given.get("Enabled"):
        return None
    if kind not in CALLS or CALLS[kind].job is None:
        _unreadable(f"Steps of type {kind} cannot be cached (step {name}).")
    age = read_duration(str(given.get("ExpireAfter", "")))
    if age is None:
        _unreadable(f"ExpireAfter of step {name} is not an ISO 8601 duration: {given.get('ExpireAfter')!r}.")
    return age


def _retries(name: str, policies: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    for policy in policies:
        for exception in policy["ExceptionType"]:
            if exception not in _RETRIED:
                unsupported(f"pipeline steps with a RetryPolicy for {exception} (step {name})")
    return tuple(policies)


def _check_condition(condition: Mapping[str, Any]) -> None:
    kind = condition["Type"]
    if kind not in CONDITION_TYPES:
        _unreadable(f"Unknown condition type '{kind}'.")
    fields = {"Not": {"Expression"}, "Or": {"Conditions"}, "In": {"QueryValue", "Values"}}
    missing = fields.get(kind, {"LeftValue", "RightValue"}) - set(condition)
    if missing:
        _unreadable(f"Missing member '{min(missing)}' in condition {kind}.")
    for inner in [condition["Expression"]] if kind == "Not" else condition["Conditions"] if kind == "Or" else []:
        _check_condition(inner)


def _check_references(definition: Definition) -> None:
    for step in definition.steps.values():
        for needed in step.needs:
            if needed not in definition.steps:
                _unreadable(f"Step {step.name} depends on {needed}, which is not a step of the pipeline.")
            if definition.steps[needed].kind == "Fail":
                _refuse(f"Unable to parse pipeline definition. {step.name} can not depends on {needed}.")
        for parts in references(step.arguments):
            if parts[0] == "Parameters" and parts[1] not in definition.parameters:
                _unreadable(f"Step {step.name} refers to the parameter [{parts[1]}], which is not defined.")
            if parts[0] == "Steps" and parts[2:3] == ["PropertyFiles"]:
                owner = definition.steps[str(parts[1])]
                if parts[3] not in owner.files:
                    _unreadable(f"Step {owner.name} has no property file '{parts[3]}'.")
    try:
        TopologicalSorter({step.name: step.needs for step in definition.steps.values()}).prepare()
    except CycleError as error:
        _unreadable(f"Cycle detected in pipeline step graph: {' -> '.join(error.args[1])}.")


def _unreadable(why: str) -> NoReturn:
    _refuse(f"Unable to parse pipeline definition. {why}")


def _refuse(message: str) -> NoReturn:
    raise ValidationError(message)
