"""Hyperparameter tuning: trials that really run, their parameters and what the job learns from them."""

import math
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as vertex

from tests.contract.gcp.conftest import StartVertex
from tests.contract.gcp.local_vertex import BUCKET, PARENT, LocalVertex, ended, python, spec, state_of
from tests.contract.local_cloud import is_alive, until

# reports as cloudml-hypertune does
REPORTS = """
import json, os, pathlib, sys
given = dict(argument.removeprefix("--").split("=") for argument in sys.argv[1:])
if given.get("fails") == "yes":
    raise SystemExit("this trial fails")
path = pathlib.Path(os.environ["CLOUD_ML_HP_METRIC_FILE"])
path.parent.mkdir(parents=True, exist_ok=True)
loss = (float(given.get("rate", 0)) - 0.3) ** 2 + float(given.get("depth", 0)) / 10
with path.open("a") as file:
    for step, value in ((1, loss + 1), (2, loss)):
        file.write(json.dumps({"trial": os.environ["CLOUD_ML_TRIAL_ID"], "loss": str(value), "global_step": str(step)}))
        file.write("\\n")
print(given, os.environ["AIP_MODEL_DIR"])
"""
RATE = {"parameter_id": "rate", "double_value_spec": {"min_value": 0.0, "max_value": 1.0}, "scale_type": 1}
DEPTH = {"parameter_id": "depth", "integer_value_spec": {"min_value": 1, "max_value": 3}, "scale_type": 1}
MINIMIZE, GRID, RANDOM = 2, 2, 3
WAITS = "import os, time; print('at', os.getpid(), flush=True); time.sleep(600)"


def create(local: LocalVertex, *parameters: Any, script: str = REPORTS, algorithm: int = RANDOM, **fields: Any) -> Any:
    """Create a tuning job."""
    job = {
        "display_name": "tune",
        "study_spec": {
            "metrics": [{"metric_id": "loss", "goal": MINIMIZE}],
            "parameters": list(parameters),
            "algorithm": algorithm,
        },
        "max_trial_count": 3,
        "parallel_trial_count": 1,
        "trial_job_spec": spec(python(script), base_output_directory={"output_uri_prefix": f"gs://{BUCKET}/tuning"}),
        **fields,
    }
    return local.jobs.create_hyperparameter_tuning_job(parent=PARENT, hyperparameter_tuning_job=job)


def finished(local: LocalVertex, job: Any) -> Any:
    """Wait for a job's end."""
    return ended(lambda: local.jobs.get_hyperparameter_tuning_job(name=job.name), job.name)


def values(trial: Any) -> dict[str, Any]:
    """Return a trial's parameters."""
    return {parameter.parameter_id: parameter.value for parameter in trial.parameters}


@pytest.mark.executes("JobService.CreateHyperparameterTuningJob", "JobService.GetHyperparameterTuningJob")
def test_trials(local: LocalVertex) -> None:
    """Each trial runs a custom job with its parameters as arguments and an output of its own; its metric is told."""
    done = finished(local, create(local, RATE, DEPTH, parallel_trial_count=2))
    assert "SUCCEEDED" == state_of(done), done.error.message
    assert {"1", "2", "3"} == {trial.id for trial in done.trials}
    for trial in done.trials:
        given = values(trial)
        assert vertex.Trial.State.SUCCEEDED == trial.state
        assert 0 <= given["rate"] <= 1
        assert given["depth"] in {1, 2, 3}
        expected = (given["rate"] - 0.3) ** 2 + given["depth"] / 10
        assert math.isclose(expected, trial.final_measurement.metrics[0].value)
        assert [1, 2] == [item.step_count for item in trial.measurements]
        said = local.log(vertex.CustomJob(name=trial.custom_job))[-1]
        assert said.endswith(f"gs://{BUCKET}/tuning/{trial.id}/model/")
        assert f"'depth': '{given['depth']:g}'" in said


def test_a_grid_tries_every_combination(local: LocalVertex) -> None:
    """A grid search tries every combination of integers, choices and discrete values once, and ends."""
    kind = {"parameter_id": "kind", "categorical_value_spec": {"values": ["a", "b"]}}
    size = {"parameter_id": "size", "discrete_value_spec": {"values": [0.5, 2]}}
    done = finished(local, create(local, kind, size, algorithm=GRID, max_trial_count=9, parallel_trial_count=3))
    found = sorted((values(trial)["kind"], values(trial)["size"]) for trial in done.trials)
    assert [("a", 0.5), ("a", 2), ("b", 0.5), ("b", 2)] == found
    assert "SUCCEEDED" == state_of(done)


