"""The requests of a model's SageMaker jobs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from include.core.errors import RequestsNotCompiled
from include.core.model_spec import load_model
from include.jobs.code_package import CodePackage
from include.jobs.compiled import PURPOSES, Purpose
from include.jobs.requests import (
    evaluation_request,
    model_request,
    plot_request,
    publish_channel,
    serving_image,
    training_image,
    training_request,
    transform_request,
)

if TYPE_CHECKING:
    from include.core.lake import Lake
    from include.core.model_spec import ModelSpec

ROLE = "arn:aws:iam::123456789012:role/flightdeck-jobs"
SPEC = load_model("flight_delay")
CODE = CodePackage(uri="s3://lake/code/flight_delay/0123")
OLD_CODE = CodePackage(uri="s3://lake/code/flight_delay/4567")
CHANNELS = {"features": "s3://lake/f.manifest", "labels": "s3://lake/l.manifest"}
CANDIDATE = ("s3://lake/m.tar.gz", CODE)
CHAMPION = ("s3://lake/c.tar.gz", OLD_CODE)
OPERATIONS: dict[Purpose, str] = {
    "train": "CreateTrainingJob",
    "evaluate": "CreateProcessingJob",
    "plot": "CreateProcessingJob",
    "model": "CreateModel",
    "transform": "CreateTransformJob",
}
NAMES = ("TrainingJobName", "ProcessingJobName", "ModelName", "TransformJobName")


def requests_of(spec: ModelSpec, lake: Lake) -> dict[Purpose, dict[str, Any]]:
    """Return each purpose's request with sample values, as the tasks ask for it."""
    return {
        "train": training_request(spec, lake, CODE, CHANNELS, ROLE),
        "evaluate": evaluation_request(spec, lake, "2013-03", CHANNELS, CANDIDATE, {"champion": CHAMPION}, ROLE),
        "plot": plot_request(spec, lake, CODE, "s3://lake/r.manifest", ROLE),
        "model": model_request(spec, serving_image(spec), "s3://lake/m.tar.gz", CODE, ROLE),
        "transform": transform_request(spec, "s3://lake/features.parquet", "s3://lake/out", "the-model"),
    }


def problems(operation: str, request: dict[str, Any]) -> str:
    """Return what botocore's own model of the SageMaker API finds wrong with a request."""
    model = botocore.session.get_session().get_service_model("sagemaker").operation_model(operation)
    return str(ParamValidator().validate(request, model.input_shape).generate_report())


def test_requests_fit_the_api(lake: Lake) -> None:
    """Each filled request validates against botocore's model of SageMaker."""
    found = {purpose: problems(OPERATIONS[purpose], request) for purpose, request in requests_of(SPEC, lake).items()}
    assert dict.fromkeys(PURPOSES, "") == found


def test_the_training_is_what_model_yaml_says(lake: Lake) -> None:
    """Machines, limits, hyperparameters and metrics are model.yaml's; image and form of the values are the SDK's."""
    request = training_request(SPEC, lake, CODE, CHANNELS, ROLE)
    training = SPEC.training
    assert request == {
        "TrainingJobName": "flight-delay-train",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5",
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": name, "Regex": regex} for name, regex in training.metric_definitions.items()
            ],
        },
        "HyperParameters": {
            **{name: str(value) for name, value in training.hyperparameters.items()},
            "seed": str(training.seed),
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": CODE.archive,
        },
        "InputDataConfig": [
            {
                "ChannelName": name,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "ManifestFile",
                        "S3Uri": uri,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for name, uri in CHANNELS.items()
        ],
        "OutputDataConfig": {"S3OutputPath": lake.uri("jobs/flight_delay/training"), "CompressionType": "GZIP"},
        "ResourceConfig": {
            "InstanceType": training.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": training.volume_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": training.max_runtime_seconds},
    }


def test_the_evaluation_compares_every_model_with_its_own_code(lake: Lake) -> None:
    """Artifact and code of each model reach the program under the model's name."""
    request = requests_of(SPEC, lake)["evaluate"]
    arguments = request["AppSpecification"]["ContainerArguments"]
    models = [value for option, value in itertools.pairwise(arguments) if option == "--model"]
    assert models == [
        "candidate=/opt/ml/processing/input/candidate",
        "champion=/opt/ml/processing/input/champion",
    ]
    code = [value for option, value in itertools.pairwise(arguments) if option == "--code"]
    assert code == [
        "candidate=/opt/ml/processing/input/candidate-code",
        "champion=/opt/ml/processing/input/champion-code",
    ]
    assert ("--objective", "binary_classification") in itertools.pairwise(arguments)
    assert ("--holdout-month", "2013-03") in itertools.pairwise(arguments)
    sources = {
        entry["InputName"]: (entry["S3Input"]["S3Uri"], entry["S3Input"]["LocalPath"])
        for entry in request["ProcessingInputs"]
    }
    assert {
        name: (uri, f"/opt/ml/processing/input/{name}")
        for name, uri in {
            **CHANNELS,
            "candidate": CANDIDATE[0],
            "candidate-code": CODE.files,
            "champion": CHAMPION[0],
            "champion-code": OLD_CODE.files,
        }.items()
    } == sources


def test_a_candidate_without_a_champion_is_evaluated_alone(lake: Lake) -> None:
    """The first evaluation of a model names no other one."""
    request = evaluation_request(SPEC, lake, "2013-03", CHANNELS, CANDIDATE, {}, ROLE)
    arguments = request["AppSpecification"]["ContainerArguments"]
    assert 1 == arguments.count("--model") == arguments.count("--code")
    assert ["features", "labels", "candidate", "candidate-code"] == [
        entry["InputName"] for entry in request["ProcessingInputs"]
    ]


def test_a_champion_is_served_by_the_image_it_was_released_with(lake: Lake) -> None:
    """An image that model.yaml has left behind stays the one of a model that was trained in it."""
    older = training_image(SPEC).replace("3.0-5", "1.7-1")
    request = model_request(SPEC, older, "s3://lake/m.tar.gz", CODE, ROLE)
    expected = requests_of(SPEC, lake)["model"]
    expected["PrimaryContainer"]["Image"] = older
    assert expected == request


def test_a_channel_names_exactly_its_files(lake: Lake) -> None:
    """The manifest holds the lake's address once and each file's key, and equal files have one manifest."""
    first = publish_channel(lake, "m", ["a/1.parquet", "b/2.parquet"])
    assert [{"prefix": f"{lake.root}/"}, "a/1.parquet", "b/2.parquet"] == lake.read_json(lake.key(first))
    assert first == publish_channel(lake, "m", ["a/1.parquet", "b/2.parquet"])
    assert first != publish_channel(lake, "m", ["a/1.parquet"])


@pytest.mark.parametrize("purpose", PURPOSES)
def test_names_hold_no_underscore(lake: Lake, purpose: Purpose) -> None:
    """SageMaker's names allow letters, digits and hyphens."""
    request = requests_of(SPEC, lake)[purpose]
    assert [] == [request[name] for name in NAMES if "_" in request.get(name, "")]


@pytest.mark.parametrize("channels", [{"features": "s3://lake/f.manifest"}, CHANNELS | {"weights": "s3://lake/w"}])
def test_the_channels_are_those_of_the_compiled_request(lake: Lake, channels: dict[str, str]) -> None:
    """A channel that is missing and one that the request does not have are refused."""
    (different,) = set(channels) ^ set(CHANNELS)
    with pytest.raises(RequestsNotCompiled, match=different):
        training_request(SPEC, lake, CODE, channels, ROLE)
