"""A task's jobs on a real local cloud: found, adopted, refused, passed over or created, and what becomes of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from include.core.errors import ArtifactError, RemoteJobFailed, RemoteJobInterrupted, RequestConflict, RequestRefused
from include.jobs.attempts import Attempt, Attempts, hand_on
from include.jobs.completion import Completion
from include.jobs.identity import TaskIdentity
from include.jobs.kinds import PROCESSING, TRAINING, TRANSFORM
from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud, archive, until
from tests.contract.test_transform import make_model

if TYPE_CHECKING:
    from include.jobs.kinds import JobKind
    from include.jobs.result import JobResult

SAVES = "import os\nopen(os.path.join(os.environ['SM_MODEL_DIR'], 'model'), 'w').write('fitted')\nprint('auc=0.75')\n"
SAVES_NOTHING = "print('done, it says')\n"
RAISES = "for line in range(30):\n    print('line', line)\nraise ValueError('one class only')\n"
WAITS = "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n"


def task(name: str) -> TaskIdentity:
    """Return a task instance of that name."""
    return TaskIdentity("contract", "a_dag", "a_run", name, -1)


def training(cloud: LocalCloud, name: str, script: str, **changed: Any) -> dict[str, Any]:
    """Return a training request for a script; its name is a prefix."""
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": XGBOOST_IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "auc", "Regex": "auc=([0-9.]+)"}],
        },
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": cloud.put(f"code/{name}.tar.gz", archive({"train.py": script})),
        },
        "OutputDataConfig": {"S3OutputPath": f"s3://{cloud.bucket}/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **changed,
    }


def completion(cloud: LocalCloud, kind: JobKind) -> Completion:
    """Return the judge of one kind of job."""
    return Completion(kind, lambda: cloud.client("s3"), lambda: cloud.client("logs"))


def attempts(cloud: LocalCloud, kind: JobKind, request: dict[str, Any], turn: int = 2) -> Attempts:
    """Return the jobs of the task that is called as the request's name says."""
    identity = task(request[kind.name_field])
    judge = completion(cloud, kind)
    return Attempts(cloud.client("sagemaker"), kind, request, identity, turn=turn, missing=judge.missing)


def seen(attempt: Attempt) -> tuple[int, bool]:
    """Return which attempt it is, and whether it was adopted."""
    return attempt.number, attempt.adopted


def result(cloud: LocalCloud, kind: JobKind, attempt: Attempt) -> JobResult:
    """Wait for a job's end and return its result."""
    description = cloud.finished(kind.word, attempt.name)
    return completion(cloud, kind).result(description, attempts=attempt.number, adopted=attempt.adopted)


def jobs(cloud: LocalCloud, name: str) -> list[str]:
    """Return the states of the training jobs whose name begins like this."""
    found = cloud.client("sagemaker").list_training_jobs(NameContains=name)["TrainingJobSummaries"]
    return sorted(job["TrainingJobStatus"] for job in found if job["TrainingJobName"].startswith(f"{name}-"))


def stop(cloud: LocalCloud, name: str) -> None:
    """Stop a training job and wait for its end."""
    cloud.client("sagemaker").stop_training_job(TrainingJobName=name)
    cloud.finished("Training", name)


def test_a_running_job_of_the_same_request_is_adopted(cloud: LocalCloud) -> None:
    """Who asks again gets the job that runs."""
    asked = attempts(cloud, TRAINING, training(cloud, "adopts", WAITS))
    first, second = asked.find_or_create(), asked.find_or_create()
    assert [(1, False), (1, True)] == [seen(first), seen(second)]
    assert first.name == second.name
    stop(cloud, first.name)
    assert ["Stopped"] == jobs(cloud, "adopts")


def test_a_running_job_of_another_request_is_refused(cloud: LocalCloud) -> None:
    """The message names what differs; nothing is created."""
    request = training(cloud, "differs", WAITS)
    running = attempts(cloud, TRAINING, request).find_or_create()
    changed = request | {"StoppingCondition": {"MaxRuntimeInSeconds": 300}}
    with pytest.raises(RequestConflict, match=r"StoppingCondition\.MaxRuntimeInSeconds is 600 there and 300 here"):
        attempts(cloud, TRAINING, changed).find_or_create()
    stop(cloud, running.name)
    assert ["Stopped"] == jobs(cloud, "differs")


def test_many_who_ask_at_once_get_one_job(cloud: LocalCloud) -> None:
    """One of them creates it, all the others adopt it."""
    request = training(cloud, "races", WAITS)
    together = threading.Barrier(6)
    cloud.client("sagemaker")

    def ask(_: int) -> Attempt:
        asked = attempts(cloud, TRAINING, request)
        together.wait()
        return asked.find_or_create()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(ask, range(6)))
    assert [False] + 5 * [True] == sorted(attempt.adopted for attempt in found)
    (name,) = {attempt.name for attempt in found}
    stop(cloud, name)
    assert ["Stopped"] == jobs(cloud, "races")


