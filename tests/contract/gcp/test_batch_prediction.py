"""Batch prediction: every row is answered by a real container, and what becomes of it is written."""

import json
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as vertex

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
from tests.contract.gcp.serving_programs import ADDS, model_that_adds
from tests.contract.local_cloud import is_alive, until

SKLEARN = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"
TRAINING = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest"
MACHINE = {"machine_spec": {"machine_type": "n1-standard-2"}, "starting_replica_count": 1}


def create(local: LocalVertex, model: str, source: str, output: str, **fields: Any) -> Any:
    """Create a batch prediction job over JSON Lines."""
    job = {
        "display_name": "predict",
        "model": model,
        "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": [source]}},
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": f"gs://{BUCKET}/{output}"},
        },
        "dedicated_resources": MACHINE,
        **fields,
    }
    return local.jobs.create_batch_prediction_job(parent=PARENT, batch_prediction_job=job)


def finished(local: LocalVertex, job: Any) -> Any:
    """Wait for a job's end."""
    return ended(lambda: local.jobs.get_batch_prediction_job(name=job.name), job.name)


def rows(storage: Storage, job: Any, file: str = "results") -> list[dict[str, Any]]:
    """Return the lines of a job's results or errors."""
    folder = job.output_info.gcs_output_directory.removeprefix(f"gs://{BUCKET}/")
    text = storage.get(f"{folder}/prediction.{file}-00000-of-00001").decode()
    return [json.loads(line) for line in text.splitlines()]


def lines(*items: Any) -> str:
    """Return items as JSON Lines."""
    return "".join(f"{json.dumps(item)}\n" for item in items)


@pytest.mark.executes("JobService.CreateBatchPredictionJob", "JobService.GetBatchPredictionJob")
def test_rows_are_predicted_in_order(local: LocalVertex, storage: Storage) -> None:
    """Each row's prediction is written beside the row, in the rows' order, over several batches and replicas."""
    source = storage.put("batch/in.jsonl", lines(*({"x": number} for number in range(150))))
    job = create(
        local,
        model_that_adds(local, storage),
        source,
        "batch/out",
        manual_batch_tuning_parameters={"batch_size": 16},
        dedicated_resources={**MACHINE, "starting_replica_count": 2, "max_replica_count": 2},
    )
    done = finished(local, job)
    assert ("PENDING", "SUCCEEDED") == (state_of(job), state_of(done)), done.error.message
    expected = [{"instance": {"x": number}, "prediction": number + 0.5} for number in range(150)]
    assert expected == rows(storage, done)
    assert [] == rows(storage, done, "errors_stats")
    assert (150, 0, "1") == (
        done.completion_stats.successful_count,
        done.completion_stats.failed_count,
        done.model_version_id,
    )
    assert done.output_info.gcs_output_directory.startswith(f"gs://{BUCKET}/batch/out/prediction-adds-0.5-2")


def test_csv_keys_and_parameters(local: LocalVertex, storage: Storage) -> None:
    """CSV becomes arrays, or objects where asked for, whose key is kept apart; parameters reach the model."""
    model = model_that_adds(local, storage)
    source = storage.put("batch/in.csv", 'x,name\n1,"one"\n2,"2"\n')
    config = {"instances_format": "csv", "gcs_source": {"uris": [f"gs://{BUCKET}/batch/*.csv"]}}
    assert source.endswith(".csv")
    arrays = finished(local, create(local, model, "", "batch/arrays", input_config=config))
    expected = [{"instance": [1, "one"], "prediction": 1.5}, {"instance": [2, "2"], "prediction": 2.5}]
    assert expected == rows(storage, arrays)
    keyed = create(
        local,
        model,
        "",
        "batch/keyed",
        input_config=config,
        instance_config={"instance_type": "object", "key_field": "name"},
        model_parameters={"times": 4},
    )
    expected = [{"key": "one", "prediction": 3.0}, {"key": "2", "prediction": 4.0}]
    assert expected == rows(storage, finished(local, keyed))


