"""The Google provider's operators that wait for no job: what the cloud holds after them; and those that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as vertex
from google.protobuf import json_format, struct_pb2

from tests.contract.gcp.local_vertex import PLAIN_IMAGE, ended
from tests.contract.vertex_operators.cases import BUCKET, MODEL, PARENT, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deploy.laptop.airflow_rest import TaskInstance
    from tests.contract.vertex_operators.resources import Vertex
    from tests.contract.vertex_operators.runs import Runs

# a real Airflow whose tasks import Google's clients
pytestmark = pytest.mark.verify
Tasks = dict[str, "TaskInstance"]
TABULAR = "gs://google-cloud-aiplatform/schema/dataset/metadata/tabular_1.0.0.yaml"
CUSTOM = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"


def value(content: Any) -> struct_pb2.Value:
    """Return content as a protocol buffer's Value."""
    return json_format.ParseDict(content, struct_pb2.Value())


def named(found: Iterable[Any]) -> list[str]:
    """Return what found resources are called."""
    return sorted(item.display_name for item in found)


@pytest.fixture(scope="module")
def jobs(runs: Runs) -> dict[str, str]:
    """Return the names of a training pipeline, its custom job, a batch prediction and a tuning that have ended."""
    cloud = runs.cloud
    cloud.put("table.csv", "x,y\n1,2\n")
    service = cloud.client(vertex.JobServiceClient)
    pipelines = cloud.client(vertex.PipelineServiceClient)
    container = {"image_uri": PLAIN_IMAGE, "command": ["python", "-c", PROGRAM.read_text(), "--act=succeeded"]}
    pool = {"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1, "container_spec": container}
    output = {"output_uri_prefix": f"gs://{BUCKET}/around/out"}
    spec = {"worker_pool_specs": [pool], "base_output_directory": output}
    pipeline = pipelines.create_training_pipeline(
        parent=PARENT,
        training_pipeline=vertex.TrainingPipeline(
            display_name="around", training_task_definition=CUSTOM, training_task_inputs=value(spec)
        ),
    )
    rows = cloud.put("around/rows.jsonl", '{"x": 1}\n')
    resources = {"machine_spec": {"machine_type": "n1-standard-2"}, "starting_replica_count": 1}
    batch = service.create_batch_prediction_job(
        parent=PARENT,
        batch_prediction_job={
            "display_name": "around",
            "model": f"{PARENT}/models/{MODEL}",
            "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": [rows]}},
            "output_config": {"predictions_format": "jsonl", "gcs_destination": output},
            "dedicated_resources": resources,
        },
    )
    rate = {"parameter_id": "rate", "double_value_spec": {"min_value": 0.0, "max_value": 1.0}}
    tuning = service.create_hyperparameter_tuning_job(
        parent=PARENT,
        hyperparameter_tuning_job={
            "display_name": "around",
            "study_spec": {"metrics": [{"metric_id": "loss", "goal": "MINIMIZE"}], "parameters": [rate]},
            "max_trial_count": 1,
            "parallel_trial_count": 1,
            "trial_job_spec": spec,
        },
    )
    done = ended(lambda: pipelines.get_training_pipeline(name=pipeline.name), pipeline.name)
    ended(lambda: service.get_batch_prediction_job(name=batch.name), batch.name)
    ended(lambda: service.get_hyperparameter_tuning_job(name=tuning.name), tuning.name)
    return {
        "training": pipeline.name,
        "job": done.training_task_metadata["backingCustomJob"],
        "batch": batch.name,
        "tuning": tuning.name,
    }


@pytest.fixture(scope="module")
def tasks(runs: Runs, jobs: dict[str, str]) -> Tasks:
    """Return the task instances of a run of vertex_around."""
    return runs.tasks("vertex_around", {kind: name.rpartition("/")[2] for kind, name in jobs.items()})


@pytest.fixture
def cloud(runs: Runs, tasks: Tasks) -> Vertex:
    """Return the cloud after the run, in which every task has succeeded."""
    failed = {task.task_id: runs.airflow.rest.log(task)[-3000:] for task in tasks.values() if task.state != "success"}
    assert {} == failed
    return runs.cloud


def test_datasets(runs: Runs, cloud: Vertex, tasks: Tasks) -> None:
    """One dataset stays, with the label of its update; the other one is gone."""
    (kept,) = cloud.client(vertex.DatasetServiceClient).list_datasets(parent=PARENT)
    assert ("around", {"by": "airflow"}) == (kept.display_name, dict(kept.labels))
    assert {"by": "airflow"} == runs.value(tasks["get_dataset"])["labels"]
    assert [kept.name] == [each["name"] for each in runs.value(tasks["list_datasets"])]


