"""The matrix: each kind of SageMaker resource that the provider waits for, by how it waits and by what becomes of it.

Read by the DAG file, which makes a task of each case, and by the tests, which prepare what the tasks use and say what
has to come of them. Everything of a case bears its name: the task, the job, the model, the objects in S3.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product
from typing import Any

from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE

BUCKET = "data"
KINDS = ("training", "processing", "transform", "tuning", "endpoint", "pipeline")
# "tailing" is the training operator's print_log: a wait of its own, which describes the job every 30 s only
WAITS = ("waiting", "deferrable", "sensor", "tailing")
OUTCOMES = ("completed", "failed", "stopped", "timed-out", "throttled")
# the time limit of a case that times out; the job waits until it is released
LIMIT_SECONDS = 4
CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
STOPPING = {"MaxRuntimeInSeconds": 600}


@dataclass(frozen=True)
class Case:
    """One task.

    Args:
        kind: One of KINDS.
        wait: One of WAITS.
        outcome: One of OUTCOMES.
    """

    kind: str
    wait: str
    outcome: str

    @property
    def name(self) -> str:
        """The name of all that belongs to it."""
        return f"{self.kind}-{self.wait}-{self.outcome}"

    @property
    def waits_for_release(self) -> bool:
        """Whether its program waits until it is released (or stopped)."""
        return self.outcome in {"stopped", "timed-out", "throttled"}


def _exists(case: Case) -> bool:
    if case.kind == "endpoint" and case.outcome == "stopped":
        return False  # there is no such state
    if case.wait == "tailing":
        return case.kind == "training" and case.outcome != "throttled"  # 30 s between two calls cannot be throttled
    return True


CASES = tuple(case for case in (Case(*each) for each in product(KINDS, WAITS, OUTCOMES)) if _exists(case))
# one of each kind, wait and outcome that has not been shown by another one
SLICE = tuple(
    Case(*name.split(" "))
    for name in (
        "training deferrable completed",
        "training deferrable failed",
        "training deferrable stopped",
        "training waiting timed-out",
        "training sensor failed",
        "processing waiting completed",
        "processing deferrable timed-out",
        "transform waiting stopped",
        "tuning deferrable completed",
        "endpoint waiting completed",
        "pipeline deferrable completed",
    )
)
REST = tuple(case for case in CASES if case not in SLICE and case.outcome != "throttled")
THROTTLED = {wait: tuple(Case(kind, wait, "throttled") for kind in KINDS) for wait in WAITS if wait != "tailing"}
# what one run of a DAG runs, by the DAG's id
RUNS = {
    "operators_slice": SLICE,
    "operators_rest": REST,
    **{f"operators_throttled_{wait}": cases for wait, cases in THROTTLED.items()},
}
# what the operators around the jobs use
AROUND = Case("endpoint", "around", "completed")


def code(case: Case) -> str:
    """Return where the program of a case lies."""
    return f"s3://{BUCKET}/{case.name}/code.tar.gz"


def request(case: Case) -> dict[str, Any]:
    """Return the request that creates the resource of a case."""
    makers = {
        "training": _training,
        "processing": _processing,
        "transform": _transform,
        "tuning": _tuning,
        "endpoint": _endpoint,
        "pipeline": _pipeline,
    }
    return makers[case.kind](case)


def model_request(case: Case) -> dict[str, Any]:
    """Return the CreateModel request for a case that needs a model."""
    container = {
        "Image": XGBOOST_IMAGE,
        "ModelDataUrl": f"s3://{BUCKET}/{case.name}/model.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": code(case)},
    }
    return {"ModelName": case.name, "ExecutionRoleArn": ROLE, "PrimaryContainer": container}


def endpoint_config_request(case: Case) -> dict[str, Any]:
    """Return the CreateEndpointConfig request for a case that needs one."""
    variant = {"VariantName": "only", "ModelName": case.name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    return {"EndpointConfigName": case.name, "ProductionVariants": [variant]}


def _training(case: Case) -> dict[str, Any]:
    return {
        "TrainingJobName": case.name,
        "HyperParameters": {"sagemaker_program": "train.py", "sagemaker_submit_directory": code(case)},
        "AlgorithmSpecification": {"TrainingImage": XGBOOST_IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/{case.name}/out"},
        "ResourceConfig": CLUSTER,
        "StoppingCondition": STOPPING,
    }


def _processing(case: Case) -> dict[str, Any]:
    source = {
        "S3Uri": f"s3://{BUCKET}/{case.name}/process.py",
        "LocalPath": "/opt/ml/processing/code",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    }
    target = {
        "S3Uri": f"s3://{BUCKET}/{case.name}/out",
        "LocalPath": "/opt/ml/processing/out",
        "S3UploadMode": "EndOfJob",
    }
    return {
        "ProcessingJobName": case.name,
        "ProcessingInputs": [{"InputName": "code", "S3Input": source}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": target}]},
        "ProcessingResources": {"ClusterConfig": CLUSTER},
        "AppSpecification": {
            "ImageUri": XGBOOST_IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/process.py"],
        },
        "RoleArn": ROLE,
        "StoppingCondition": STOPPING,
    }


def _transform(case: Case) -> dict[str, Any]:
    rows = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{case.name}/rows.csv"}}
    return {
        "TransformJobName": case.name,
        "ModelName": case.name,
        "TransformInput": {"DataSource": rows, "ContentType": "text/csv"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/{case.name}/out", "Accept": "text/csv"},
        "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
    }


def _tuning(case: Case) -> dict[str, Any]:
    definition = _training(case)
    del definition["TrainingJobName"]
    definition["StaticHyperParameters"] = definition.pop("HyperParameters")
    definition["AlgorithmSpecification"] |= {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}]}
    # the operator reads the channels without asking whether there are any
    rows = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{case.name}/rows.csv"}}
    definition["InputDataConfig"] = [{"ChannelName": "rows", "DataSource": rows}]
    return {
        "HyperParameterTuningJobName": short(case),
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["1", "2"]}]},
        },
        "TrainingJobDefinition": definition,
    }


def short(case: Case) -> str:
    """Return the name of a tuning job, of which AWS allows 32 characters."""
    return f"{case.kind}-{case.wait[:5]}-{case.outcome}"


def _endpoint(case: Case) -> dict[str, Any]:
    return {"EndpointName": case.name, "EndpointConfigName": case.name}


def _pipeline(case: Case) -> dict[str, Any]:
    arguments = _processing(case)
    del arguments["ProcessingJobName"]
    steps = [{"Name": "Process", "Type": "Processing", "Arguments": arguments}]
    definition = {"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": steps}
    return {"PipelineName": case.name, "PipelineDefinition": json.dumps(definition), "RoleArn": ROLE}
