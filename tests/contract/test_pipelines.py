"""What a pipeline's execution does on the local cloud: its steps run as jobs, one after the other and side by side."""

import json
import urllib.request
from http import HTTPStatus
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import ROLE, LocalCloud, is_alive, unpacked, until
from tests.contract.pipeline_steps import (
    END,
    definition,
    finished,
    job_of,
    start,
    steps_of,
    training_step,
    whole_pipeline,
)


@pytest.mark.executes(
    "CreatePipeline",
    "StartPipelineExecution",
    "DescribePipelineExecution",
    "ListPipelineExecutionSteps",
    "ListPipelineParametersForExecution",
    "DescribePipelineDefinitionForExecution",
    "ListPipelineExecutions",
)
def test_life_of_an_execution(cloud: LocalCloud) -> None:
    """Steps run as real jobs when what they need is there; what one leaves is what the next is given."""
    client = cloud.client("sagemaker")
    content = whole_pipeline(cloud, "whole")
    arn = start(cloud, "Whole", content, {"Approval": "Approved", "Depth": "5"})
    execution = finished(cloud, arn)
    identity = arn.rpartition("/")[2]
    steps = steps_of(cloud, arn)
    assert [(name, step["StepStatus"], step.get("FailureReason")) for name, step in steps.items()] == [
        (name, "Succeeded", None)
        for name in ("Prepare", "Learn_it", "Evaluate", "Decide", "Make", "Register", "Predict", "Tell")
    ]
    assert (execution["PipelineExecutionStatus"], execution.get("FailureReason")) == ("Succeeded", None)
    assert execution["PipelineExperimentConfig"] == {"ExperimentName": "whole", "TrialName": identity}
    assert execution["PipelineExecutionDisplayName"].startswith("execution-")
    assert all(step["StartTime"] <= step["EndTime"] and step["AttemptCount"] == 1 for step in steps.values())
    assert steps["Decide"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    newest_first = client.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    assert [step["StepName"] for step in newest_first] == list(reversed(steps))

    trained = job_of(steps["Learn_it"])
    assert trained.startswith(f"pipelines-{identity}-Learn-it-")
    assert cloud.log("Training", trained) == ["given ['--depth', '5']"]
    assert unpacked(cloud.get(f"trained/{trained}/output/model.tar.gz")) == {"sum.txt": b"6"}
    tags = client.list_tags(ResourceArn=steps["Learn_it"]["Metadata"]["TrainingJob"]["Arn"])["Tags"]
    assert {"Key": "sagemaker:pipeline-execution-arn", "Value": arn} in tags
    report = json.loads(cloud.get(f"evaluated/{identity}/evaluation.json"))
    assert report == {"metrics": {"total": {"value": 6}}}
    assert cloud.get("predicted/whole/in.csv.out").split() == [b"6", b"12"]
    registered = steps["Register"]["Metadata"]["RegisterModel"]["Arn"]
    assert cloud.log("Training", job_of(steps["Tell"])) == [registered]
    package = client.describe_model_package(ModelPackageName=registered)
    assert (package["ModelPackageGroupName"], package["ModelApprovalStatus"]) == ("whole", "Approved")
    assert package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"].endswith(f"{trained}/output/model.tar.gz")

    given = client.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)["PipelineParameters"]
    assert given == [{"Name": "Approval", "Value": "Approved"}, {"Name": "Depth", "Value": "5"}]
    (summary,) = client.list_pipeline_executions(PipelineName="Whole")["PipelineExecutionSummaries"]
    assert (summary["PipelineExecutionArn"], summary["PipelineExecutionStatus"]) == (arn, "Succeeded")
    client.update_pipeline(PipelineName="Whole", PipelineDefinition=definition({"Name": "End", "Type": "Fail"}))
    kept = client.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)["PipelineDefinition"]
    assert kept == content


@pytest.mark.executes("StartPipelineExecution", "ListPipelineExecutionSteps")
def test_fail_step(cloud: LocalCloud) -> None:
    """The other branch is taken when the condition does not hold; a Fail step's message is the step's reason."""
    arn = start(cloud, "Fails", whole_pipeline(cloud, "fails"), {"Least": "6.5"})
    execution = finished(cloud, arn)
    assert (execution["PipelineExecutionStatus"], execution["FailureReason"]) == (
        "Failed",
        "Step failure: One or multiple steps failed.",
    )
    steps = steps_of(cloud, arn)
    assert list(steps) == ["Prepare", "Learn_it", "Evaluate", "Decide", "GiveUp"]
    assert steps["Decide"]["Metadata"] == {"Condition": {"Outcome": "False"}}
    assert (steps["GiveUp"]["StepStatus"], steps["GiveUp"]["FailureReason"]) == ("Failed", "total is 6")
    assert steps["GiveUp"]["Metadata"] == {"Fail": {"ErrorMessage": "total is 6"}}


