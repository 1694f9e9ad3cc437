"""What the amazon provider's operators and sensors make of a SageMaker resource's end, under a real scheduler.

The expectations are what the provider does today, right or wrong; where it is wrong, a comment names the issue.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.contract.local_cloud import unpacked
from tests.contract.operators.cases import CASES, SLICE, Case

if TYPE_CHECKING:
    from tests.contract.local_cloud import LocalCloud
    from tests.contract.operators.runs import Runs, Seen

STATES = {
    "completed": "success",
    "failed": "failed",
    "stopped": "failed",
    "timed-out": "failed",
    "throttled": "success",
}
# A stopped job is shown as success (apache/airflow#67291, #42423): the hook's check_status and these sensors know
# only Failed. A training job is among them when its log is not printed.
STOPPED_IS_SUCCESS = {
    ("training", "waiting"),
    ("processing", "waiting"),
    ("transform", "waiting"),
    ("tuning", "waiting"),
    ("pipeline", "waiting"),
    ("transform", "sensor"),
    ("tuning", "sensor"),
    ("pipeline", "sensor"),
}
STATUSES = {
    "endpoint": {"completed": "InService", "failed": "Failed", "timed-out": "Creating", "throttled": "InService"},
    "pipeline": {
        "completed": "Succeeded",
        "failed": "Failed",
        "stopped": "Stopped",
        "timed-out": "Executing",
        "throttled": "Succeeded",
    },
}
JOB_STATUSES = {
    "completed": "Completed",
    "failed": "Failed",
    "stopped": "Stopped",
    # the provider leaves the job running, and billing
    "timed-out": "InProgress",
    "throttled": "Completed",
}


def params(cases: tuple[Case, ...]) -> list[object]:
    """Return the cases as parameters; those beyond the slice belong to the full matrix."""
    return [
        pytest.param(case, id=case.name, marks=() if case in SLICE else pytest.mark.verify)  # type: ignore[list-item]
        for case in cases
    ]


@pytest.mark.parametrize("case", params(CASES))
def test_task_and_resource(runs: Runs, case: Case) -> None:
    """The task ends as the provider takes it, and the resource is in the state that the outcome says."""
    seen = runs.of(case)
    wrong = case.outcome == "stopped" and (case.kind, case.wait) in STOPPED_IS_SUCCESS
    assert ("success" if wrong else STATES[case.outcome]) == seen.state, seen.log
    assert STATUSES.get(case.kind, JOB_STATUSES)[case.outcome] == seen.status, seen.description


@pytest.mark.executes("CreateTrainingJob", "CreateProcessingJob", "CreateTransformJob", "CreateEndpoint")
@pytest.mark.parametrize("case", params(tuple(case for case in CASES if case.outcome in {"completed", "throttled"})))
def test_what_success_leaves(runs: Runs, case: Case) -> None:
    """A successful task's resource has done its work: artifact, rows, answers."""
    seen = runs.of(case)
    assert_work_is_done(runs.cloud, case, seen)


def assert_work_is_done(cloud: LocalCloud, case: Case, seen: Seen) -> None:
    """Look at what the program of a case leaves."""
    if case.kind == "training":
        artifact = seen.description["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{cloud.bucket}/")
        assert {"model.txt": b"trained"} == unpacked(cloud.get(artifact))
    elif case.kind == "tuning":
        best = seen.description["BestTrainingJob"]
        assert ("Completed", 1.0) == (
            best["TrainingJobStatus"],
            best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"],
        )
    elif case.kind in {"processing", "pipeline"}:
        assert b"processed" == cloud.get(f"{case.name}/out/rows.csv")
    elif case.kind == "transform":
        assert b"2.0,4.0" == cloud.get(f"{case.name}/out/rows.csv.out")
    else:
        answer = cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=case.name, Body=b"21", ContentType="text/csv", Accept="text/csv"
        )
        assert b"42.0" == answer["Body"].read()


@pytest.mark.parametrize("case", params(tuple(case for case in CASES if case.outcome == "completed")))
def test_what_a_task_hands_on(runs: Runs, case: Case) -> None:
    """An operator hands the resource's description on, a pipeline's its execution's ARN; a sensor nothing."""
    seen = runs.of(case)
    if case.wait == "sensor":
        assert seen.value is None
    elif case.kind == "pipeline":
        assert seen.description["PipelineExecutionArn"] == seen.value
    else:
        assert case.kind in json.dumps(seen.value).lower()
        assert case.name.partition("-")[0].capitalize() in seen.value
