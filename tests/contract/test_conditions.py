"""Quotas, throttling and faults that a user switches on."""

import json
import re
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import LocalCloud, until

WAITS = "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n"


@pytest.fixture
def patient(start_cloud: StartCloud) -> LocalCloud:
    """Return a cloud whose conditions are this test's own, asked by clients that repeat what fails."""
    cloud = start_cloud("--slots", "4")
    cloud.attempts = 5
    return cloud


def calls(cloud: LocalCloud, operation: str) -> list[int]:
    """Return the statuses of all calls of an operation, in their order."""
    lines = (json.loads(line) for line in (cloud.root / "requests.jsonl").read_text(encoding="utf-8").splitlines())
    return [line["status"] for line in lines if line["operation"] == operation]


@pytest.mark.executes("CreateTrainingJob")
def test_a_quota_of_instances(patient: LocalCloud) -> None:
    """Instances over the quota are refused in AWS's words; other types and kinds are not, and an end frees some."""
    resources = {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    with patient.conditions(quotas={"training": {"ml.m5.large": 3}}):
        patient.train("first", WAITS, ResourceConfig=resources)
        with pytest.raises(ClientError) as refusal:
            patient.train("second", "pass", ResourceConfig=resources)
        assert refusal.value.response["Error"] == {
            "Code": "ResourceLimitExceeded",
            "Message": (
                "The account-level service limit 'ml.m5.large for training job usage' is 3 Instances, with current "
                "utilization of 2 Instances and a request delta of 2 Instances. Please use AWS Service Quotas to "
                "request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to "
                "request an increase for this quota."
            ),
        }
        other = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 10}
        assert patient.finished("Training", patient.train("other", "pass", ResourceConfig=other))
        patient.process_data("processing", "pass")
        patient.client("sagemaker").stop_training_job(TrainingJobName="first")
        patient.finished("Training", "first")
        until(lambda: patient.row("first")["ended"], "the end of the first job")
        second = patient.finished("Training", patient.train("second", "pass", ResourceConfig=resources))
    assert second["TrainingJobStatus"] == "Completed"


def test_throttled_calls(patient: LocalCloud) -> None:
    """Calls over rate and burst are answered with ThrottlingException, which botocore retries; others are not."""
    patient.finished("Training", patient.train("asked-often", "pass"))
    before = len(calls(patient, "DescribeTrainingJob"))
    with patient.conditions(throttles=[{"operation": "Describe*", "rate": 2, "burst": 2}]):
        for _ in range(4):
            assert patient.describe("Training", "asked-often")["TrainingJobStatus"] == "Completed"
        assert patient.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    statuses = calls(patient, "DescribeTrainingJob")[before:]
    assert statuses.count(200) == 4
    assert statuses.count(400) >= 1
    assert statuses[:2] == [200, 200]


def test_an_answer_that_is_held_back(patient: LocalCloud) -> None:
    """A held operation has been carried out although its answer does not come before the conditions change."""
    answers: list[str] = []
    with patient.conditions(faults=[{"operation": "CreateTrainingJob", "kind": "hold", "calls": 1}]):
        caller = threading.Thread(target=lambda: answers.append(patient.train("held", "pass")))
        caller.start()
        job = until(lambda: _described(patient, "held"), "the held job")
        assert patient.finished("Training", "held")["TrainingJobArn"] == job["TrainingJobArn"]
        assert answers == []
    caller.join(30)
    assert answers == ["held"]


def _described(cloud: LocalCloud, name: str) -> dict[str, Any] | None:
    try:
        return cloud.describe("Training", name)
    except ClientError:
        return None


def test_errors_and_resets(patient: LocalCloud) -> None:
    """So many calls are answered with an error or none, and the next one is answered as ever; botocore retries both."""
    patient.finished("Training", patient.train("behind-faults", "pass"))
    for fault in ({"kind": "error", "status": 503, "code": "ServiceUnavailable"}, {"kind": "reset"}):
        with patient.conditions(faults=[{"operation": "DescribeTrainingJob", "calls": 2, **fault}]):
            for _ in range(3):
                assert patient.describe("Training", "behind-faults")["TrainingJobStatus"] == "Completed"
            with urllib.request.urlopen(f"{patient.endpoint}/_localcloud/conditions") as shown:  # noqa: S310 - loopback
                assert [left["calls"] for left in json.load(shown)["faults"]] == [0]


@pytest.mark.parametrize(
    ("conditions", "complaint"),
    [
        ({"quota": {}}, r"conditions: \(body\).quota is not one of quotas, spot, throttles, faults, got {}"),
        ({"quotas": {"training": {"ml.m5.large": -1}}}, "quotas.training.ml.m5.large must be a number of instances"),
        ({"quotas": {"tuning": {}}}, "quotas.tuning is not one of training, processing, transform"),
        ({"spot": {"after_seconds": 1}}, "spot is incomplete"),
        ({"throttles": [{"operation": "X", "rate": "fast", "burst": 1}]}, r"throttles\[0\].rate must be of type"),
        ({"faults": [{"operation": "X", "kind": "rest"}]}, r"faults\[0\].kind must be one of error, reset, hold"),
        ({"faults": {}}, "faults must be a list"),
        (
            {"faults": [{"operation": "X", "kind": "error", "status": 20}]},
            r"faults\[0\].status must be a status of HTTP",
        ),
        ({"throttles": [{"operation": "X", "rate": float("inf"), "burst": 1}]}, r"throttles\[0\].rate must be of type"),
    ],
)
def test_conditions_that_break_a_rule(cloud: LocalCloud, conditions: dict[str, Any], complaint: str) -> None:
    """A misspelt key or an impossible value is refused with field, rule, value and remedy, and changes nothing."""
    with pytest.raises(urllib.error.HTTPError) as refusal, cloud.conditions(**conditions):
        pass
    with refusal.value:
        told = json.load(refusal.value)["message"]
    assert refusal.value.code == 400
    assert re.search(complaint, told)
    assert "Remedy: correct it" in told
