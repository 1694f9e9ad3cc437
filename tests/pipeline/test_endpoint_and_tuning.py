"""The operators of endpoints and of tuning jobs under a real scheduler; asked at the endpoint and in the lake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from include.core.model_spec import load_model
from include.jobs.code_package import pack
from include.jobs.requests import serving_image, training_image
from tests.pipeline.job_probes import ROLE

if TYPE_CHECKING:
    from deploy.laptop.airflow_rest import TaskInstance
    from tests.pipeline.running import Laptop

SERVE = """
def model_fn(model_dir): {load}
def transform_fn(model, body, content_type, accept): return {answer!r}, accept
"""
TUNE = """
import os, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("loss=" + given["--rate"] + ";")
open(os.path.join(os.environ["SM_MODEL_DIR"], "rate"), "w").write(given["--rate"])
"""


def deploy(laptop: Laptop, name: str, answer: str, load: str = "return None") -> TaskInstance:
    """Run the probe that deploys a model with this answer to the endpoint ``probe``; return the endpoint's task."""
    lake = laptop.lake
    lake.write_bytes(f"probe/{name}/model.tar.gz", pack({"nothing": b""}))
    code = SERVE.format(load=load, answer=answer).encode()
    lake.write_bytes(f"probe/{name}/code.tar.gz", pack({"serve.py": code}))
    model = {
        "ModelName": "probe",
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {
            "Image": serving_image(load_model("flight_delay")),
            "ModelDataUrl": lake.uri(f"probe/{name}/model.tar.gz"),
            "Environment": {
                "SAGEMAKER_PROGRAM": "serve.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": lake.uri(f"probe/{name}/code.tar.gz"),
            },
        },
    }
    return laptop.run("probe_endpoint", {"model": model, "endpoint": "probe"})["endpoint"]


def served(laptop: Laptop) -> str:
    """Ask the endpoint."""
    answer = laptop.client("sagemaker-runtime").invoke_endpoint(EndpointName="probe", Body=b"1", ContentType="text/csv")
    body: bytes = answer["Body"].read()
    return body.decode()


@pytest.mark.verify
def test_an_endpoint_is_created_updated_and_kept(laptop: Laptop) -> None:
    """A new model takes over; a cleared task changes nothing; a model that cannot be loaded fails and is taken back."""
    sagemaker = laptop.client("sagemaker")
    first = deploy(laptop, "one", "one")
    assert ("success", "one") == (first.state, served(laptop))
    second = deploy(laptop, "two", "two")
    assert ("success", "two") == (second.state, served(laptop))

    modified = sagemaker.describe_endpoint(EndpointName="probe")["LastModifiedTime"]
    laptop.rest.clear(second.dag_id, second.run_id, ["endpoint"])
    again = laptop.ended(second)
    assert ("success", 2) == (again.state, again.try_number)
    assert modified == sagemaker.describe_endpoint(EndpointName="probe")["LastModifiedTime"]
    assert 2 == len(sagemaker.list_endpoint_configs()["EndpointConfigs"])

    third = deploy(laptop, "three", "three", "raise ValueError('this model does not load')")
    log = laptop.rest.log(third)
    assert ("failed", 1) == (third.state, third.try_number)
    assert "RemoteJobFailed" in log
    assert "a deployment ends InService" in log
    assert "two" == served(laptop)


@pytest.mark.verify
def test_a_tuning_job_hands_on_its_best_model(laptop: Laptop) -> None:
    """Its artifact and metric are those of the training job with the smallest loss; its name fits the API's limit."""
    lake = laptop.lake
    lake.write_bytes("probe/tune.tar.gz", pack({"train.py": TUNE.encode()}))
    definition: dict[str, Any] = {
        "StaticHyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": lake.uri("probe/tune.tar.gz"),
        },
        "AlgorithmSpecification": {
            "TrainingImage": training_image(load_model("flight_delay")),
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": lake.uri("probe/tuned")},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 300},
    }
    configuration = {
        "Strategy": "Grid",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        "ResourceLimits": {"MaxParallelTrainingJobs": 2},
        "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["0.3", "0.1", "0.2"]}]},
    }
    tuning = {
        "HyperParameterTuningJobName": "probe-tuning-with-a-long-name",
        "HyperParameterTuningJobConfig": configuration,
        "TrainingJobDefinition": definition,
    }
    task = laptop.run("probe_tuning", {"tuning": tuning})["tune"]
    assert "success" == task.state, laptop.rest.log(task)
    result = laptop.rest.xcom(task.dag_id, task.run_id, "tune")
    assert len(result["job_name"]) <= 32
    assert {"loss": 0.1} == result["metrics"]
    assert lake.size(lake.key(result["artifacts"]["model"]))
    jobs = laptop.client("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=result["job_name"]
    )["TrainingJobSummaries"]
    best = [job["TrainingJobName"] for job in jobs if json.loads(job["TunedHyperParameters"]["rate"]) == 0.1]
    assert [result["artifacts"]["model"].split("/")[-3]] == best
