"""Training pipelines: a custom job, and the model that it leaves."""

import json
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as vertex
from google.protobuf import json_format, struct_pb2

from tests.contract.gcp.conftest import StartVertex
from tests.contract.gcp.local_vertex import (
    BUCKET,
    PARENT,
    SERVING_IMAGE,
    LocalVertex,
    Storage,
    ended,
    python,
    spec,
    state_of,
)
from tests.contract.local_cloud import is_alive, until

TASK = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
TABULAR = "gs://google-cloud-aiplatform/schema/dataset/metadata/tabular_1.0.0.yaml"
TRAINS = """
import os, pathlib
model = pathlib.Path(os.environ["AIP_MODEL_DIR"].replace("gs://", "/gcs/"))
model.mkdir(parents=True)
(model / "weights.txt").write_text("7")
"""
WAITS = "import os, time; print('at', os.getpid(), flush=True); time.sleep(600)"


def value(content: Any) -> struct_pb2.Value:
    """Return content as a protocol buffer's Value."""
    return json_format.ParseDict(content, struct_pb2.Value())


def pipelines_of(local: LocalVertex) -> Any:
    """Return PipelineService."""
    return local.client(vertex.PipelineServiceClient)


def create(local: LocalVertex, job_spec: dict[str, Any], output: str, **fields: Any) -> Any:
    """Create a training pipeline of one job spec."""
    inputs = {**job_spec, "base_output_directory": {"output_uri_prefix": f"gs://{BUCKET}/{output}"}}
    pipeline = vertex.TrainingPipeline(
        display_name="pipeline",
        training_task_definition=TASK,
        training_task_inputs=value(inputs),
        **fields,
    )
    return pipelines_of(local).create_training_pipeline(parent=PARENT, training_pipeline=pipeline)


def finished(local: LocalVertex, pipeline: Any) -> Any:
    """Wait for a pipeline's end."""
    return ended(lambda: pipelines_of(local).get_training_pipeline(name=pipeline.name), pipeline.name)


@pytest.mark.executes(
    "PipelineService.CreateTrainingPipeline", "PipelineService.GetTrainingPipeline", "ModelService.GetModel"
)
def test_a_pipeline_leaves_a_model(local: LocalVertex, storage: Storage) -> None:
    """A pipeline runs its custom job, tells which one, and uploads the model that the job has left."""
    model = {"display_name": "made", "container_spec": {"image_uri": SERVING_IMAGE}}
    created = create(local, spec(python(TRAINS)), "pipelines/a", model_to_upload=model, labels={"run": "1"})
    done = finished(local, created)
    assert "PENDING" == state_of(created)
    assert "SUCCEEDED" == state_of(done), done.error.message
    job = local.jobs.get_custom_job(name=done.training_task_metadata["backingCustomJob"])
    assert ("SUCCEEDED", "pipeline-custom-job") == (state_of(job), job.display_name)
    kept = local.client(vertex.ModelServiceClient).get_model(name=done.model_to_upload.name)
    assert (f"gs://{BUCKET}/pipelines/a/model", done.name, "1") == (
        kept.artifact_uri,
        kept.training_pipeline,
        kept.version_id,
    )
    assert b"7" == storage.get("pipelines/a/model/weights.txt")


def test_a_pipeline_adds_a_version(local: LocalVertex) -> None:
    """A pipeline with a parent model leaves another version of it."""
    model = {"display_name": "made", "container_spec": {"image_uri": SERVING_IMAGE}, "version_aliases": ["challenger"]}
    first = finished(local, create(local, spec(python(TRAINS)), "pipelines/b1", model_to_upload=model))
    parent = first.model_to_upload.name
    second = finished(
        local, create(local, spec(python(TRAINS)), "pipelines/b2", model_to_upload=model, parent_model=parent)
    )
    assert (parent, "2") == (second.model_to_upload.name, second.model_to_upload.version_id)


