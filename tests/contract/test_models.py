"""Models: what is kept of them, what is refused, and what the default handlers of an image do."""

import io
import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from tests.contract.inference import container, make_model
from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud, archive
from tests.contract.test_transform import transform

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
SKLEARN_IMAGE = XGBOOST_IMAGE.replace("sagemaker-xgboost:3.0-5", "sagemaker-scikit-learn:1.2-1-cpu-py3")
# a model without handlers of its own but model_fn
SUMS = """
class Model:
    def predict(self, rows):
        return rows.sum(axis=1)
def model_fn(folder):
    return Model()
"""


def create(cloud: LocalCloud, name: str, **request: Any) -> None:
    """Create a model; `request` overrides parts of the request."""
    cloud.client("sagemaker").create_model(**{"ModelName": name, "ExecutionRoleArn": ROLE, **request})


@pytest.mark.refuses("DescribeModel", "DeleteModel")
def test_life(cloud: LocalCloud) -> None:
    """A model is described with all that was asked for; a deleted one is unknown, and serves no new job."""
    sagemaker = cloud.client("sagemaker")
    definition = container(cloud, "kept") | {"ContainerHostname": "first"}
    create(cloud, "kept", PrimaryContainer=definition, EnableNetworkIsolation=True)
    described = sagemaker.describe_model(ModelName="kept")
    source = {"S3Uri": definition["ModelDataUrl"], "S3DataType": "S3Object", "CompressionType": "Gzip"}
    assert described["PrimaryContainer"] == {
        **definition,
        "Mode": "SingleModel",
        "ModelDataSource": {"S3DataSource": source},
    }
    assert (described["ModelArn"], described["EnableNetworkIsolation"], "Containers" in described) == (
        f"{ARN}:model/kept",
        True,
        False,
    )
    sagemaker.delete_model(ModelName="kept")
    for operation in (sagemaker.describe_model, sagemaker.delete_model):
        with pytest.raises(ClientError, match=f'Could not find model "{ARN}:model/kept"'):
            operation(ModelName="kept")
    cloud.put("kept/in/a.csv", "1\n")
    with pytest.raises(ClientError, match=f'Could not find model "{ARN}:model/kept"'):
        transform(cloud, "kept", "kept")


def test_list(cloud: LocalCloud) -> None:
    """Models are listed by name or time, newest first unless asked otherwise, in pages."""
    sagemaker = cloud.client("sagemaker")
    for letter in "cab":
        create(cloud, f"listed-{letter}", PrimaryContainer={"Image": XGBOOST_IMAGE})

    def names(**request: Any) -> list[str]:
        found = sagemaker.get_paginator("list_models").paginate(
            NameContains="LISTED", PaginationConfig={"PageSize": 2}, **request
        )
        return [model["ModelName"][-1] for page in found for model in page["Models"]]

    assert names() == ["b", "a", "c"]
    assert names(SortBy="Name", SortOrder="Ascending") == ["a", "b", "c"]
    first, hour = sagemaker.describe_model(ModelName="listed-c")["CreationTime"], timedelta(hours=1)
    assert names(CreationTimeAfter=first - hour, SortBy="Name", SortOrder="Descending") == ["c", "b", "a"]
    assert names(CreationTimeAfter=first + hour) == names(CreationTimeBefore=first - hour) == []