def test_a_job_that_ended_badly_gives_way_to_the_next(cloud: LocalCloud) -> None:
    """Failed, stopped, and completed without its artifact: each asks for the next attempt, a good one is taken."""
    for number, script in enumerate((RAISES, WAITS, SAVES_NOTHING, SAVES), start=1):
        attempt = attempts(cloud, TRAINING, training(cloud, "ends-badly", script)).find_or_create()
        assert (number, False) == seen(attempt)
        if script == WAITS:
            stop(cloud, attempt.name)
        cloud.finished("Training", attempt.name)
    taken = attempts(cloud, TRAINING, training(cloud, "ends-badly", SAVES)).find_or_create()
    assert (4, True) == seen(taken)
    assert ["Completed", "Completed", "Failed", "Stopped"] == jobs(cloud, "ends-badly")


def test_a_result_is_taken_again_by_a_retry_and_passed_over_after_a_clear(cloud: LocalCloud) -> None:
    """Clearing a task before it had its result adopts; afterwards it asks for a new job, once."""
    request = training(cloud, "cleared", SAVES)
    first = attempts(cloud, TRAINING, request, turn=2).find_or_create()
    description = cloud.finished("Training", first.name)
    assert (1, True) == seen(attempts(cloud, TRAINING, request, turn=3).find_or_create())
    hand_on(cloud.client("sagemaker"), description["TrainingJobArn"], 3)
    assert (1, True) == seen(attempts(cloud, TRAINING, request, turn=3).find_or_create())
    assert (2, False) == seen(attempts(cloud, TRAINING, request, turn=6).find_or_create())
    assert (2, True) == seen(attempts(cloud, TRAINING, request, turn=6).find_or_create())


def test_a_result_of_another_request_is_passed_over(cloud: LocalCloud) -> None:
    """What completed is taken for the request that it was created from, and for no other."""
    request = training(cloud, "changes", SAVES)
    cloud.finished("Training", attempts(cloud, TRAINING, request).find_or_create().name)
    changed = request | {"StoppingCondition": {"MaxRuntimeInSeconds": 300}}
    assert (2, False) == seen(attempts(cloud, TRAINING, changed).find_or_create())


def test_a_request_that_the_cloud_refuses_is_terminal(cloud: LocalCloud) -> None:
    """An image that no region has, and a field that the API does not know, are nobody's to retry."""
    request = training(cloud, "refused", SAVES)
    specification = request["AlgorithmSpecification"] | {"TrainingImage": "nobody/nothing:1"}
    for bad in (request | {"AlgorithmSpecification": specification}, request | {"Unknown": 1}):
        with pytest.raises(RequestRefused, match="the request of refused-"):
            attempts(cloud, TRAINING, bad).find_or_create()
    assert [] == jobs(cloud, "refused")


def test_a_job_carries_its_owner_and_its_request(cloud: LocalCloud) -> None:
    """The tags tell the task instance; a user's own stay."""
    own = {"Key": "cost-centre", "Value": "42"}
    attempt = attempts(cloud, TRAINING, training(cloud, "tagged", WAITS, Tags=[own])).find_or_create()
    description = cloud.describe("Training", attempt.name)
    found = cloud.client("sagemaker").list_tags(ResourceArn=description["TrainingJobArn"])["Tags"]
    tags = {tag["Key"]: tag["Value"] for tag in found}
    assert 64 == len(tags.pop("flightdeck:request"))
    assert {
        "cost-centre": "42",
        "flightdeck:attempt": "1",
        "flightdeck:dag": "a_dag",
        "flightdeck:deployment": "contract",
        "flightdeck:map-index": "-1",
        "flightdeck:run": "a_run",
        "flightdeck:task": "tagged",
    } == tags
    stop(cloud, attempt.name)


def test_a_training_jobs_result(cloud: LocalCloud) -> None:
    """Artifact, metrics and billing, as the cloud describes them."""
    attempt = attempts(cloud, TRAINING, training(cloud, "trains", SAVES)).find_or_create()
    found = result(cloud, TRAINING, attempt)
    assert attempt.name == found.job_name
    assert f"training-job/{attempt.name}" == found.arn.rpartition(":")[2]
    assert {"model": f"s3://data/models/{attempt.name}/output/model.tar.gz"} == found.artifacts
    assert ({"auc": 0.75}, 1, False) == (found.metrics, found.attempts, found.adopted)
    assert (found.billable_seconds or 0) >= 1


