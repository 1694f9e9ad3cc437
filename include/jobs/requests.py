"""The requests of a model's SageMaker jobs: plain boto3 dictionaries built from its model.yaml.

A request's name is a readable prefix; the operator that sends it (``include.jobs.sagemaker``) makes it a unique name.

What it does not do: call any cloud.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from include.core.lake import datasets_prefix, jobs_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.core.lake import Lake
    from include.core.model_spec import Instances, ModelSpec
    from include.jobs.code_package import CodePackage

_PROCESSING = "/opt/ml/processing"


def name_prefix(spec: ModelSpec) -> str:
    """Return a model's name as SageMaker's resources may carry it."""
    return spec.name.replace("_", "-")


def training_request(
    spec: ModelSpec, lake: Lake, code: CodePackage, channels: Mapping[str, str], role: str
) -> dict[str, Any]:
    """Return a CreateTrainingJob request in script mode.

    Args:
        spec: The model.
        lake: Where the job writes its artifacts.
        code: The code to run; its entry point is ``train.py``.
        channels: Address of each channel's S3 manifest, by the channel's name.
        role: ARN of the role that the job runs as.
    """
    training = spec.training
    hyperparameters = {
        **{name: str(value) for name, value in training.hyperparameters.items()},
        "seed": str(training.seed),
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": code.archive,
    }
    return {
        "TrainingJobName": f"{name_prefix(spec)}-train",
        "RoleArn": role,
        "AlgorithmSpecification": {
            "TrainingImage": spec.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": name, "Regex": regex} for name, regex in training.metric_definitions.items()
            ],
        },
        "HyperParameters": hyperparameters,
        "InputDataConfig": [
            {"ChannelName": name, "DataSource": {"S3DataSource": _s3_manifest(uri)}} for name, uri in channels.items()
        ],
        "OutputDataConfig": {"S3OutputPath": lake.uri(f"{jobs_prefix(spec.name)}/training")},
        "ResourceConfig": _cluster(training),
        "StoppingCondition": {"MaxRuntimeInSeconds": training.max_runtime_seconds},
    }


def evaluation_request(
    spec: ModelSpec,
    lake: Lake,
    holdout_month: str,
    channels: Mapping[str, str],
    models: Mapping[str, tuple[str, CodePackage]],
    role: str,
) -> dict[str, Any]:
    """Return a CreateProcessingJob request that evaluates models on one holdout.

    Args:
        spec: The model; its image runs the evaluation.
        lake: Where the job writes its report.
        holdout_month: The month, as the report names it.
        channels: Address of the S3 manifests of ``features`` and ``labels``.
        models: Artifact (model.tar.gz) and code of each model to compare, by name; the first is the candidate.
        role: ARN of the role that the job runs as.
    """
    inputs = {name: _s3_manifest(uri) for name, uri in channels.items()}
    arguments = ["--holdout-month", holdout_month, "--objective", spec.objective]
    for name in channels:
        arguments += [f"--{name}", f"{_PROCESSING}/input/{name}"]
    for name, (artifact, code) in models.items():
        inputs[name] = _s3_prefix(artifact)
        inputs[f"{name}-code"] = _s3_prefix(code.files)
        arguments += ["--model", f"{name}={_PROCESSING}/input/{name}"]
        arguments += ["--code", f"{name}={_PROCESSING}/input/{name}-code"]
    program = f"{_PROCESSING}/input/{next(iter(models))}-code/evaluate.py"
    arguments += ["--output", f"{_PROCESSING}/output"]
    return _processing_request(spec, lake, "evaluate", program, arguments, inputs, role)


def plot_request(spec: ModelSpec, lake: Lake, code: CodePackage, reports: str, role: str) -> dict[str, Any]:
    """Return a CreateProcessingJob request that draws measured months.

    Args:
        spec: The model; its image draws.
        lake: Where the job writes the plots.
        code: The code that holds the program.
        reports: Address of the S3 manifest of the months' reports.
        role: ARN of the role that the job runs as.
    """
    inputs = {"reports": _s3_manifest(reports), "code": _s3_prefix(code.files)}
    arguments = ["--reports", f"{_PROCESSING}/input/reports", "--output", f"{_PROCESSING}/output"]
    return _processing_request(spec, lake, "plot", f"{_PROCESSING}/input/code/plot_months.py", arguments, inputs, role)


def model_request(spec: ModelSpec, image: str, artifact: str, code: CodePackage, role: str) -> dict[str, Any]:
    """Return a CreateModel request that serves an artifact by the model's ``serve.py`` in script mode."""
    return {
        "ModelName": f"{name_prefix(spec)}-model",
        "ExecutionRoleArn": role,
        "PrimaryContainer": {
            "Image": image,
            "ModelDataUrl": artifact,
            "Environment": {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code.archive},
        },
    }


def transform_request(spec: ModelSpec, lake: Lake, features: str) -> dict[str, Any]:
    """Return a CreateTransformJob request that scores one parquet file in one piece.

    The model's name and the last part of the output path are the operator's, which knows the job's name.
    """
    return {
        "TransformJobName": f"{name_prefix(spec)}-score",
        "MaxConcurrentTransforms": 1,
        "MaxPayloadInMB": 100,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": features}},
            "ContentType": "application/x-parquet",
            "SplitType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": lake.uri(f"{jobs_prefix(spec.name)}/scoring"),
            "Accept": "text/csv",
            "AssembleWith": "None",
        },
        "TransformResources": {"InstanceType": spec.scoring.instance_type, "InstanceCount": 1},
    }


def publish_channel(lake: Lake, model: str, keys: list[str]) -> str:
    """Write the S3 manifest that names exactly ``keys`` and return its address (ManifestFile of an S3DataSource)."""
    content = json.dumps([{"prefix": f"{lake.root}/"}, *keys]).encode()
    key = f"{datasets_prefix(model)}/{hashlib.sha256(content).hexdigest()[:16]}.manifest"
    lake.write_bytes(key, content)
    return lake.uri(key)


def _processing_request(
    spec: ModelSpec,
    lake: Lake,
    purpose: str,
    program: str,
    arguments: list[str],
    inputs: Mapping[str, dict[str, str]],
    role: str,
) -> dict[str, Any]:
    return {
        "ProcessingJobName": f"{name_prefix(spec)}-{purpose}",
        "RoleArn": role,
        "AppSpecification": {
            "ImageUri": spec.image,
            "ContainerEntrypoint": ["python3", program],
            "ContainerArguments": arguments,
        },
        "ProcessingInputs": [
            {
                "InputName": name,
                "S3Input": {"LocalPath": f"{_PROCESSING}/input/{name}", "S3InputMode": "File", **source},
            }
            for name, source in inputs.items()
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": purpose,
                    "S3Output": {
                        "S3Uri": lake.uri(f"{jobs_prefix(spec.name)}/{purpose}"),
                        "LocalPath": f"{_PROCESSING}/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "ProcessingResources": {"ClusterConfig": _cluster(spec.evaluation)},
        "StoppingCondition": {"MaxRuntimeInSeconds": spec.evaluation.max_runtime_seconds},
    }


def _s3_manifest(uri: str) -> dict[str, str]:
    return {"S3DataType": "ManifestFile", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}


def _s3_prefix(uri: str) -> dict[str, str]:
    return {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}


def _cluster(instances: Instances) -> dict[str, Any]:
    return {
        "InstanceType": instances.instance_type,
        "InstanceCount": 1,
        "VolumeSizeInGB": instances.volume_gb,
    }