@pytest.mark.executes("StartPipelineExecution", "ListPipelineExecutionSteps")
def test_a_failing_step(cloud: LocalCloud) -> None:
    """What comes after a step that failed does not begin; what does not depend on it goes on to its end."""
    refused = training_step(cloud, "Refused", "pass", Arguments={"RoleArn": ROLE})
    refused["Arguments"]["AlgorithmSpecification"]["TrainingImage"] = "somebody/else:1"
    content = definition(
        training_step(cloud, "Breaks", "raise SystemExit(3)"),
        training_step(cloud, "After", "pass", DependsOn=["Breaks"]),
        training_step(cloud, "Beside", "print('on its own')"),
        training_step(cloud, "AfterBeside", "print('later')", DependsOn=["Beside"]),
        refused,
    )
    arn = start(cloud, "Partly", content)
    assert finished(cloud, arn)["PipelineExecutionStatus"] == "Failed"
    steps = steps_of(cloud, arn)
    assert {name: step["StepStatus"] for name, step in steps.items()} == {
        "Breaks": "Failed",
        "Beside": "Succeeded",
        "Refused": "Failed",
        "AfterBeside": "Succeeded",
    }
    assert steps["Breaks"]["FailureReason"].startswith("ClientError: AlgorithmError: ExecuteUserScriptError")
    assert steps["Refused"]["FailureReason"].startswith(
        "ClientError: Failed to invoke sagemaker:CreateTrainingJob. Error Details: localcloud has no environment"
    )
    assert steps["Refused"]["Metadata"] == {}
    assert cloud.log("Training", job_of(steps["AfterBeside"])) == ["later"]


@pytest.mark.executes("StopPipelineExecution")
@pytest.mark.refuses("DeletePipeline", "DescribePipeline")
def test_stop_and_delete(cloud: LocalCloud) -> None:
    """Stopping an execution ends its jobs' processes and begins no more; a pipeline that runs cannot be deleted."""
    client = cloud.client("sagemaker")
    waits = "import time\ntime.sleep(600)\n"
    content = definition(
        training_step(cloud, "Waits", waits), training_step(cloud, "Never", waits, DependsOn=["Waits"])
    )
    arn = start(cloud, "Stops", content)
    job = until(lambda: (step := steps_of(cloud, arn).get("Waits")) and step["Metadata"] and job_of(step), "a job")
    pid = cloud.pid(job)
    with pytest.raises(client.exceptions.ConflictException, match="has running executions"):
        client.delete_pipeline(PipelineName="Stops")
    client.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert finished(cloud, arn)["PipelineExecutionStatus"] == "Stopped"
    assert not is_alive(pid)
    assert {name: step["StepStatus"] for name, step in steps_of(cloud, arn).items()} == {"Waits": "Stopped"}
    with pytest.raises(ClientError, match="Only pipelines with 'Executing' status can be stopped"):
        client.stop_pipeline_execution(PipelineExecutionArn=arn)
    client.delete_pipeline(PipelineName="Stops")
    with pytest.raises(client.exceptions.ResourceNotFound, match="pipeline/Stops' does not exist"):
        client.describe_pipeline(PipelineName="Stops")
    with pytest.raises(client.exceptions.ResourceNotFound, match="does not exist"):
        client.describe_pipeline_execution(PipelineExecutionArn=arn)