def test_models(runs: Runs, cloud: Vertex, tasks: Tasks) -> None:
    """The second version stays, as the default and the champion; its artifact is exported; the other model is gone."""
    client = cloud.client(vertex.ModelServiceClient)
    (kept,) = client.list_models({"parent": PARENT, "filter": 'display_name="around"'})
    assert kept.name.endswith(str(runs.value(tasks["upload_model"], "model_id")))
    (version,) = client.list_model_versions(name=kept.name)
    assert ("2", ["champion", "default"]) == (version.version_id, sorted(version.version_aliases))
    assert ["1", "2"] == sorted(each["version_id"] for each in runs.value(tasks["list_versions"]))
    assert "2" == runs.value(tasks["get_model"])["version_id"]
    assert [kept.name] == [each["name"] for each in runs.value(tasks["list_models"])]
    (exported,) = cloud.keys(f"gs://{BUCKET}/around/exported")
    assert exported.endswith("/number.txt")
    assert b"0.5" == cloud.get(exported)
    assert "temporary" not in named(client.list_models(parent=PARENT))


def test_endpoints(runs: Runs, cloud: Vertex, tasks: Tasks) -> None:
    """The endpoint answers with the model that stays; the one that was undeployed and the other endpoint are gone."""
    (kept,) = cloud.client(vertex.EndpointServiceClient).list_endpoints(parent=PARENT)
    assert ("around", "answers", ["stays"]) == (kept.display_name, kept.description, named(kept.deployed_models))
    answer = cloud.client(vertex.PredictionServiceClient).predict(endpoint=kept.name, instances=[value({"x": 1})])
    assert [1.5] == list(answer.predictions)
    assert kept.deployed_models[0].id == str(runs.value(tasks["deploy_model"], "deployed_model_id"))
    assert kept.name == runs.value(tasks["get_endpoint"])["name"]
    assert [kept.name] == [each["name"] for each in runs.value(tasks["list_endpoints"])]


def test_experiments(runs: Runs, cloud: Vertex, tasks: Tasks) -> None:
    """The experiment stays with one completed run; the other run and the other experiment are gone."""
    store = f"{PARENT}/metadataStores/default"
    contexts = [*cloud.client(vertex.MetadataServiceClient).list_contexts(parent=store)]
    kinds = {(each.schema_title, each.display_name) for each in contexts}
    assert {("system.Experiment", "around"), ("system.ExperimentRun", "stays")} == kinds
    (run,) = [each for each in contexts if each.display_name == "stays"]
    assert "COMPLETE" == run.metadata["_state"]
    assert ["goes", "stays"] == sorted(runs.value(tasks["list_runs"]))


def test_jobs(runs: Runs, cloud: Vertex, tasks: Tasks, jobs: dict[str, str]) -> None:
    """The jobs were got and listed as they are, and are gone."""
    assert [jobs["batch"]] == runs.value(tasks["got_batches"])
    assert jobs["tuning"] == runs.value(tasks["get_tuning"])["name"]
    lists = {"training": "list_trainings", "batch": "list_batches", "tuning": "list_tunings"}
    for kind, task_id in lists.items():
        assert [jobs[kind]] == [each["name"] for each in runs.value(tasks[task_id])]
    service, pipelines = cloud.client(vertex.JobServiceClient), cloud.client(vertex.PipelineServiceClient)
    gets = {
        "training": pipelines.get_training_pipeline,
        "job": service.get_custom_job,
        "batch": service.get_batch_prediction_job,
        "tuning": service.get_hyperparameter_tuning_job,
    }
    for kind, get in gets.items():
        with pytest.raises(exceptions.NotFound):
            get(name=jobs[kind])
    assert [] == runs.value(tasks["list_automl"])
    assert "does not exist" in runs.airflow.rest.log(tasks["delete_automl"])


@pytest.fixture(scope="module")
def refused(runs: Runs) -> Tasks:
    """Return the task instances of a run of vertex_refused, over a dataset that is there."""
    runs.cloud.put("table.csv", "x,y\n1,2\n")
    datasets = runs.cloud.client(vertex.DatasetServiceClient)
    metadata = value({"inputConfig": {"gcsSource": {"uri": [f"gs://{BUCKET}/table.csv"]}}})
    given = {"display_name": "refused", "metadata_schema_uri": TABULAR, "metadata": metadata}
    made = datasets.create_dataset(parent=PARENT, dataset=given).result(timeout=30)
    found = runs.tasks("vertex_refused", {"dataset": made.name.rpartition("/")[2]})
    datasets.delete_dataset(name=made.name).result(timeout=30)
    return found


@pytest.mark.parametrize(
    ("task_id", "said"),
    [
        ("ExportData", "DatasetService/ExportData"),
        ("ImportData", "DatasetService/ImportData"),
        ("GetFeatureOnlineStore", "FeatureOnlineStoreAdminService/GetFeatureOnlineStore"),
        ("PipelineJob", "localcloud does not run pipeline jobs"),
        ("automl", "localcloud does not run the training task"),
    ],
)
def test_what_is_refused(runs: Runs, refused: Tasks, task_id: str, said: str) -> None:
    """The task fails, and its log says what the local cloud does not do."""
    assert "failed" == refused[task_id].state
    assert said in runs.airflow.rest.log(refused[task_id])