def test_rows_that_fail(local: LocalVertex, storage: Storage) -> None:
    """Rows that the model answers 500 to are written as errors and counted; the others are predicted."""
    source = storage.put("batch/partly.jsonl", lines({"x": 1}, {"x": "broken"}, {"x": 2}))
    tuning = {"batch_size": 1}
    job = create(local, model_that_adds(local, storage), source, "batch/p", manual_batch_tuning_parameters=tuning)
    done = finished(local, job)
    assert ("SUCCEEDED", 2, 1) == (
        state_of(done),
        done.completion_stats.successful_count,
        done.completion_stats.failed_count,
    )
    assert [1.5, 2.5] == [row["prediction"] for row in rows(storage, done)]
    (error,) = rows(storage, done, "errors_stats")
    assert {"x": "broken"} == error["instance"]
    assert "The model server answered 500: " in error["error"]["message"]


def test_a_model_that_always_fails(local: LocalVertex, storage: Storage) -> None:
    """A job of which no row succeeds fails with the model's own words."""
    source = storage.put("batch/broken.jsonl", lines({"x": "broken"}))
    done = finished(local, create(local, model_that_adds(local, storage), source, "batch/b"))
    assert ("FAILED", 3) == (state_of(done), done.error.code)
    assert 'answered 500: {"error": "cannot predict: broken"}' in done.error.message


def test_a_container_that_does_not_start(local: LocalVertex, storage: Storage) -> None:
    """A container that ends before it is healthy fails the job; its error carries the end of its log."""
    source = storage.put("batch/one.jsonl", lines({"x": 1}))
    done = finished(local, create(local, model_that_adds(local, storage, -1), source, "batch/n"))
    assert ("FAILED", 3) == (state_of(done), done.error.code)
    assert "Model server terminated: it exited with status 1" in done.error.message
    assert "a negative number cannot be loaded" in done.error.message


def test_a_model_without_registration(local: LocalVertex, storage: Storage) -> None:
    """A container and an artifact are enough."""
    model_that_adds(local, storage)
    source = storage.put("batch/one.jsonl", lines({"x": 1}))
    unmanaged = {
        "artifact_uri": f"gs://{BUCKET}/adds/0.5",
        "container_spec": {"image_uri": SERVING_IMAGE, "command": ["python", "-c", ADDS]},
    }
    done = finished(local, create(local, "", source, "batch/u", unmanaged_container_model=unmanaged))
    assert [{"instance": {"x": 1}, "prediction": 1.5}] == rows(storage, done)


@pytest.mark.verify  # installs two environments of a gigabyte
def test_googles_prebuilt_container(local: LocalVertex, storage: Storage) -> None:
    """A model that a prebuilt container trains is served by a prebuilt container."""
    trains = """
import os, pathlib, joblib, numpy
from sklearn.linear_model import LinearRegression
x = numpy.arange(20.0).reshape(-1, 1)
folder = pathlib.Path(os.environ["AIP_MODEL_DIR"].replace("gs://", "/gcs/"))
folder.mkdir(parents=True)
joblib.dump(LinearRegression().fit(x, 3 * x[:, 0] + 1), folder / "model.joblib")
"""
    output = {"output_uri_prefix": f"gs://{BUCKET}/prebuilt"}
    trained = local.finished(local.run(spec(python(trains, image=TRAINING), base_output_directory=output)))
    assert "SUCCEEDED" == state_of(trained), trained.error.message
    model = {"display_name": "linear", "artifact_uri": f"gs://{BUCKET}/prebuilt/model"}
    made = (
        local.client(vertex.ModelServiceClient)
        .upload_model(parent=PARENT, model={**model, "container_spec": {"image_uri": SKLEARN}})
        .result(timeout=20)
    )
    source = storage.put("batch/linear.jsonl", lines([1.0], [2.0]))
    done = finished(local, create(local, made.model, source, "batch/linear"))
    assert "SUCCEEDED" == state_of(done), done.error.message
    assert [4.0, 7.0] == pytest.approx([row["prediction"] for row in rows(storage, done)])


