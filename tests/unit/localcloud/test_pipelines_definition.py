"""How a pipeline definition is read: references, functions, conditions, parameters, dependencies."""

import json
from typing import Any

import pytest
from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.pipelines.conditions import holds
from localcloud.aws.sagemaker.pipelines.definition import Parameter, read_definition
from localcloud.aws.sagemaker.pipelines.expressions import ExpressionError, Scope, tokens
from localcloud.aws.sagemaker.pipelines.shapes import request_shape, typed

REPORT = {"metrics": {"auc": {"value": 0.9}}, "folds": [{"a b": 1}, {"a b": 2}]}
SCOPE = Scope(
    parameters={"Count": 3, "Name": "x", "Flag": True},
    execution={"PipelineExecutionId": "abc"},
    load=lambda step, name: {("Eval", "Report"): REPORT}[step, name],
    load_object=lambda uri: {"s3://b/k.json": REPORT}[uri],
    steps={
        "Prepare-data": {"Outputs": [{"OutputName": "a"}, {"OutputName": "b", "S3Output": {"S3Uri": "s3://b/x"}}]},
        "Decide": {"Outcome": False},
    },
)


def get(path: str) -> dict[str, str]:
    """Return a reference."""
    return {"Get": path}


def json_get(path: str) -> dict[str, Any]:
    """Return a look into the property file."""
    return {"Std:JsonGet": {"PropertyFile": get("Steps.Eval.PropertyFiles.Report"), "Path": path}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (get("Parameters.Count"), 3),
        (get("Execution.PipelineExecutionId"), "abc"),
        (get("Steps.Prepare-data.Outputs['b'].S3Output.S3Uri"), "s3://b/x"),
        (get("Steps.Prepare-data.Outputs[0].OutputName"), "a"),
        ({"Std:Join": {"On": "-", "Values": ["n", get("Parameters.Count"), get("Parameters.Flag")]}}, "n-3-true"),
        ({"Std:Join": {"On": ": ", "Values": ["outcome", get("Steps.Decide.Outcome")]}}, "outcome: false"),
        (json_get("metrics.auc.value"), 0.9),
        (json_get("$.folds[1]['a b']"), 2),
        ({"Std:JsonGet": {"S3Uri": "s3://b/k.json", "Path": "metrics.auc.value"}}, 0.9),
        ({"a": [get("Parameters.Name"), "Get"]}, {"a": ["x", "Get"]}),
    ],
)
def test_expressions(expression: Any, value: object) -> None:
    """Every reference and function stands for its value, wherever it is in the arguments."""
    assert SCOPE.resolve(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        get("Parameters.Unknown"),
        get("Steps.Nobody.Arn"),
        get("Somewhere.Else"),
        json_get("metrics.loss"),
        json_get("a..b"),
    ],
)
def test_references_that_lead_nowhere(expression: Any) -> None:
    """A reference without a value is an error that repeats it."""
    with pytest.raises(ExpressionError, match=r"reference|path"):
        SCOPE.resolve(expression)


def test_paths() -> None:
    """A path is split at points and brackets; names in brackets may hold anything."""
    assert tokens("Steps.A-1.Outputs['a.b'][0].Uri") == ["Steps", "A-1", "Outputs", "a.b", 0, "Uri"]


def comparison(kind: str, left: object, right: object) -> dict[str, object]:
    """Return a condition on two values."""
    return {"Type": kind, "LeftValue": left, "RightValue": right}


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (comparison("Equals", get("Parameters.Name"), "x"), True),
        (comparison("Equals", 3, 3.0), True),
        (comparison("GreaterThan", get("Parameters.Count"), 3), False),
        (comparison("GreaterThanOrEqualTo", get("Parameters.Count"), 3), True),
        (comparison("LessThan", 2, get("Parameters.Count")), True),
        (comparison("LessThanOrEqualTo", 4, get("Parameters.Count")), False),
        ({"Type": "In", "QueryValue": get("Parameters.Name"), "Values": ["y", get("Parameters.Name")]}, True),
        ({"Type": "Not", "Expression": comparison("Equals", 1, 1)}, False),
        ({"Type": "Or", "Conditions": [comparison("Equals", 1, 2), comparison("Equals", 1, 1)]}, True),
    ],
)
def test_conditions(condition: dict[str, Any], outcome: object) -> None:
    """Each type of condition compares what its references stand for."""
    assert holds(condition, SCOPE) is outcome


def test_values_that_cannot_be_compared() -> None:
    """A number and a text have no order."""
    with pytest.raises(ExpressionError, match="cannot compare 3 with 'x'"):
        holds(comparison("LessThan", get("Parameters.Count"), get("Parameters.Name")), SCOPE)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("Integer", "3", 3), ("Float", "3", 3.0), ("Boolean", "True", True), ("String", "3", "3")],
)
def test_parameters_are_typed(kind: str, text: str, value: object) -> None:
    """A parameter's text becomes a value of its type."""
    read = Parameter("P", kind, None, ()).read(text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(("kind", "text"), [("Integer", "3.5"), ("Float", "x"), ("Boolean", "yes")])
def test_parameters_of_another_type(kind: str, text: str) -> None:
    """A text that is no value of the type is refused."""
    with pytest.raises(ValidationError, match=f"is not of type {kind}"):
        Parameter("P", kind, None, ()).read(text)


def test_arguments_get_the_types_that_the_request_wants() -> None:
    """A number may stand where a request has text, and the other way round."""
    request = {
        "HyperParameters": {"depth": 3, "fast": True},
        "ResourceConfig": {"InstanceCount": "2"},
        "EnableManagedSpotTraining": "false",
        "RoleArn": "r",
    }
    assert typed(request, request_shape("CreateTrainingJob")) == {
        "HyperParameters": {"depth": "3", "fast": "true"},
        "ResourceConfig": {"InstanceCount": 2},
        "EnableManagedSpotTraining": False,
        "RoleArn": "r",
    }


def test_dependencies() -> None:
    """A step needs what it names, what it refers to, and the condition whose branch it is in."""
    train = {"Name": "Train", "Type": "Training", "Arguments": {"RoleArn": get("Steps.Make.ModelName")}}
    inner = {"Name": "Inner", "Type": "Fail", "Arguments": {"ErrorMessage": get("Steps.Train.FailureReason")}}
    condition = {
        "Name": "If",
        "Type": "Condition",
        "DependsOn": ["Train"],
        "Arguments": {"Conditions": [comparison("Equals", json_get("x"), 1)], "IfSteps": [], "ElseSteps": [inner]},
    }
    evaluate = {
        "Name": "Eval",
        "Type": "Processing",
        "PropertyFiles": [{"PropertyFileName": "Report", "OutputName": "o", "FilePath": "f"}],
    }
    make = {"Name": "Make", "Type": "Model"}
    found = read_definition(json.dumps({"Version": "2020-12-01", "Steps": [condition, train, make, evaluate]}))
    assert {name: set(step.needs) for name, step in found.steps.items()} == {
        "If": {"Train", "Eval"},
        "Inner": {"If", "Train"},
        "Train": {"Make"},
        "Make": set(),
        "Eval": set(),
    }
    assert found.steps["Inner"].branch == ("If", False)
