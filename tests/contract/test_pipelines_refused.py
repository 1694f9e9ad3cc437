"""Which pipeline definitions and executions are refused, and how."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.local_cloud import ROLE, LocalCloud
from tests.contract.pipeline_steps import (
    END,
    TRAIN,
    definition,
    get,
)

REFUSED: list[tuple[str, str]] = [
    ("{", "Unable to parse pipeline definition. Invalid Json"),
    ("[]", "Unable to parse pipeline definition. Expecting start of Json Object"),
    (json.dumps({"Steps": [END]}), "Version None is not supported"),
    (definition(END, MlflowConfig={"MlflowResourceArn": "arn"}), "does not run pipelines with MlflowConfig"),
    (definition(), "At least one step"),
    (definition(END, END), "Step names must be unique"),
    (definition({**END, "Name": "not a name"}), "does not satisfy the pattern"),
    (definition({"Name": "Call", "Type": "Lambda"}), "does not run pipeline steps of type Lambda"),
    (definition({"Name": "Wait", "Type": "Callback"}), "does not run pipeline steps of type Callback"),
    (definition({**TRAIN, "Arguments": {"Colour": "red"}}), "Unknown Argument member 'Colour'"),
    (definition({**TRAIN, "Arguments": {"InputDataConfig": get("Parameters.X")}}), "Expecting start of Json Array"),
    (
        definition({**TRAIN, "Arguments": {"AlgorithmSpecification": {"TrainingInputMode": "Slow"}}}),
        r"Value 'Slow' for 'TrainingInputMode' failed to satisfy enum value set: \[Pipe, File, FastFile\]",
    ),
    (definition({**TRAIN, "DependsOn": ["Nobody"]}), "depends on Nobody, which is not a step"),
    (definition({**TRAIN, "DependsOn": ["End"]}, END), "Train can not depends on End"),
    (definition({**TRAIN, "Arguments": {"RoleArn": get("Parameters.Role")}}), r"parameter \[Role\], which is not"),
    (
        definition({**TRAIN, "DependsOn": ["Two"]}, {**TRAIN, "Name": "Two", "DependsOn": ["Train"]}),
        "Cycle detected in pipeline step graph",
    ),
    (
        definition({**TRAIN, "CacheConfig": {"Enabled": True, "ExpireAfter": "soon"}}),
        "not an ISO 8601 duration: 'soon'",
    ),
    (definition(END, Parameters=[{"Name": "P", "Type": "Integer", "DefaultValue": "x"}]), "is not of type Integer"),
]


@pytest.mark.refuses("CreatePipeline")
@pytest.mark.parametrize(("content", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_refused_definitions(cloud: LocalCloud, content: str, message: str) -> None:
    """A definition that AWS cannot parse, or with steps that do not run here, is refused when it is given."""
    with pytest.raises(ClientError, match=message) as refused:
        cloud.client("sagemaker").create_pipeline(PipelineName="Refused", PipelineDefinition=content, RoleArn=ROLE)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.refuses("StartPipelineExecution")
def test_refused_executions(cloud: LocalCloud) -> None:
    """Parameters that are missing, unknown or of another type are refused, and so is what does not run here."""
    client = cloud.client("sagemaker")
    parameters = [
        {"Name": "Count", "Type": "Integer"},
        {"Name": "Size", "Type": "String", "DefaultValue": "s", "EnumValues": ["s", "m"]},
    ]
    content = definition(END, Parameters=parameters)
    client.create_pipeline(PipelineName="Asks", PipelineDefinition=content, RoleArn=ROLE)

    def begin(given: dict[str, str], **request: Any) -> str:
        items = [{"Name": name, "Value": value} for name, value in given.items()]
        arn: str = client.start_pipeline_execution(PipelineName="Asks", PipelineParameters=items, **request)[
            "PipelineExecutionArn"
        ]
        return arn

    cases: list[tuple[dict[str, str], str]] = [
        ({}, r"\[Count\] has no default value"),
        ({"Count": "1", "Colour": "red"}, r"\[Colour\] is not defined"),
        ({"Count": "many"}, "is not of type Integer"),
        ({"Count": "1", "Size": "xl"}, "is not in enum value set"),
    ]
    for given, message in cases:
        with pytest.raises(ClientError, match=message):
            begin(given)
    with pytest.raises(ClientError, match="SelectiveExecutionConfig"):
        begin({"Count": "1"}, SelectiveExecutionConfig={"SelectedSteps": [{"StepName": "End"}]})
