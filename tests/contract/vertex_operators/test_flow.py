"""Ten tasks of a team's flow on Vertex AI, unmodified operators in sequence: what each has left in the cloud."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from google.cloud import aiplatform_v1 as vertex
from google.protobuf import json_format, struct_pb2

from tests.contract.gcp.local_vertex import state_of
from tests.contract.vertex_operators.cases import PARENT, flow_release

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.vertex_operators.runs import Runs

# a real Airflow, and jobs with scikit-learn
pytestmark = pytest.mark.verify
ROWS = 150
TASKS = ["bucket", "upload", "train", "train_again", "versions", "promote", "predict", "endpoint", "deploy", "tune"]


def line(x: float) -> float:
    """Return what the rows say of x."""
    return 3 * x + 1


@pytest.mark.parametrize("wait", ["waiting", "deferrable"])
def test_ten_tasks(runs: Runs, tmp_path: Path, wait: str) -> None:
    """From a bucket to a tuned model: rows, two versions, predictions, an endpoint that answers, three trials."""
    (tmp_path / "rows.csv").write_text("".join(f"{x / 10},{line(x / 10)}\n" for x in range(20)))
    (tmp_path / "rows.jsonl").write_text("".join(f"[{x}]\n" for x in range(ROWS)))
    name, address = f"flow-{wait}", f"gs://flow-{wait}"
    releases = {task: flow_release(task) for task in ("train", "train_again", "tune")} if wait == "deferrable" else {}
    tasks = runs.tasks(f"flow_{wait}", {"folder": str(tmp_path)}, releases)
    failed = {task.task_id: runs.airflow.rest.log(task)[-3000:] for task in tasks.values() if task.state != "success"}
    assert {} == failed
    assert {*TASKS} == {*tasks}

    cloud, this = runs.cloud, {"parent": PARENT, "filter": f'display_name="{name}"'}
    assert [f"{address}/data/rows.csv", f"{address}/data/rows.jsonl"] == cloud.keys(f"{address}/data")
    pipelines = cloud.client(vertex.PipelineServiceClient).list_training_pipelines(this)
    assert ["SUCCEEDED"] * 2 == [state_of(pipeline) for pipeline in pipelines]
    assert f"{address}/first/model/model.joblib" in cloud.keys(f"{address}/first/model")

    models = cloud.client(vertex.ModelServiceClient)
    (model,) = models.list_models(this)
    versions = {each.version_id: each for each in models.list_model_versions(name=model.name)}
    assert {"1": [], "2": ["challenger", "default"]} == {
        number: sorted(version.version_aliases) for number, version in versions.items()
    }
    assert f"{address}/second/model" == versions["2"].artifact_uri
    before = {each["version_id"]: each["version_aliases"] for each in runs.value(tasks["versions"])}
    assert {"1": ["default"], "2": ["challenger"]} == before

    results = [each for each in cloud.keys(f"{address}/predictions") if "prediction.results" in each]
    predictions = [json.loads(row) for each in results for row in cloud.get(each).splitlines()]
    assert ROWS == len(predictions)
    # the penalty of the second version, the default one, flattens the line a little
    assert all(each["prediction"] == pytest.approx(line(each["instance"][0]), rel=0.2) for each in predictions)

    (endpoint,) = cloud.client(vertex.EndpointServiceClient).list_endpoints(this)
    answer = cloud.client(vertex.PredictionServiceClient).predict(
        endpoint=endpoint.name, instances=[json_format.ParseDict([1.0], struct_pb2.Value())]
    )
    assert [pytest.approx(line(1.0), rel=0.2)] == list(answer.predictions)

    (tuning,) = cloud.client(vertex.JobServiceClient).list_hyperparameter_tuning_jobs(this)
    assert [vertex.Trial.State.SUCCEEDED] * 3 == [trial.state for trial in tuning.trials]
    errors = {trial.parameters[0].value: trial.final_measurement.metrics[0].value for trial in tuning.trials}
    assert [errors[penalty] for penalty in sorted(errors)] == sorted(errors.values())
