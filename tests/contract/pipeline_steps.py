"""Pipeline definitions, and what a test asks of their executions."""

import json
from typing import Any

from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud, archive, until

END: dict[str, Any] = {"Name": "End", "Type": "Fail"}
TRAIN: dict[str, Any] = {"Name": "Train", "Type": "Training"}
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
