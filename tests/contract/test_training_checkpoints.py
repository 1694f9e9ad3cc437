"""Checkpoints: what a training job finds of an earlier one, and what it leaves in S3 while it runs and at its end."""

import pytest
from botocore.exceptions import ClientError

from tests.contract.local_cloud import LocalCloud, unpacked, until

COUNTS = """
import os, pathlib, sys, time
folder = pathlib.Path("/opt/ml/checkpoints")
if not folder.is_dir():
    folder = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints"
folder.mkdir(exist_ok=True)
state = folder / "step.txt"
first = int(state.read_text()) if state.is_file() else 0
print("begins at", first, flush=True)
for step in range(first + 1, int(sys.argv[-1]) + 1):
    part = folder / "part"
    part.write_text(str(step))
    part.rename(state)
    time.sleep(0.05)
pathlib.Path(os.environ["SM_MODEL_DIR"], "began-at.txt").write_text(str(first))
"""
FAILS = 'open("/opt/ml/checkpoints/last.txt", "w").write("kept")\nraise SystemExit("gives up")\n'


def checkpoints(cloud: LocalCloud, name: str) -> dict[str, str]:
    """Return a CheckpointConfig."""
    return {"S3Uri": f"s3://{cloud.bucket}/checkpoints/{name}/"}


@pytest.mark.executes("CreateTrainingJob", "DescribeTrainingJob")
def test_the_next_job_goes_on(cloud: LocalCloud) -> None:
    """What a job leaves in /opt/ml/checkpoints is in S3 at its end; a second job with the address finds it."""
    config = checkpoints(cloud, "counting")
    first = cloud.finished(
        "Training", cloud.train("count-1", COUNTS, HyperParameters={"to": "3"}, CheckpointConfig=config)
    )
    assert (first["TrainingJobStatus"], first.get("FailureReason")) == ("Completed", None)
    assert first["CheckpointConfig"] == config
    assert cloud.get("checkpoints/counting/step.txt") == b"3"
    second = cloud.finished(
        "Training", cloud.train("count-2", COUNTS, HyperParameters={"to": "5"}, CheckpointConfig=config)
    )
    assert second["TrainingJobStatus"] == "Completed"
    assert unpacked(cloud.get("models/count-2/output/model.tar.gz")) == {"began-at.txt": b"3"}
    assert cloud.get("checkpoints/counting/step.txt") == b"5"


@pytest.mark.executes("CreateTrainingJob")
def test_checkpoints_are_uploaded_while_the_job_runs(cloud: LocalCloud) -> None:
    """A checkpoint is in S3 long before the job ends."""
    cloud.train("counts-on", COUNTS, HyperParameters={"to": "100000"}, CheckpointConfig=checkpoints(cloud, "running"))
    until(lambda: cloud.keys("checkpoints/running/step.txt"), "a checkpoint of a running job")
    assert cloud.describe("Training", "counts-on")["TrainingJobStatus"] == "InProgress"
    early = int(cloud.get("checkpoints/running/step.txt"))
    until(lambda: int(cloud.get("checkpoints/running/step.txt")) > early, "a later checkpoint")
    cloud.client("sagemaker").stop_training_job(TrainingJobName="counts-on")
    assert cloud.finished("Training", "counts-on")["TrainingJobStatus"] == "Stopped"


@pytest.mark.executes("CreateTrainingJob")
def test_checkpoints_of_a_failed_job(cloud: LocalCloud) -> None:
    """A job that fails has left its checkpoints all the same."""
    job = cloud.finished("Training", cloud.train("gives-up", FAILS, CheckpointConfig=checkpoints(cloud, "failed")))
    assert job["TrainingJobStatus"] == "Failed"
    assert cloud.get("checkpoints/failed/last.txt") == b"kept"


@pytest.mark.executes("CreateTrainingJob", "DescribeTrainingJob")
def test_a_spot_job_is_interrupted(cloud: LocalCloud) -> None:
    """An interrupted managed spot job begins again with its checkpoints, and its history says so."""
    with cloud.conditions(spot={"after_seconds": 1.0, "times": 1}):
        cloud.train(
            "spot",
            COUNTS,
            HyperParameters={"to": "40"},
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
            CheckpointConfig=checkpoints(cloud, "spot"),
        )
        job = cloud.finished("Training", "spot")
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Interrupted",
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    began = int(unpacked(cloud.get("models/spot/output/model.tar.gz"))["began-at.txt"])
    assert 0 < began < 40
    assert cloud.get("checkpoints/spot/step.txt") == b"40"
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"]


@pytest.mark.executes("CreateTrainingJob")
def test_a_spot_job_waits_no_longer_than_allowed(cloud: LocalCloud) -> None:
    """MaxWaitTimeInSeconds counts from the creation, waiting and interruptions included."""
    with cloud.conditions(spot={"after_seconds": 0.5, "times": 100}):
        cloud.train(
            "waits",
            COUNTS,
            HyperParameters={"to": "100000"},
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 2, "MaxWaitTimeInSeconds": 2},
        )
        job = cloud.finished("Training", "waits")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"], job.get("FailureReason")) == (
        "Stopped",
        "MaxWaitTimeExceeded",
        None,
    )


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds must be present"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 5, "MaxWaitTimeInSeconds": 9}}, "must not be present"),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 5},
            },
            "greater than or equal to MaxRuntimeInSeconds",
        ),
        ({"CheckpointConfig": {"S3Uri": "s3://data/c", "LocalPath": "/opt/ml/model"}}, "LocalPath '/opt/ml/model'"),
        ({"CheckpointConfig": {"S3Uri": "s3://data/c", "LocalPath": "/srv/x"}}, "LocalPath '/srv/x'"),
    ],
)
def test_requests_that_do_not_fit(cloud: LocalCloud, request_: dict[str, object], complaint: str) -> None:
    """Limits and checkpoints that contradict each other are refused when the job is created."""
    with pytest.raises(ClientError) as refusal:
        cloud.train("unfit", "pass", **request_)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert complaint in str(refusal.value)