@pytest.mark.verify
@pytest.mark.executes("CreateModel", "CreateTransformJob")
def test_uncompressed_data(cloud: LocalCloud) -> None:
    """A ModelDataSource without compression brings the objects under its prefix into /opt/ml/model."""
    script = (
        "import os\ndef model_fn(folder):\n"
        "    return sorted(os.path.relpath(os.path.join(where, name), folder)\n"
        "                  for where, _, names in os.walk(folder) for name in names)\n"
        "def transform_fn(model, body, content_type, accept):\n    return ' '.join(model)\n"
    )
    definition = container(cloud, "plain", script)
    del definition["ModelDataUrl"]
    cloud.put("plain-model/weights.bin", b"1")
    cloud.put("plain-model/deep/more.bin", b"2")
    source = {"S3Uri": "s3://data/plain-model/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    create(cloud, "plain", PrimaryContainer={**definition, "ModelDataSource": {"S3DataSource": source}})
    cloud.put("plain/in/a.csv", "1\n")
    transform(cloud, "plain", "plain")
    assert cloud.finished("Transform", "plain")["TransformJobStatus"] == "Completed"
    assert cloud.get("plain/out/a.csv.out") == b"deep/more.bin weights.bin"


@pytest.mark.executes("CreateModel", "CreateTransformJob")
def test_default_handlers(cloud: LocalCloud) -> None:
    """Without handlers of its own an image's toolkit reads and writes JSON, CSV and NPY, and refuses other types."""
    model = container(cloud, "sums", SUMS) | {"Image": SKLEARN_IMAGE}
    create(cloud, "sums", PrimaryContainer=model)
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    stored = io.BytesIO()
    np.save(stored, rows)
    bodies = {
        "text/csv": b"1,2\n3,4\n",
        "application/json": b"[[1, 2], [3, 4]]",
        "application/x-npy": stored.getvalue(),
    }
    answers = {}
    for number, (kind, body) in enumerate(bodies.items()):
        cloud.put(f"sums-{number}/in/a", body)
        transform(
            cloud, f"sums-{number}", "sums", TransformInput={"ContentType": kind}, TransformOutput={"Accept": kind}
        )
    for number, kind in enumerate(bodies):
        job = cloud.finished("Transform", f"sums-{number}")
        assert (job["TransformJobStatus"], job.get("FailureReason")) == ("Completed", None)
        answers[kind] = cloud.get(f"sums-{number}/out/a.out")
    assert answers["text/csv"] == b"3.0\n7.0\n"
    assert json.loads(answers["application/json"]) == [3.0, 7.0]
    assert np.load(io.BytesIO(answers["application/x-npy"])).tolist() == [3.0, 7.0]
    cloud.put("sums-x/in/a", b"1")
    transform(cloud, "sums-x", "sums", TransformInput={"ContentType": "text/x-unknown"})
    assert "the model answered 415" in cloud.finished("Transform", "sums-x")["FailureReason"]


@pytest.mark.refuses("CreateModel")
def test_model_name_in_use(cloud: LocalCloud) -> None:
    """A second model of the same name is refused, as AWS does."""
    make_model(cloud, "taken")
    with pytest.raises(ClientError, match=f'Cannot create already existing model "{ARN}:model/taken"'):
        make_model(cloud, "taken")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "Either PrimaryContainer or Containers must be provided"),
    "both": (
        {"PrimaryContainer": {"Image": "x"}, "Containers": [{"Image": "x"}]},
        "Both PrimaryContainer and Containers",
    ),
    "no-image": ({"PrimaryContainer": {}, "Containers": [{}]}, "Either Image or ModelPackageName"),
    "data": (
        {"PrimaryContainer": {"Image": "x", "ModelDataUrl": "s3://data/no/such.tar.gz"}},
        r"Could not find model data at s3://data/no/such\.tar\.gz",
    ),
    "multi-model": (
        {"PrimaryContainer": {"Image": "x", "Mode": "MultiModel"}},
        "does not run a container of Mode Multi",
    ),
    "role": (
        {"PrimaryContainer": {"Image": "x"}, "ExecutionRoleArn": "arn:aws:iam::1:user/anybody"},
        "executionRoleArn",
    ),
    "direct": (
        {"Containers": [{"Image": "x"}], "InferenceExecutionConfig": {"Mode": "Direct"}},
        "does not run InferenceExecutionConfig Mode Direct",
    ),
    "hostnames": (
        {"Containers": [{"Image": "x", "ContainerHostname": "a"}, {"Image": "x", "ContainerHostname": "a"}]},
        "must be unique",
    ),
}


@pytest.mark.refuses("CreateModel")
@pytest.mark.parametrize("case", REFUSED)
def test_refused_at_creation(cloud: LocalCloud, case: str) -> None:
    """What AWS or the local cloud does not serve is refused when the model is created."""
    request, message = REFUSED[case]
    with pytest.raises(ClientError, match=message) as refusal:
        create(cloud, f"refused-{case}", **request)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.refuses("CreateTransformJob", "CreateEndpoint")
def test_unknown_image(cloud: LocalCloud) -> None:
    """A model of an image that has no stand-in can be stored, but not served, and the refusal says how to map it."""
    create(cloud, "foreign", PrimaryContainer={"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"})
    cloud.put("foreign/in/a.csv", "1\n")
    with pytest.raises(ClientError, match=r"no environment for the image .*/mine:1'.*To map another image"):
        transform(cloud, "foreign", "foreign")
    sagemaker = cloud.client("sagemaker")
    variant = {"VariantName": "a", "ModelName": "foreign", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="foreign", ProductionVariants=[variant])
    with pytest.raises(ClientError, match="no environment for the image"):
        sagemaker.create_endpoint(EndpointName="foreign", EndpointConfigName="foreign")


@pytest.mark.verify
@pytest.mark.executes("CreateModel", "CreateTransformJob")
def test_script_inside_the_artifact(cloud: LocalCloud) -> None:
    """The script may come inside the artifact, with its own modules beside it."""
    script = (
        "from helper import answer\ndef model_fn(folder):\n    return None\n"
        "def transform_fn(model, body, content_type, accept):\n    return answer(body)\n"
    )
    files = {"code/inference.py": script, "code/helper.py": "def answer(body):\n    return body.upper()\n"}
    artifact = cloud.put("artifacts/inside/model.tar.gz", archive(files))
    create(cloud, "inside", PrimaryContainer={"Image": XGBOOST_IMAGE, "ModelDataUrl": artifact})
    cloud.put("inside/in/a.csv", "abc")
    transform(cloud, "inside", "inside")
    assert cloud.finished("Transform", "inside")["TransformJobStatus"] == "Completed"
    assert cloud.get("inside/out/a.csv.out") == b"ABC"
