"""What users of the SageMaker Python SDK 3 do, as they do it; boto3 looks at what is left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.contract.local_cloud import archive, unpacked
from tests.contract.sdk.conftest import PROGRAMS, Sdk

if TYPE_CHECKING:
    from tests.contract.local_cloud import LocalCloud

pytestmark = pytest.mark.verify
SCRIPT = str(PROGRAMS / "source" / "sums.py")


@pytest.mark.executes("CreateTrainingJob")
def test_model_trainer(sdk: Sdk, cloud: LocalCloud) -> None:
    """ModelTrainer runs a script with its requirements, a channel, hyperparameters, variables and a metric."""
    said = sdk.run("train", f"s3://{cloud.bucket}/sdk/rows/")
    job = cloud.describe("Training", said["job"])
    assert ("Completed", "Completed") == (said["status"], job["TrainingJobStatus"])
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{cloud.bucket}/")
    assert {"factor": 2, "rows": 3} == json.loads(unpacked(cloud.get(artifact))["factor.json"])
    assert [("loss", 0.25)] == [(metric["MetricName"], metric["Value"]) for metric in job["FinalMetricDataList"]]
    log = cloud.log("Training", said["job"])
    # the word for 3 comes from the package that only requirements.txt names
    assert "trained on three rows, loss=0.25;" in log
    assert {"rows", "code", "sm_drivers"} == {channel["ChannelName"] for channel in job["InputDataConfig"]}


@pytest.mark.executes("CreateProcessingJob")
def test_script_processor(sdk: Sdk, cloud: LocalCloud) -> None:
    """ScriptProcessor uploads a script and runs it with arguments, variables, an input and an output."""
    said = sdk.run("process", f"s3://{cloud.bucket}/sdk/rows/", f"s3://{cloud.bucket}/sdk/sums", SCRIPT)
    assert ("Completed", "Completed") == (
        said["status"],
        cloud.describe("Processing", said["job"])["ProcessingJobStatus"],
    )
    assert b"12 for sdk" == cloud.get("sdk/sums/sum.txt")


@pytest.mark.executes("CreateModel", "CreateEndpoint", "InvokeEndpoint", "CreateTransformJob")
def test_model_builder(sdk: Sdk, cloud: LocalCloud) -> None:
    """ModelBuilder builds, deploys, transforms with and registers a model that answers by its own script."""
    artifact = cloud.put("sdk/model.tar.gz", archive({"factor.json": '{"factor": 3}'}))
    said = sdk.run("serve", artifact, f"s3://{cloud.bucket}/sdk/rows/", f"s3://{cloud.bucket}/sdk/predicted")
    assert ["12.0", "15.0"] == said["answer"].split()
    again = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="sdk-endpoint", Body=b"7", ContentType="text/csv", Accept="text/csv"
    )
    assert b"21.0" == again["Body"].read()
    assert "Completed" == cloud.describe("Transform", said["transform"])["TransformJobStatus"]
    assert [b"3.0", b"6.0", b"9.0"] == cloud.get("sdk/predicted/rows.csv.out").split()
    package = cloud.client("sagemaker").describe_model_package(ModelPackageName=said["package"])
    assert ("sdk-group", 1, "Approved") == (
        package["ModelPackageGroupName"],
        package["ModelPackageVersion"],
        package["ModelApprovalStatus"],
    )
    (container,) = package["InferenceSpecification"]["Containers"]
    repacked = unpacked(cloud.get(container["ModelDataUrl"].removeprefix(f"s3://{cloud.bucket}/")))
    assert {"factor.json", "code/inference.py"} <= set(repacked)
    cloud.client("sagemaker").delete_endpoint(EndpointName="sdk-endpoint")


@pytest.mark.executes("CreatePipeline", "UpdatePipeline", "StartPipelineExecution", "ListPipelineExecutionSteps")
def test_pipeline(sdk: Sdk, cloud: LocalCloud) -> None:
    """A pipeline is upserted twice and started with a parameter; its steps run, its condition decides."""
    said = sdk.run("pipeline", f"s3://{cloud.bucket}/sdk/rows/", f"s3://{cloud.bucket}/sdk/piped", SCRIPT)
    assert {"Sums": "Succeeded", "Decide": "Succeeded", "Learn": "Succeeded"} == said["steps"]
    sagemaker = cloud.client("sagemaker")
    execution = sagemaker.describe_pipeline_execution(PipelineExecutionArn=said["execution"])
    assert ("Succeeded", said["pipeline"]) == (execution["PipelineExecutionStatus"], execution["PipelineArn"])
    assert b"6 for pipeline" == cloud.get("sdk/piped/sum.txt")
    steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=said["execution"])["PipelineExecutionSteps"]
    (trained,) = [step["Metadata"]["TrainingJob"]["Arn"] for step in steps if step["StepName"] == "Learn"]
    job = cloud.describe("Training", trained.rpartition("/")[2])
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{cloud.bucket}/")
    assert {"factor": 7, "rows": 3} == json.loads(unpacked(cloud.get(artifact))["factor.json"])
