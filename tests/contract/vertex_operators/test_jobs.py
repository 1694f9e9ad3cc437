"""What the Google provider's operators make of a Vertex AI job's end, under a real scheduler and triggerer.

The expectations are what the provider does today, right or wrong.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from google.cloud import aiplatform_v1 as vertex

from tests.contract.gcp.local_vertex import state_of
from tests.contract.local_cloud import is_alive, until
from tests.contract.vertex_operators.cases import CASES, OUTCOMES, TRAININGS, TRIALS, Case

if TYPE_CHECKING:
    from tests.contract.vertex_operators.runs import Runs

# a real Airflow whose tasks import Google's clients
pytestmark = pytest.mark.verify
STATES = {"succeeded": "success", "failed": "failed", "cancelled": "failed"}


def cases(*outcomes: str, kinds: set[str] | None = None) -> pytest.MarkDecorator:
    """Parametrise with the cases of these outcomes."""
    chosen = [case for case in CASES if case.outcome in outcomes and (kinds is None or case.kind in kinds)]
    return pytest.mark.parametrize("case", chosen, ids=[case.name for case in chosen])


@cases(*OUTCOMES)
def test_task_and_job(runs: Runs, case: Case) -> None:
    """The task succeeds if its job does, and fails if the job fails or is cancelled; no process of it is left."""
    seen = runs.of(case)
    assert STATES[case.outcome] == seen.state, seen.log
    assert case.outcome.upper() == state_of(seen.job), seen.job.error.message
    assert seen.pids
    assert until(lambda: not any(is_alive(pid) for pid in seen.pids), f"the end of {seen.pids}")


@cases("succeeded", kinds=TRAININGS)
def test_a_training_leaves_a_model(runs: Runs, case: Case) -> None:
    """The program's output is in Cloud Storage; the model over it is registered and handed on."""
    seen = runs.of(case)
    assert b"0.5" == runs.cloud.get(f"{case.output}/model/number.txt")
    model = runs.cloud.client(vertex.ModelServiceClient).get_model(name=seen.job.model_to_upload.name)
    assert (case.name, f"{case.output}/model", seen.job.name) == (
        model.display_name,
        model.artifact_uri,
        model.training_pipeline,
    )
    assert model.name == seen.value["name"]
    job = runs.cloud.client(vertex.JobServiceClient).get_custom_job(
        name=seen.job.training_task_metadata["backingCustomJob"]
    )
    assert "SUCCEEDED" == state_of(job)


@cases("succeeded", kinds={"batch"})
def test_a_batch_prediction_leaves_predictions(runs: Runs, case: Case) -> None:
    """Each row's prediction is in the folder that the job hands on."""
    seen = runs.of(case)
    folder = seen.value["output_info"]["gcs_output_directory"] if case.wait == "deferrable" else case.output
    results = [address for address in runs.cloud.keys(folder) if "prediction.results" in address]
    lines = b"".join(runs.cloud.get(address) for address in results).splitlines()
    assert [1.5, 2.5] == [json.loads(line)["prediction"] for line in lines]
    assert 2 == seen.job.completion_stats.successful_count


@cases("succeeded", kinds={"tuning"})
def test_a_tuning_leaves_trials(runs: Runs, case: Case) -> None:
    """Every trial has run with a rate of its own, and reported it."""
    seen = runs.of(case)
    assert [vertex.Trial.State.SUCCEEDED] * TRIALS == [trial.state for trial in seen.job.trials]
    for trial in seen.job.trials:
        given = {parameter.parameter_id: parameter.value for parameter in trial.parameters}
        assert given["rate"] == pytest.approx(trial.final_measurement.metrics[0].value)
        assert b"0.5" == runs.cloud.get(f"{case.output}/{trial.id}/model/number.txt")


@cases("failed")
def test_the_reason_of_a_failure(runs: Runs, case: Case) -> None:
    """The job's error carries the end of its program's log; a deferred task's log has only the state."""
    seen = runs.of(case)
    reason = "cannot predict: broken" if case.kind == "batch" else "ValueError: a planted failure"
    assert reason in seen.job.error.message
    assert (f"{seen.job.name} completed with status" if case.wait == "deferrable" else reason) in seen.log
    assert seen.value is None


@cases("cancelled")
def test_the_reason_of_a_cancellation(runs: Runs, case: Case) -> None:
    """The task fails because its job was cancelled, and for no other reason."""
    seen = runs.of(case)
    assert (1, "CANCELED") == (seen.job.error.code, seen.job.error.message)
    deferred = f"{seen.job.name} completed with status {seen.job.state.name}"
    assert (deferred if case.wait == "deferrable" else 'message: "CANCELED"') in seen.log


@cases("failed", "cancelled", kinds=TRAININGS)
def test_no_model_without_success(runs: Runs, case: Case) -> None:
    """A training that fails or is cancelled registers nothing."""
    assert runs.of(case).job is not None
    models = runs.cloud.client(vertex.ModelServiceClient)
    parent = runs.of(case).job.name.partition("/trainingPipelines/")[0]
    assert [] == list(models.list_models({"parent": parent, "filter": f'display_name="{case.name}"'}))
