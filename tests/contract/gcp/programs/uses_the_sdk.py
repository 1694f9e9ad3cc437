"""What a user of google-cloud-aiplatform writes, one flow after the other: `uses_the_sdk.py <folder for scripts>`.

Prints one line of JSON for each flow: its name, and what it has seen or the error that ended it. It knows nothing of a
local cloud: its environment alone leads it there.
"""

import json
import os
import sys
import traceback
from pathlib import Path

from google.cloud import aiplatform, storage
from google.cloud.aiplatform import hyperparameter_tuning

BUCKET = "sdk"
# named at every `init`: without it the SDK leaves gRPC for REST
PROJECT = os.environ["GOOGLE_CLOUD_PROJECT"]
PLAIN = "europe-docker.pkg.dev/local/images/plain:1"
SERVING = "europe-docker.pkg.dev/local/images/serving:1"
MACHINE = "n1-standard-4"
TRAINS = """
import argparse, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--number")
number = parser.parse_args().number
folder = pathlib.Path(os.environ["AIP_MODEL_DIR"].replace("gs://", "/gcs/"))
folder.mkdir(parents=True, exist_ok=True)
(folder / "number.txt").write_text(number)
print("trained", number)
"""
TUNES = """
import json, os, pathlib, sys
given = dict(argument.removeprefix("--").split("=") for argument in sys.argv[1:])
path = pathlib.Path(os.environ["CLOUD_ML_HP_METRIC_FILE"])
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps({"loss": str((float(given["rate"]) - 0.5) ** 2)}))
"""
FLOWS = []
state = {}


def flow(function):
    FLOWS.append(function)
    return function


def script(name, text):
    path = Path(sys.argv[1], name)
    path.write_text(text)
    return str(path)


@flow
def custom_job_from_local_script():
    job = aiplatform.CustomJob.from_local_script(
        display_name="from-script",
        script_path=script("task.py", TRAINS),
        container_uri=PLAIN,
        args=["--number", "0.25"],
        machine_type=MACHINE,
        base_output_dir=f"gs://{BUCKET}/from-script",
    )
    job.run()
    number = storage.Client().bucket(BUCKET).blob("from-script/model/number.txt").download_as_text()
    return {"state": job.state.name, "number": number}


@flow
def custom_training_job():
    job = aiplatform.CustomTrainingJob(
        display_name="training",
        script_path=script("train.py", TRAINS),
        container_uri=PLAIN,
        model_serving_container_image_uri=SERVING,
        model_serving_container_command=["python", "-c", Path(sys.argv[2]).read_text()],
    )
    model = job.run(
        model_display_name="trained",
        args=["--number", "0.5"],
        base_output_dir=f"gs://{BUCKET}/training",
        machine_type=MACHINE,
    )
    state["model"] = model
    return {"state": job.state.name, "model": model.display_name, "version": model.version_id}


@flow
def versions():
    job = aiplatform.CustomTrainingJob(
        display_name="again",
        script_path=script("train.py", TRAINS),
        container_uri=PLAIN,
        model_serving_container_image_uri=SERVING,
        model_serving_container_command=["python", "-c", Path(sys.argv[2]).read_text()],
    )
    second = job.run(
        args=["--number", "1.5"],
        base_output_dir=f"gs://{BUCKET}/again",
        machine_type=MACHINE,
        parent_model=state["model"].resource_name,
        is_default_version=False,
        model_version_aliases=["challenger"],
        model_display_name="trained",
    )
    registry = state["model"].versioning_registry
    registry.add_version_aliases(["champion"], version="2")
    registry.remove_version_aliases(["challenger"], version="2")
    found = registry.list_versions()
    return {
        "second": second.version_id,
        "aliases": {item.version_id: sorted(item.version_aliases) for item in found},
        "default": registry.get_model().version_id,
    }


@flow
def upload():
    storage.Client().bucket(BUCKET).blob("uploaded/number.txt").upload_from_string("2")
    model = aiplatform.Model.upload(
        display_name="uploaded",
        artifact_uri=f"gs://{BUCKET}/uploaded",
        serving_container_image_uri=SERVING,
        serving_container_command=["python", "-c", Path(sys.argv[2]).read_text()],
        labels={"by": "sdk"},
    )
    found = aiplatform.Model.list(filter="labels.by=sdk")
    model.update(description="described")
    exported = model.export_model(export_format_id="custom-trained", artifact_destination=f"gs://{BUCKET}/exported")
    return {
        "listed": [item.display_name for item in found],
        "description": aiplatform.Model(model.resource_name).description,
        "exported": exported["artifactOutputUri"].startswith(f"gs://{BUCKET}/exported/model-"),
    }