def test_a_processing_jobs_result(cloud: LocalCloud) -> None:
    """Each output lies in a folder of the job's name; one that stays empty is missed."""
    code = cloud.put("code/processes/run.py", "open('/opt/ml/processing/report/report.json', 'w').write('{}')\n")
    outputs = [
        {
            "OutputName": name,
            "S3Output": {
                "S3Uri": f"s3://data/{name}",
                "LocalPath": f"/opt/ml/processing/{name}",
                "S3UploadMode": "EndOfJob",
            },
        }
        for name in ("report", "plots")
    ]
    source = {"S3Uri": code, "LocalPath": "/opt/ml/processing/code", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    request: dict[str, Any] = {
        "ProcessingJobName": "processes",
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": XGBOOST_IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/run.py"],
        },
        "ProcessingInputs": [{"InputName": "code", "S3Input": source}],
        "ProcessingOutputConfig": {"Outputs": outputs[:1]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
        },
    }
    attempt = attempts(cloud, PROCESSING, request).find_or_create()
    found = result(cloud, PROCESSING, attempt)
    assert {"report": f"s3://data/report/{attempt.name}"} == found.artifacts
    assert (found.billable_seconds is not None, {}) == (True, found.metrics)

    request |= {"ProcessingJobName": "leaves-out", "ProcessingOutputConfig": {"Outputs": outputs}}
    with pytest.raises(ArtifactError, match="it ended as Completed and left nothing at s3://data/plots/leaves-out-"):
        result(cloud, PROCESSING, attempts(cloud, PROCESSING, request).find_or_create())


def test_a_transform_jobs_result(cloud: LocalCloud) -> None:
    """The predictions lie in a folder of the job's name."""
    make_model(cloud, "attempts-double")
    cloud.put("attempts/in/a.csv", "1\n2\n")
    request = {
        "TransformJobName": "transforms",
        "ModelName": "attempts-double",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/attempts/in/"}},
            "ContentType": "text/csv",
        },
        "TransformOutput": {"S3OutputPath": "s3://data/attempts/out", "Accept": "text/csv"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    attempt = attempts(cloud, TRANSFORM, request).find_or_create()
    found = result(cloud, TRANSFORM, attempt)
    assert {"predictions": f"s3://data/attempts/out/{attempt.name}"} == found.artifacts
    assert b"2.0,4.0" == cloud.get(f"attempts/out/{attempt.name}/a.csv.out")
    assert (1, True) == seen(attempts(cloud, TRANSFORM, request).find_or_create())


def test_a_failure_tells_the_clouds_reason_and_the_end_of_the_log(cloud: LocalCloud) -> None:
    """An algorithm's error is terminal; twenty lines of the log are in the message."""
    attempt = attempts(cloud, TRAINING, training(cloud, "raises", RAISES)).find_or_create()
    with pytest.raises(RemoteJobFailed) as raised:
        result(cloud, TRAINING, attempt)
    message = str(raised.value)
    assert "it ended as Failed: AlgorithmError" in message
    assert "the end of its log (20 lines):" in message
    assert "ValueError: one class only" in message
    assert "line 29\n" in message
    assert "line 5\n" not in message


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"FailureReason": "CapacityError: Unable to provision requested ML compute capacity."}, RemoteJobInterrupted),
        ({"FailureReason": "InternalServerError: We encountered an internal error."}, RemoteJobInterrupted),
        ({"FailureReason": "ClientError: Data download failed"}, RemoteJobFailed),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}, RemoteJobFailed),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}, RemoteJobFailed),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "Interrupted"}, RemoteJobInterrupted),
        ({"TrainingJobStatus": "InProgress"}, RemoteJobInterrupted),
    ],
)
def test_the_reason_decides_on_a_retry(cloud: LocalCloud, changes: dict[str, str], error: type[Exception]) -> None:
    """What the cloud lacked or broke may be tried again, what the job did may not."""
    description = {"TrainingJobName": "no-such-job", "TrainingJobStatus": "Failed", **changes}
    with pytest.raises(error):
        completion(cloud, TRAINING).result(description, attempts=1, adopted=False)


def test_a_time_limit_is_not_somebodys_stop(cloud: LocalCloud) -> None:
    """A job that its own limit stopped is not started again; one that somebody stopped is."""
    limited = training(cloud, "limited", WAITS, StoppingCondition={"MaxRuntimeInSeconds": 1})
    attempt = attempts(cloud, TRAINING, limited).find_or_create()
    assert not completion(cloud, TRAINING).stopped_by_somebody(cloud.finished("Training", attempt.name))
    attempt = attempts(cloud, TRAINING, training(cloud, "stopped", WAITS)).find_or_create()
    until(lambda: cloud.row(attempt.name)["pid"], "its process")
    stop(cloud, attempt.name)
    assert completion(cloud, TRAINING).stopped_by_somebody(cloud.describe("Training", attempt.name))