@pytest.mark.executes("CreatePipeline")
def test_pipelines(cloud: LocalCloud) -> None:
    """A pipeline is described as it was made and changed; a definition may lie in S3; a token makes only one."""
    client = cloud.client("sagemaker")
    content = definition({"Name": "End", "Type": "Fail"})
    cloud.put("pipelines/definition.json", content)
    place = {"Bucket": cloud.bucket, "ObjectKey": "pipelines/definition.json"}
    token = "t" * 32
    request = {"PipelineName": "Kept", "PipelineDefinitionS3Location": place, "RoleArn": ROLE}
    arn = client.create_pipeline(**request, ClientRequestToken=token)["PipelineArn"]
    assert client.create_pipeline(**request, ClientRequestToken=token)["PipelineArn"] == arn
    with pytest.raises(ClientError) as refused:
        client.create_pipeline(**request)
    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Pipeline names must be unique within an AWS account and region. Pipeline with name (Kept) already "
        "exists.",
    }
    made = client.describe_pipeline(PipelineName=arn)
    assert (made["PipelineDefinition"], made["PipelineStatus"]) == (content, "Active")
    client.update_pipeline(PipelineName="Kept", PipelineDescription="changed")
    changed = client.describe_pipeline(PipelineName="Kept")
    assert (changed["PipelineDescription"], changed["PipelineDefinition"]) == ("changed", content)
    assert changed["LastModifiedTime"] > made["LastModifiedTime"]
    first = client.start_pipeline_execution(PipelineName=arn, ClientRequestToken=token)["PipelineExecutionArn"]
    again = client.start_pipeline_execution(PipelineName="Kept", ClientRequestToken=token)["PipelineExecutionArn"]
    assert first == again
    assert finished(cloud, first)["PipelineExecutionStatus"] == "Failed"
    client.update_pipeline_execution(PipelineExecutionArn=first, PipelineExecutionDescription="the first")
    renamed = client.describe_pipeline_execution(PipelineExecutionArn=first)
    assert renamed["PipelineExecutionDescription"] == "the first"
    assert renamed["PipelineExecutionDisplayName"].startswith("execution-")
    (summary,) = client.list_pipelines(PipelineNamePrefix="Kep")["PipelineSummaries"]
    assert summary["PipelineArn"] == arn
    assert "LastExecutionTime" in summary


@pytest.mark.verify
@pytest.mark.executes("StartPipelineExecution")
def test_reset(start_cloud: StartCloud) -> None:
    """After a reset an execution begins nothing more."""
    cloud = start_cloud()
    content = definition(training_step(cloud, "Waits", "import time\ntime.sleep(600)\n"))
    arn = start(cloud, "Gone", content)
    job = until(lambda: (step := steps_of(cloud, arn).get("Waits")) and step["Metadata"] and job_of(step), "a job")
    pid = cloud.pid(job)
    with urllib.request.urlopen(f"{cloud.endpoint}/moto-api/reset", data=b"") as answer:  # noqa: S310 - loopback
        assert answer.status == HTTPStatus.OK
    until(lambda: not is_alive(pid), "the end of the training job")
    until(lambda: all(row["ended"] for row in cloud.status()["jobs"]), "the end of all jobs")
    assert cloud.client("sagemaker").list_pipelines()["PipelineSummaries"] == []


@pytest.mark.executes("StartPipelineExecution")
def test_events(cloud: LocalCloud) -> None:
    """An execution and its steps tell EventBridge of each change of their status."""
    sqs, rules = cloud.client("sqs"), cloud.client("events")
    queue = sqs.create_queue(QueueName="pipeline-events")["QueueUrl"]
    target = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": [
            "SageMaker Model Building Pipeline Execution Status Change",
            "SageMaker Model Building Pipeline Execution Step Status Change",
        ],
    }
    rules.put_rule(Name="pipeline-events", EventPattern=json.dumps(pattern))
    rules.put_targets(Rule="pipeline-events", Targets=[{"Id": "1", "Arn": target}])
    arn = start(cloud, "Tells", definition({**END, "Arguments": {"ErrorMessage": "told"}}))
    received: list[dict[str, Any]] = []

    def all_received() -> bool:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        received.extend(json.loads(message["Body"]) for message in messages)
        return len(received) >= 4

    until(all_received, "four events")
    told = [
        (
            detail.get("stepName"),
            detail.get("previousStepStatus", detail.get("previousPipelineExecutionStatus")),
            detail.get("currentStepStatus", detail.get("currentPipelineExecutionStatus")),
        )
        for event in received
        if (detail := event["detail"])
    ]
    assert sorted(told, key=str) == sorted(
        [
            (None, None, "Executing"),
            ("End", None, "Executing"),
            ("End", "Executing", "Failed"),
            (None, "Executing", "Failed"),
        ],
        key=str,
    )
    pipeline = arn.partition("/execution/")[0]
    assert all(event["resources"] == [pipeline, arn] for event in received)
    (step,) = [event["detail"] for event in received if event["detail"].get("currentStepStatus") == "Failed"]
    assert (step["stepType"], step["metadata"]) == ("Fail", {"fail": {"errorMessage": "told"}})