@pytest.mark.verify  # seven trials, one after the other
def test_bayesian_search_learns(local: LocalVertex) -> None:
    """With a few trials to learn from, the default algorithm comes nearer to the best point than its first guesses."""
    done = finished(local, create(local, RATE, algorithm=0, max_trial_count=7))
    losses = [trial.final_measurement.metrics[0].value for trial in done.trials]
    assert min(losses[3:]) <= min(losses[:3]) + 0.05


def test_trials_that_fail(local: LocalVertex) -> None:
    """A failed trial is infeasible and says why; the job succeeds as long as not too many fail."""
    fails = {"parameter_id": "fails", "categorical_value_spec": {"values": ["yes", "no"]}}
    done = finished(local, create(local, fails, algorithm=GRID))
    states = {values(trial)["fails"]: trial.state for trial in done.trials}
    assert {"yes": vertex.Trial.State.INFEASIBLE, "no": vertex.Trial.State.SUCCEEDED} == states
    assert "SUCCEEDED" == state_of(done)
    assert "this trial fails" in next(trial.infeasible_reason for trial in done.trials if trial.infeasible_reason)


def test_too_many_trials_fail(local: LocalVertex) -> None:
    """A job whose trials fail more often than allowed ends early and fails with the last one's reason."""
    done = finished(local, create(local, RATE, script="raise SystemExit('no data')", max_failed_trial_count=1))
    assert ("FAILED", 2) == (state_of(done), len(done.trials))
    assert "2 of 2 trials failed" in done.error.message
    assert "no data" in done.error.message


def test_a_trial_without_a_metric(local: LocalVertex) -> None:
    """A trial that reports nothing is infeasible, although its program succeeded."""
    done = finished(local, create(local, RATE, script="pass", max_trial_count=1))
    assert "FAILED" == state_of(done)
    assert "reported no value of the metric 'loss'" in done.trials[0].infeasible_reason


@pytest.mark.executes("JobService.CancelHyperparameterTuningJob")
def test_cancelling(local: LocalVertex) -> None:
    """Cancelling the job cancels its trials and leaves no process; no further trial begins."""
    job = create(local, RATE, script=WAITS)

    def trial() -> Any:
        found = local.jobs.get_hyperparameter_tuning_job(name=job.name).trials
        return found and vertex.CustomJob(name=found[0].custom_job)

    backing = until(trial, "the first trial")
    process = int(local.log_line(backing, "at ").split()[1])
    local.jobs.cancel_hyperparameter_tuning_job(name=job.name)
    done = finished(local, job)
    assert ("CANCELLED", 1, 1) == (state_of(done), done.error.code, len(done.trials))
    assert "CANCELLED" == state_of(local.jobs.get_custom_job(name=backing.name))
    assert not is_alive(process)


@pytest.mark.verify  # needs two servers of its own; custom jobs show it always
def test_a_tuning_job_that_was_killed(start_vertex: StartVertex) -> None:
    """After SIGKILL the job and its running trial have failed."""
    first = start_vertex()
    job = create(first, RATE, script=WAITS)
    until(lambda: first.jobs.get_hyperparameter_tuning_job(name=job.name).trials, "the first trial")
    first.kill()
    second = start_vertex()
    killed = second.jobs.get_hyperparameter_tuning_job(name=job.name)
    assert ("FAILED", 13) == (state_of(killed), killed.error.code)
    assert "FAILED" == state_of(second.jobs.get_custom_job(name=killed.trials[0].custom_job))


@pytest.mark.refuses("JobService.CreateHyperparameterTuningJob")
@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"max_trial_count": 0}, exceptions.InvalidArgument, "max_trial_count; Message: must be at least 1"),
        ({"study_spec": {}}, exceptions.InvalidArgument, "One metric with its metric_id"),
        (
            {"study_spec": {"metrics": [{"metric_id": "loss", "goal": 2}], "parameters": [RATE], "algorithm": GRID}},
            exceptions.InvalidArgument,
            "A grid search takes no parameters of type double",
        ),
        (
            {"study_spec": {"median_automated_stopping_spec": {}}},
            exceptions.MethodNotImplemented,
            "median_automated_stopping_spec",
        ),
        ({"trial_job_spec": {}}, exceptions.InvalidArgument, "1 to 4 worker pools are needed"),
    ],
)
def test_what_is_refused(local: LocalVertex, fields: dict[str, Any], error: type[Exception], said: str) -> None:
    """A job that cannot run is refused at once; the message says why."""
    with pytest.raises(error) as refused:
        create(local, RATE, **fields)
    assert said in str(refused.value)
