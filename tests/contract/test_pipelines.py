"""What a pipeline's execution does on the local cloud: its steps run as jobs, one after the other and side by side."""

import itertools
import json
import urllib.request
from http import HTTPStatus
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud, archive, is_alive, unpacked, until

CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
PREPARES = "open('/opt/ml/processing/train/rows.csv', 'w').write('1\\n2\\n3\\n')\n"
LEARNS = """
import os, sys
rows = open(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "rows.csv")).read().split()
print("given", sys.argv[1:])
open(os.path.join(os.environ["SM_MODEL_DIR"], "sum.txt"), "w").write(str(sum(map(int, rows))))
"""
EVALUATES = """
import json, tarfile
with tarfile.open("/opt/ml/processing/model/model.tar.gz") as tar:
    total = int(tar.extractfile("sum.txt").read())
json.dump({"metrics": {"total": {"value": total}}}, open("/opt/ml/processing/evaluation/evaluation.json", "w"))
"""
PREDICTS = """
import os
def model_fn(folder): return int(open(os.path.join(folder, "sum.txt")).read())
def input_fn(body, content_type): return body if isinstance(body, str) else body.decode()
def predict_fn(data, model): return [int(line) * model for line in data.split()]
def output_fn(prediction, accept): return "\\n".join(map(str, prediction)), "text/csv"
"""


def get(path: str) -> dict[str, str]:
    """Return a reference."""
    return {"Get": path}


def processing_step(cloud: LocalCloud, name: str, script: str, **step: Any) -> dict[str, Any]:
    """Return a Processing step that runs a script; `Inputs` and `Outputs` map names to addresses."""
    code = {"code": cloud.put(f"pipelines/{name}/run.py", script), **step.pop("Inputs", {})}
    arguments = {
        "ProcessingInputs": [
            {
                "InputName": key,
                "S3Input": {
                    "S3Uri": uri,
                    "LocalPath": f"/opt/ml/processing/{key}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
            for key, uri in code.items()
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": key,
                    "S3Output": {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/{key}", "S3UploadMode": "EndOfJob"},
                }
                for key, uri in step.pop("Outputs", {}).items()
            ]
        },
        "ProcessingResources": {"ClusterConfig": CLUSTER},
        "AppSpecification": {
            "ImageUri": XGBOOST_IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/run.py"],
        },
        "RoleArn": ROLE,
    }
    return {"Name": name, "Type": "Processing", "Arguments": arguments, **step}


def training_step(cloud: LocalCloud, name: str, script: str, **step: Any) -> dict[str, Any]:
    """Return a Training step; `Arguments` are added to its request."""
    source = cloud.put(f"pipelines/{name}.tar.gz", archive({"train.py": script}))
    more = step.pop("Arguments", {})
    arguments = {
        "AlgorithmSpecification": {"TrainingImage": XGBOOST_IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{cloud.bucket}/trained/"},
        "ResourceConfig": CLUSTER,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "RoleArn": ROLE,
        **more,
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": source,
            **more.get("HyperParameters", {}),
        },
    }
    return {"Name": name, "Type": "Training", "Arguments": arguments, **step}


def definition(*steps: dict[str, Any], **members: Any) -> str:
    """Return a pipeline definition."""
    return json.dumps({"Version": "2020-12-01", "Metadata": {}, **members, "Steps": steps})


def start(cloud: LocalCloud, name: str, content: str, parameters: dict[str, str] | None = None, **request: Any) -> str:
    """Create a pipeline and start it; return the execution's ARN."""
    client = cloud.client("sagemaker")
    client.create_pipeline(PipelineName=name, PipelineDefinition=content, RoleArn=ROLE)
    given = [{"Name": key, "Value": value} for key, value in (parameters or {}).items()]
    arn: str = client.start_pipeline_execution(PipelineName=name, PipelineParameters=given, **request)[
        "PipelineExecutionArn"
    ]
    return arn


def finished(cloud: LocalCloud, arn: str) -> dict[str, Any]:
    """Wait until an execution is final; return its description."""

    def final() -> dict[str, Any] | None:
        found: dict[str, Any] = cloud.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=arn)
        return found if found["PipelineExecutionStatus"] in {"Succeeded", "Failed", "Stopped"} else None

    return until(final, f"the end of {arn}")


def steps_of(cloud: LocalCloud, arn: str) -> dict[str, dict[str, Any]]:
    """Return an execution's steps by name, the oldest first."""
    found = cloud.client("sagemaker").list_pipeline_execution_steps(PipelineExecutionArn=arn, SortOrder="Ascending")
    return {step["StepName"]: step for step in found["PipelineExecutionSteps"]}


def job_of(step: dict[str, Any]) -> str:
    """Return the name of what a step has created."""
    ((_, metadata),) = step["Metadata"].items()
    return str(metadata["Arn"]).rpartition("/")[2]


