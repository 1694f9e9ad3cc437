"""The requests of a model's SageMaker jobs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from include.core.model_spec import load_model
from include.jobs.code_package import CodePackage
from include.jobs.requests import (
    evaluation_request,
    model_request,
    publish_channel,
    training_request,
    transform_request,
)

if TYPE_CHECKING:
    from include.core.lake import Lake

ROLE = "arn:aws:iam::123456789012:role/flightdeck-jobs"
SPEC = load_model("flight_delay")
CODE = CodePackage(uri="s3://lake/code/flight_delay/0123")


def problems(operation: str, request: dict[str, Any]) -> str:
    """Return what botocore's own model of the SageMaker API finds wrong with a request."""
    model = botocore.session.get_session().get_service_model("sagemaker").operation_model(operation)
    return str(ParamValidator().validate(request, model.input_shape).generate_report())


def test_requests_fit_the_api(lake: Lake) -> None:
    """Each request validates against botocore's model of SageMaker, once the operator has set the model's name."""
    channels = {"features": "s3://lake/f.manifest", "labels": "s3://lake/l.manifest"}
    models = {"candidate": ("s3://lake/m.tar.gz", CODE), "champion": ("s3://lake/c.tar.gz", CODE)}
    transform = transform_request(SPEC, lake, "s3://lake/features.parquet") | {"ModelName": "m"}
    assert {
        "CreateTrainingJob": problems("CreateTrainingJob", training_request(SPEC, lake, CODE, channels, ROLE)),
        "CreateProcessingJob": problems(
            "CreateProcessingJob", evaluation_request(SPEC, lake, "2013-03", channels, models, ROLE)
        ),
        "CreateModel": problems("CreateModel", model_request(SPEC, SPEC.image, "s3://lake/m.tar.gz", CODE, ROLE)),
        "CreateTransformJob": problems("CreateTransformJob", transform),
    } == {
        "CreateTrainingJob": "",
        "CreateProcessingJob": "",
        "CreateModel": "",
        "CreateTransformJob": "",
    }


def test_the_evaluation_compares_every_model_with_its_own_code(lake: Lake) -> None:
    """Artifact and code of each model reach the program under the model's name."""
    request = evaluation_request(
        SPEC,
        lake,
        "2013-03",
        {"features": "s3://lake/f.manifest"},
        {"candidate": ("s3://lake/m.tar.gz", CODE), "champion": ("s3://lake/c.tar.gz", CODE)},
        ROLE,
    )
    arguments = request["AppSpecification"]["ContainerArguments"]
    models = [value for option, value in itertools.pairwise(arguments) if option == "--model"]
    assert models == [
        "candidate=/opt/ml/processing/input/candidate",
        "champion=/opt/ml/processing/input/champion",
    ]
    assert ("--objective", "binary_classification") in itertools.pairwise(arguments)
    assert {"features", "candidate", "candidate-code", "champion", "champion-code"} == {
        entry["InputName"] for entry in request["ProcessingInputs"]
    }


def test_a_channel_names_exactly_its_files(lake: Lake) -> None:
    """The manifest holds the lake's address once and each file's key, and equal files have one manifest."""
    first = publish_channel(lake, "m", ["a/1.parquet", "b/2.parquet"])
    assert [{"prefix": f"{lake.root}/"}, "a/1.parquet", "b/2.parquet"] == lake.read_json(lake.key(first))
    assert first == publish_channel(lake, "m", ["a/1.parquet", "b/2.parquet"])
    assert first != publish_channel(lake, "m", ["a/1.parquet"])


@pytest.mark.parametrize("name", ["TrainingJobName", "ProcessingJobName", "ModelName", "TransformJobName"])
def test_names_hold_no_underscore(lake: Lake, name: str) -> None:
    """SageMaker's names allow letters, digits and hyphens."""
    requests: list[dict[str, Any]] = [
        training_request(SPEC, lake, CODE, {}, ROLE),
        evaluation_request(SPEC, lake, "2013-03", {}, {"candidate": ("s3://lake/m.tar.gz", CODE)}, ROLE),
        model_request(SPEC, SPEC.image, "s3://lake/m.tar.gz", CODE, ROLE),
        transform_request(SPEC, lake, "s3://lake/features.parquet"),
    ]
    found = [request[name] for request in requests if name in request]
    assert len(found) == 1
    assert "_" not in found[0]