@pytest.mark.executes("JobService.CancelBatchPredictionJob", "JobService.ListBatchPredictionJobs")
def test_cancelling_and_listing(local: LocalVertex, storage: Storage) -> None:
    """A cancelled job leaves no container; it is listed by its name, and deleted once it has ended."""
    source = storage.put("batch/sleep.jsonl", lines({"x": "sleep"}))
    job = create(local, model_that_adds(local, storage), source, "batch/c", display_name="sleeps")
    process = int(_log_line(local, job, "loaded").split()[2])
    local.jobs.cancel_batch_prediction_job(name=job.name)
    done = finished(local, job)
    assert ("CANCELLED", 1) == (state_of(done), done.error.code)
    assert not is_alive(process)
    found = local.jobs.list_batch_prediction_jobs({"parent": PARENT, "filter": 'display_name="sleeps"'})
    assert [job.name] == [item.name for item in found]
    local.jobs.delete_batch_prediction_job(name=job.name).result(timeout=10)
    with pytest.raises(exceptions.NotFound):
        local.jobs.get_batch_prediction_job(name=job.name)


@pytest.mark.verify  # needs two servers of its own; custom jobs show it always
def test_a_batch_prediction_that_was_killed(start_vertex: StartVertex, storage: Storage) -> None:
    """After SIGKILL no container is left, and the job has failed with the reason."""
    first = start_vertex()
    source = storage.put("batch/sleep.jsonl", lines({"x": "sleep"}))
    job = create(first, model_that_adds(first, storage), source, "batch/k")
    process = int(_log_line(first, job, "loaded").split()[2])
    first.kill()
    until(lambda: not is_alive(process), "the container to be gone")
    killed = start_vertex().jobs.get_batch_prediction_job(name=job.name)
    assert ("FAILED", 13) == (state_of(killed), killed.error.code)


@pytest.mark.refuses("JobService.CreateBatchPredictionJob")
@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"model": f"{PARENT}/models/1"}, exceptions.NotFound, "does not exist"),
        ({"model": ""}, exceptions.InvalidArgument, "batch_prediction_job.model; Message: Required"),
        ({"dedicated_resources": {}}, exceptions.InvalidArgument, "machine_type; Message: Required"),
        (
            {"input_config": {"instances_format": "tf-record", "gcs_source": {"uris": ["gs://x/y"]}}},
            exceptions.MethodNotImplemented,
            "'tf-record'",
        ),
        (
            {"input_config": {"instances_format": "jsonl"}},
            exceptions.InvalidArgument,
            "gcs_source.uris; Message: Required",
        ),
    ],
)
def test_what_is_refused(
    local: LocalVertex, storage: Storage, fields: dict[str, Any], error: type[Exception], said: str
) -> None:
    """A job that cannot run is refused at once; the message says why."""
    model = model_that_adds(local, storage)
    with pytest.raises(error) as refused:
        create(local, fields.pop("model", model), f"gs://{BUCKET}/batch/one.jsonl", "batch/r", **fields)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No file was found for"), ("{x: 1}\n", "line 1 is no JSON"), (b"\xff", "utf-8")]
)
def test_input_that_cannot_be_read(
    local: LocalVertex, storage: Storage, content: str | bytes | None, said: str
) -> None:
    """A job whose input is missing or no JSON fails and names the file."""
    if content is not None:
        storage.put("batch/unreadable.jsonl", content)
    source = f"gs://{BUCKET}/batch/{'un' if content is not None else 'not-'}readable.jsonl"
    done = finished(local, create(local, model_that_adds(local, storage), source, "batch/x"))
    assert "FAILED" == state_of(done)
    assert said in done.error.message
    assert source in done.error.message


def _log_line(local: LocalVertex, job: Any, start: str) -> str:
    path = local.root / "logs" / "vertex" / job.name.rsplit("/", 1)[1] / "replica-0.log"

    def look() -> str | None:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return next((line for line in text.splitlines() if line.startswith(start)), None)

    return until(look, f"a line {start!r} in {path}")