def whole_pipeline(cloud: LocalCloud, group: str) -> str:
    """Return a definition with every kind of step: prepare, train, evaluate, decide, register, predict or fail."""
    output = "Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": get(output),
        "S3DataDistributionType": "FullyReplicated",
    }
    train = training_step(
        cloud,
        "Learn_it",
        LEARNS,
        Arguments={
            "HyperParameters": {"depth": get("Parameters.Depth")},
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        },
    )
    evaluate = processing_step(
        cloud,
        "Evaluate",
        EVALUATES,
        Inputs={"model": get("Steps.Learn_it.ModelArtifacts.S3ModelArtifacts")},
        Outputs={
            "evaluation": {
                "Std:Join": {
                    "On": "/",
                    "Values": [f"s3://{cloud.bucket}/evaluated", get("Execution.PipelineExecutionId")],
                }
            }
        },
        PropertyFiles=[{"PropertyFileName": "Report", "OutputName": "evaluation", "FilePath": "evaluation.json"}],
    )
    total = {"Std:JsonGet": {"PropertyFile": get("Steps.Evaluate.PropertyFiles.Report"), "Path": "metrics.total.value"}}
    serving = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    code = cloud.put("pipelines/serving.tar.gz", archive({"inference.py": PREDICTS}))
    container = {
        "Image": XGBOOST_IMAGE,
        "ModelDataUrl": get("Steps.Learn_it.ModelArtifacts.S3ModelArtifacts"),
        "Environment": {**serving, "SAGEMAKER_SUBMIT_DIRECTORY": code},
    }
    model = {
        "Name": "Make",
        "Type": "Model",
        "Arguments": {"ExecutionRoleArn": ROLE, "PrimaryContainer": container},
    }
    place = {"S3DataType": "S3Prefix", "S3Uri": cloud.put("pipelines/input/in.csv", "1\n2\n")}
    predict = {
        "Name": "Predict",
        "Type": "Transform",
        "Arguments": {
            "ModelName": get("Steps.Make.ModelName"),
            "TransformInput": {"DataSource": {"S3DataSource": place}, "ContentType": "text/csv"},
            "TransformOutput": {"S3OutputPath": f"s3://{cloud.bucket}/predicted/{group}"},
            "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
        },
    }
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": group,
            "ModelApprovalStatus": get("Parameters.Approval"),
            "InferenceSpecification": {
                "Containers": [{key: container[key] for key in ("Image", "ModelDataUrl")}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        },
    }
    package = {"HyperParameters": {"package": get("Steps.Register.ModelPackageArn")}}
    tell = training_step(cloud, "Tell", "import sys\nprint(sys.argv[2])\n", Arguments=package)
    fail = {
        "Name": "GiveUp",
        "Type": "Fail",
        "Arguments": {"ErrorMessage": {"Std:Join": {"On": " ", "Values": ["total is", total]}}},
    }
    decide = {
        "Name": "Decide",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [{"Type": "GreaterThanOrEqualTo", "LeftValue": total, "RightValue": get("Parameters.Least")}],
            "IfSteps": [model, predict, tell, register],
            "ElseSteps": [fail],
        },
    }
    prepare = processing_step(cloud, "Prepare", PREPARES, Outputs={"train": f"s3://{cloud.bucket}/prepared/{group}"})
    parameters = [
        {"Name": "Depth", "Type": "Integer", "DefaultValue": 3},
        {"Name": "Least", "Type": "Float", "DefaultValue": 6.0},
        {
            "Name": "Approval",
            "Type": "String",
            "DefaultValue": "PendingManualApproval",
            "EnumValues": [
                "PendingManualApproval",
                "Approved",
            ],
        },
    ]
    experiment = {"ExperimentName": get("Execution.PipelineName"), "TrialName": get("Execution.PipelineExecutionId")}
    # the steps' order in a definition means nothing
    return definition(decide, evaluate, train, prepare, Parameters=parameters, PipelineExperimentConfig=experiment)


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


@pytest.mark.executes("StopPipelineExecution", "DeletePipeline")
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


@pytest.mark.executes("StartPipelineExecution")
def test_a_fail_step_ends_everything(cloud: LocalCloud) -> None:
    """A Fail step stops the steps that run beside it."""
    waits = training_step(cloud, "Waits", "import time\ntime.sleep(600)\n")
    always = {"Type": "Not", "Expression": {"Type": "In", "QueryValue": 1, "Values": [2, 3]}}
    fail = {"Name": "End", "Type": "Fail", "Arguments": {"ErrorMessage": "enough"}}
    decide = {"Name": "Decide", "Type": "Condition", "Arguments": {"Conditions": [always], "IfSteps": [fail]}}
    arn = start(cloud, "Ends", definition(waits, decide))
    assert finished(cloud, arn)["PipelineExecutionStatus"] == "Failed"
    steps = steps_of(cloud, arn)
    assert (steps["Waits"]["StepStatus"], steps["End"]["FailureReason"]) == ("Stopped", "enough")