@pytest.mark.executes("DatasetService.CreateDataset")
def test_a_dataset_for_a_pipeline(local: LocalVertex, storage: Storage) -> None:
    """A pipeline's dataset is divided, and its program is told where the parts are."""
    rows = [f"{number},{number * 2}" for number in range(50)]
    source = storage.put("datasets/a.csv", "\n".join(["x,y", *rows]) + "\n")
    datasets = local.client(vertex.DatasetServiceClient)
    metadata = value({"inputConfig": {"gcsSource": {"uri": [source]}}})
    dataset = datasets.create_dataset(
        parent=PARENT, dataset={"display_name": "d", "metadata_schema_uri": TABULAR, "metadata": metadata}
    ).result(timeout=10)
    script = "import json, os\nprint(json.dumps({k: v for k, v in os.environ.items() if 'DATA_' in k}))"
    config = {
        "dataset_id": dataset.name.rsplit("/", 1)[1],
        "gcs_destination": {"output_uri_prefix": f"gs://{BUCKET}/datasets/parts"},
        "fraction_split": {"training_fraction": 0.6, "validation_fraction": 0.2, "test_fraction": 0.2},
    }
    done = finished(local, create(local, spec(python(script)), "pipelines/c", input_data_config=config))
    assert "SUCCEEDED" == state_of(done), done.error.message
    told = json.loads(local.log(vertex.CustomJob(name=done.training_task_metadata["backingCustomJob"]))[-1])
    found = {}
    for part in ("TRAINING", "VALIDATION", "TEST"):
        before, _, after = told[f"AIP_{part}_DATA_URI"].removeprefix(f"gs://{BUCKET}/").partition("*")
        (key,) = [key for key in storage.keys(before) if key.endswith(after)]
        header, *found[part] = storage.get(key).decode().splitlines()
        assert "x,y" == header
    assert sorted(rows) == sorted(row for part in found.values() for row in part)
    assert all(found.values())
    assert "csv" == told["AIP_DATA_FORMAT"]


def test_a_pipeline_whose_job_fails(local: LocalVertex) -> None:
    """A pipeline fails with its job, and its error carries the end of the job's log."""
    done = finished(local, create(local, spec(python("raise ValueError('no rows')")), "pipelines/d"))
    assert ("FAILED", 3) == (state_of(done), done.error.code)
    assert "ValueError: no rows" in done.error.message


def test_a_pipeline_without_a_model(local: LocalVertex) -> None:
    """A job that leaves no artifact fails its pipeline, though the job itself has succeeded."""
    model = {"display_name": "none", "container_spec": {"image_uri": SERVING_IMAGE}}
    done = finished(local, create(local, spec(python("pass")), "pipelines/e", model_to_upload=model))
    assert ("FAILED", 9) == (state_of(done), done.error.code)
    assert f"Model directory gs://{BUCKET}/pipelines/e/model/ is empty or does not exist" in done.error.message


@pytest.mark.executes("PipelineService.CancelTrainingPipeline")
def test_cancelling_a_pipeline(local: LocalVertex) -> None:
    """Cancelling a pipeline cancels its job and leaves no process."""
    created = create(local, spec(python(WAITS)), "pipelines/f")

    def job() -> Any:
        found = pipelines_of(local).get_training_pipeline(name=created.name).training_task_metadata
        return found and vertex.CustomJob(name=found["backingCustomJob"])

    backing = until(job, "the pipeline's job")
    process = int(local.log_line(backing, "at ").split()[1])
    pipelines_of(local).cancel_training_pipeline(name=created.name)
    assert ("CANCELLED", 1) == (state_of(done := finished(local, created)), done.error.code)
    assert "CANCELLED" == state_of(local.jobs.get_custom_job(name=backing.name))
    assert not is_alive(process)


@pytest.mark.verify  # needs two servers of its own; custom jobs show it always
def test_pipelines_survive_sigkill(start_vertex: StartVertex) -> None:
    """After SIGKILL a pipeline that ran has failed, and so has its job."""
    first = start_vertex()
    created = create(first, spec(python(WAITS)), "pipelines/g")
    until(lambda: list(first.jobs.list_custom_jobs(parent=PARENT, timeout=5)), "the pipeline's job")
    first.kill()
    second = start_vertex()
    pipeline = pipelines_of(second).get_training_pipeline(name=created.name)
    (job,) = second.jobs.list_custom_jobs(parent=PARENT)
    assert ("FAILED", "FAILED") == (state_of(pipeline), state_of(job))


def test_pipeline_jobs_are_refused(local: LocalVertex) -> None:
    """Kubeflow's pipelines are refused at once and clearly."""
    with pytest.raises(exceptions.MethodNotImplemented, match="localcloud does not run pipeline jobs"):
        pipelines_of(local).create_pipeline_job(parent=PARENT, pipeline_job=vertex.PipelineJob(display_name="x"))


@pytest.mark.refuses("PipelineService.CreateTrainingPipeline")
def test_pipelines_that_are_refused(local: LocalVertex) -> None:
    """Another task than custom training and a model without a place for it are refused."""
    with pytest.raises(exceptions.MethodNotImplemented, match="automl"):
        pipelines_of(local).create_training_pipeline(
            parent=PARENT,
            training_pipeline=vertex.TrainingPipeline(
                display_name="x", training_task_definition="gs://x/automl_tables_1.0.0.yaml"
            ),
        )
    model = vertex.Model(display_name="none", container_spec={"image_uri": SERVING_IMAGE})
    with pytest.raises(exceptions.InvalidArgument, match="base_output_directory"):
        pipelines_of(local).create_training_pipeline(
            parent=PARENT,
            training_pipeline=vertex.TrainingPipeline(
                display_name="x",
                training_task_definition=TASK,
                training_task_inputs=value(spec(python("pass"))),
                model_to_upload=model,
            ),
        )