@flow
def batch_predict():
    lines = "".join(json.dumps({"x": number}) + "\n" for number in range(3))
    storage.Client().bucket(BUCKET).blob("in/rows.jsonl").upload_from_string(lines)
    job = state["model"].batch_predict(
        job_display_name="batch",
        gcs_source=f"gs://{BUCKET}/in/rows.jsonl",
        gcs_destination_prefix=f"gs://{BUCKET}/out",
        machine_type=MACHINE,
    )
    text = "".join(blob.download_as_text() for blob in job.iter_outputs() if "results" in blob.name)
    return {"state": job.state.name, "predictions": [json.loads(line)["prediction"] for line in text.splitlines()]}


@flow
def endpoint():
    made = aiplatform.Endpoint.create(display_name="endpoint")
    state["model"].deploy(endpoint=made, machine_type=MACHINE, min_replica_count=1, traffic_percentage=100)
    answer = made.predict(instances=[{"x": 1}, {"x": 2}])
    split = sum(made.traffic_split.values())
    made.delete(force=True)
    left = [item.display_name for item in aiplatform.Endpoint.list()]
    return {"predictions": answer.predictions, "split": split, "left": left}


@flow
def hyperparameter_tuning_job():
    job = aiplatform.CustomJob(
        display_name="trial",
        worker_pool_specs=[
            {
                "machine_spec": {"machine_type": MACHINE},
                "replica_count": 1,
                "container_spec": {"image_uri": PLAIN, "command": ["python", "-c", TUNES]},
            }
        ],
        base_output_dir=f"gs://{BUCKET}/tuning",
    )
    tuning = aiplatform.HyperparameterTuningJob(
        display_name="tuning",
        custom_job=job,
        metric_spec={"loss": "minimize"},
        parameter_spec={"rate": hyperparameter_tuning.DoubleParameterSpec(min=0.1, max=0.9, scale="log")},
        max_trial_count=3,
        parallel_trial_count=2,
    )
    tuning.run()
    return {"state": tuning.state.name, "trials": [trial.state.name for trial in tuning.trials]}


@flow
def experiment():
    aiplatform.init(project=PROJECT, experiment="flights", experiment_tensorboard=False)
    with aiplatform.start_run("run-1") as run:
        run.log_params({"depth": 3})
        run.log_metrics({"rmse": 12.5})
        with aiplatform.start_execution(schema_title="system.ContainerExecution", display_name="train") as execution:
            artifact = aiplatform.Artifact.create(
                schema_title="system.Dataset", uri=f"gs://{BUCKET}/data", display_name="data"
            )
            execution.assign_input_artifacts([artifact])
    with aiplatform.start_run("run-2") as run:
        run.log_metrics({"rmse": 11.5})
    frame = aiplatform.get_experiment_df("flights")
    rows = {row["run_name"]: row for row in frame.to_dict("records")}
    first = aiplatform.ExperimentRun("run-1", "flights")
    return {
        "runs": sorted(rows),
        "rmse": {name: row["metric.rmse"] for name, row in rows.items()},
        "depth": rows["run-1"]["param.depth"],
        "executions": [item.display_name for item in first.get_executions()],
        "artifacts": [item.display_name for item in first.get_artifacts()],
        "state": rows["run-1"]["state"],
    }


@flow
def time_series():
    aiplatform.init(project=PROJECT, experiment="with-tensorboard")
    with aiplatform.start_run("run-1") as run:
        for step, loss in enumerate((3.0, 2.0, 1.0), 1):
            run.log_time_series_metrics({"loss": loss}, step=step)
        frame = run.get_time_series_data_frame()
    boards = aiplatform.Tensorboard.list()
    return {"loss": list(frame["loss"]), "steps": [int(step) for step in frame["step"]], "boards": len(boards)}


@flow
def dataset():
    storage.Client().bucket(BUCKET).blob("table.csv").upload_from_string("x,y\n1,2\n")
    made = aiplatform.TabularDataset.create(display_name="table", gcs_source=f"gs://{BUCKET}/table.csv")
    columns = made.column_names
    listed = [item.display_name for item in aiplatform.TabularDataset.list()]
    made.delete()
    return {"columns": columns, "listed": listed, "left": len(aiplatform.TabularDataset.list())}


def main():
    storage.Client().create_bucket(BUCKET)
    aiplatform.init(project=PROJECT, staging_bucket=f"gs://{BUCKET}", location="us-central1")
    for function in FLOWS:
        try:
            seen = function()
        except Exception as error:  # noqa: BLE001 - the next flow has nothing to do with it
            traceback.print_exc()
            seen = {"error": f"{type(error).__name__}: {error}"}
        print("FLOW", json.dumps({"name": function.__name__, "seen": seen}), flush=True)


main()