@pytest.mark.executes("StartPipelineExecution")
def test_parallel_steps(cloud: LocalCloud) -> None:
    """No more steps run at once than the execution allows."""
    content = definition(*(training_step(cloud, f"Step{number}", "pass") for number in range(3)))
    arn = start(cloud, "Parallel", content, ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    assert finished(cloud, arn)["PipelineExecutionStatus"] == "Succeeded"
    steps = list(steps_of(cloud, arn).values())
    assert all(before["EndTime"] <= after["StartTime"] for before, after in itertools.pairwise(steps))


@pytest.mark.executes("StartPipelineExecution")
def test_tuning_step(cloud: LocalCloud) -> None:
    """A Tuning step's best training job can be referred to."""
    training = training_step(cloud, "unused", 'import sys\nprint("loss=" + sys.argv[2] + ";")\n')["Arguments"]
    training["StaticHyperParameters"] = training.pop("HyperParameters")
    training["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=(.*?);"}]
    tune = {
        "Name": "Search",
        "Type": "Tuning",
        "Arguments": {
            "HyperParameterTuningJobConfig": {
                "Strategy": "Grid",
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
                "ResourceLimits": {"MaxParallelTrainingJobs": 2},
                "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["0.2", "0.1"]}]},
            },
            "TrainingJobDefinition": training,
        },
    }
    best = get("Steps.Search.TrainingJobSummaries[0].TunedHyperParameters.rate")
    script = "import sys\nprint(sys.argv[1:])\n"
    use = training_step(cloud, "Use", script, Arguments={"HyperParameters": {"rate": best}})
    arn = start(cloud, "Tunes", definition(use, tune))
    assert finished(cloud, arn)["PipelineExecutionStatus"] == "Succeeded"
    steps = steps_of(cloud, arn)
    assert len(job_of(steps["Search"])) <= 32
    assert cloud.log("Training", job_of(steps["Use"])) == ["['--rate', '0.1']"]


@pytest.mark.executes("CreatePipeline", "DescribePipeline", "UpdatePipeline", "ListPipelines")
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


END: dict[str, Any] = {"Name": "End", "Type": "Fail"}
TRAIN: dict[str, Any] = {"Name": "Train", "Type": "Training"}
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


@pytest.mark.refuses("StartPipelineExecution", "RetryPipelineExecution")
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
    with pytest.raises(ClientError, match="does not run RetryPipelineExecution"):
        client.retry_pipeline_execution(PipelineExecutionArn=begin({"Count": "1"}))


@pytest.mark.executes("StartPipelineExecution", "ListPipelineExecutionSteps")
def test_caching(cloud: LocalCloud) -> None:
    """A cached step is not run again with the same arguments; what refers to it gets the earlier job's results."""
    caching = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}
    depth = {"HyperParameters": {"depth": get("Parameters.Depth")}}
    first = training_step(cloud, "First", "print('trained')\n", Arguments=depth, **caching)
    given = {"HyperParameters": {"from": get("Steps.First.TrainingJobName")}}
    second = training_step(cloud, "Second", "import sys\nprint(sys.argv[2])\n", Arguments=given)
    content = definition(first, second, Parameters=[{"Name": "Depth", "Type": "Integer", "DefaultValue": 3}])
    source = start(cloud, "Cached", content)
    finished(cloud, source)

    def again(depth: str) -> dict[str, dict[str, Any]]:
        parameters = [{"Name": "Depth", "Value": depth}]
        arn = cloud.client("sagemaker").start_pipeline_execution(PipelineName="Cached", PipelineParameters=parameters)[
            "PipelineExecutionArn"
        ]
        assert finished(cloud, arn)["PipelineExecutionStatus"] == "Succeeded"
        return steps_of(cloud, arn)

    trained = job_of(steps_of(cloud, source)["First"])
    same, other = again("3"), again("4")
    assert same["First"]["CacheHitResult"] == {"SourcePipelineExecutionArn": source}
    assert job_of(same["First"]) == trained
    assert cloud.log("Training", job_of(same["Second"])) == [trained]
    assert "CacheHitResult" not in other["First"]
    assert cloud.log("Training", job_of(other["First"])) == ["trained"]


@pytest.mark.executes("StartPipelineExecution")
def test_retries(cloud: LocalCloud) -> None:
    """A limit is met again when a retry policy says so; without one the step fails and tells that."""
    policy = {
        "ExceptionType": ["SageMaker.RESOURCE_LIMIT"],
        "IntervalSeconds": 1,
        "BackoffRate": 1.0,
        "MaxAttempts": 60,
    }
    with cloud.conditions(quotas={"processing": {"ml.m5.large": 0}}):
        limited = start(cloud, "Limited", definition(processing_step(cloud, "Limited", "pass")))
        assert finished(cloud, limited)["PipelineExecutionStatus"] == "Failed"
        reason = steps_of(cloud, limited)["Limited"]["FailureReason"]
        assert reason.startswith("ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: The acc")
        assert reason.endswith("No retry policy configured for the exception type SAGEMAKER_RESOURCE_LIMIT.")
        content = definition(processing_step(cloud, "Patient", "pass", RetryPolicies=[policy]))
        patient = start(cloud, "Patient", content)
        until(lambda: steps_of(cloud, patient).get("Patient"), "the first attempt")
    assert finished(cloud, patient)["PipelineExecutionStatus"] == "Succeeded"
    assert steps_of(cloud, patient)["Patient"]["AttemptCount"] >= 2


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
