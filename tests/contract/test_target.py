"""The few contract tests that can run against AWS too, as tests/contract/target.py says; by default the local cloud."""

from __future__ import annotations

import os
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.local_cloud import archive, unpacked
from tests.contract.target import SWITCH, VARIABLES, Target, aws_target, is_aws, local_target

# an instance on AWS takes minutes to start
pytestmark = pytest.mark.timeout(3600)
TRAINS = """
import os
print("hello from the job", flush=True)
open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w").write("trained")
"""


@pytest.fixture(scope="module")
def target(request: pytest.FixtureRequest) -> Target:
    """Return where the tests of this module run."""
    return aws_target(os.environ) if is_aws(os.environ) else local_target(request.getfixturevalue("cloud"))


@pytest.fixture(scope="module")
def trained(target: Target) -> dict[str, Any]:
    """The description of a job that has completed."""
    return train(target, TRAINS)


def train(target: Target, script: str) -> dict[str, Any]:
    """Run a script as a training job to its end; return the job's description."""
    name = f"contract-{uuid.uuid4().hex[:12]}"
    target.client("s3").put_object(
        Bucket=target.bucket, Key=f"localcloud-contract/{name}.tar.gz", Body=archive({"train.py": script})
    )
    sagemaker = target.client("sagemaker")
    sagemaker.create_training_job(**request(target, name))
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    config = {"Delay": target.poll_seconds, "MaxAttempts": 120}
    try:
        waiter.wait(TrainingJobName=name, WaiterConfig=config)
    except Exception as error:  # noqa: BLE001 - the waiter takes a failed job for an error of its own
        assert "Failed" in str(error)  # noqa: PT017
    found: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
    return found


def request(target: Target, name: str) -> dict[str, Any]:
    """Return a CreateTrainingJob request."""
    return {
        "TrainingJobName": name,
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{target.bucket}/localcloud-contract/{name}.tar.gz",
        },
        "AlgorithmSpecification": {"TrainingImage": target.image, "TrainingInputMode": "File"},
        "RoleArn": target.role,
        "OutputDataConfig": {"S3OutputPath": f"s3://{target.bucket}/localcloud-contract/out"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


@pytest.mark.aws
@pytest.mark.executes("CreateTrainingJob", "DescribeTrainingJob")
def test_completed_job(target: Target, trained: dict[str, Any]) -> None:
    """A script's job is Completed, by way of the documented transitions, and leaves its model and its log."""
    assert ("Completed", "Completed") == (trained["TrainingJobStatus"], trained["SecondaryStatus"])
    statuses = [each["Status"] for each in trained["SecondaryStatusTransitions"]]
    expected = ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    # Pending and Interrupted may come between
    assert expected == [status for status in statuses if status in expected]
    artifact = trained["ModelArtifacts"]["S3ModelArtifacts"]
    assert f"s3://{target.bucket}/localcloud-contract/out/{trained['TrainingJobName']}/output/model.tar.gz" == artifact
    key = artifact.removeprefix(f"s3://{target.bucket}/")
    model = target.client("s3").get_object(Bucket=target.bucket, Key=key)["Body"].read()
    assert {"model.txt": b"trained"} == unpacked(model)
    events = target.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{trained['TrainingJobName']}/"
    )["events"]
    assert "hello from the job" in {event["message"] for event in events}


@pytest.mark.aws
@pytest.mark.executes("CreateTrainingJob", "DescribeTrainingJob")
def test_failed_job(target: Target) -> None:
    """A script that raises fails its job with AlgorithmError and the exception."""
    job = train(target, "raise ValueError('no such luck')\n")
    assert ("Failed", "Failed") == (job["TrainingJobStatus"], job["SecondaryStatus"])
    assert job["FailureReason"].startswith("AlgorithmError: ")
    assert "no such luck" in job["FailureReason"]


@pytest.mark.aws
@pytest.mark.refuses("DescribeTrainingJob", "StopTrainingJob", "CreateTrainingJob")
def test_refusals(target: Target, trained: dict[str, Any]) -> None:
    """Errors have AWS's codes and words."""
    sagemaker, name = target.client("sagemaker"), trained["TrainingJobName"]
    with pytest.raises(ClientError) as refusal:
        sagemaker.describe_training_job(TrainingJobName="contract-nobody")
    assert ("ValidationException", "Requested resource not found.") == (
        refusal.value.response["Error"]["Code"],
        refusal.value.response["Error"]["Message"],
    )
    with pytest.raises(ClientError, match="The request was rejected because the training job is in status Completed"):
        sagemaker.stop_training_job(TrainingJobName=name)
    with pytest.raises(ClientError, match="already exists") as refusal:
        sagemaker.create_training_job(**request(target, name))
    assert "ResourceInUse" == refusal.value.response["Error"]["Code"]


def test_nothing_is_asked_of_aws_by_accident() -> None:
    """AWS is the target only when the switch says so and every variable is set; what is missing is named."""
    assert not is_aws({})
    assert is_aws({SWITCH: "aws"})
    with pytest.raises(pytest.UsageError, match="may be `aws` or unset"):
        is_aws({SWITCH: "localstack"})
    with pytest.raises(pytest.UsageError, match=f"needs {', '.join(VARIABLES)};"):
        aws_target({})
    with pytest.raises(pytest.UsageError, match=f"needs {VARIABLES[1]};"):
        aws_target({VARIABLES[0]: "b", VARIABLES[2]: "i"})
