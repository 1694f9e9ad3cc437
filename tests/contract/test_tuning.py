"""What a hyperparameter tuning job does on the local cloud: it launches training jobs and tells what came of them."""

import urllib.request
from http import HTTPStatus
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import FINAL, ROLE, XGBOOST_IMAGE, LocalCloud, archive, is_alive, until

# prints the loss of its hyperparameters, keeps what it was given as its model
LEARNS = """
import json, os, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("loss=" + str((float(given["--rate"]) - 0.3) ** 2) + ";")
json.dump(given, open(os.path.join(os.environ["SM_MODEL_DIR"], "given.json"), "w"))
"""
RATE = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.0", "MaxValue": "1.0", "ScalingType": "Linear"}]}
LOSS = {"Name": "validation:loss", "Regex": "loss=(.*?);"}


def choices(*values: str, name: str = "rate") -> dict[str, Any]:
    """Return ParameterRanges of one categorical parameter."""
    return {"CategoricalParameterRanges": [{"Name": name, "Values": list(values)}]}


def tuning_request(cloud: LocalCloud, name: str, script: str = LEARNS, **config: Any) -> dict[str, Any]:
    """Return a CreateHyperParameterTuningJob request; `config` overrides parts of its configuration."""
    source = cloud.put(f"code/{name}.tar.gz", archive({"train.py": script}))
    definition = {
        "StaticHyperParameters": {"sagemaker_program": "train.py", "sagemaker_submit_directory": source},
        "AlgorithmSpecification": {
            "TrainingImage": XGBOOST_IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [LOSS],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{cloud.bucket}/tuned/"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    defaults = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:loss"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": RATE,
    }
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {**defaults, **config},
        "TrainingJobDefinition": definition,
    }


def tune(cloud: LocalCloud, name: str, script: str = LEARNS, **config: Any) -> str:
    """Create a tuning job; return its name."""
    cloud.client("sagemaker").create_hyper_parameter_tuning_job(**tuning_request(cloud, name, script, **config))
    return name


def described(cloud: LocalCloud, name: str) -> dict[str, Any]:
    """Describe a tuning job."""
    found: dict[str, Any] = cloud.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name
    )
    return found


def finished(cloud: LocalCloud, name: str) -> dict[str, Any]:
    """Wait until a tuning job is final; return its description."""

    def final() -> dict[str, Any] | None:
        found = described(cloud, name)
        return found if found["HyperParameterTuningJobStatus"] in FINAL else None

    return until(final, f"the end of {name}")


def children(cloud: LocalCloud, name: str, **request: Any) -> list[dict[str, Any]]:
    """List a tuning job's training jobs, by name unless the request says otherwise."""
    found: list[dict[str, Any]] = cloud.client("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, **request
    )["TrainingJobSummaries"]
    return found


@pytest.mark.executes(
    "CreateHyperParameterTuningJob",
    "DescribeHyperParameterTuningJob",
    "ListTrainingJobsForHyperParameterTuningJob",
    "ListHyperParameterTuningJobs",
)
def test_life_of_a_tuning_job(cloud: LocalCloud) -> None:
    """A tuning job trains as many times as it may, each time with other values, and names the best of its jobs."""
    request = tuning_request(cloud, "tune-life")
    request["Tags"] = [{"Key": "team", "Value": "tuners"}]
    cloud.client("sagemaker").create_hyper_parameter_tuning_job(**request)
    job = finished(cloud, "tune-life")
    assert (job["HyperParameterTuningJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 3,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
    assert job["CreationTime"] <= job["HyperParameterTuningEndTime"]
    assert job["ConsumedResources"]["RuntimeInSeconds"] >= 3

    trained = children(cloud, "tune-life")
    assert [item["TrainingJobName"][:14] for item in trained] == ["tune-life-001-", "tune-life-002-", "tune-life-003-"]
    assert all(len(item["TrainingJobName"]) == 22 for item in trained)
    assert len({item["TunedHyperParameters"]["rate"] for item in trained}) == 3
    for item in trained:
        rate = item["TunedHyperParameters"]["rate"]
        metric = item["FinalHyperParameterTuningJobObjectiveMetric"]
        assert metric["MetricName"] == "validation:loss"
        assert metric["Value"] == pytest.approx((float(rate) - 0.3) ** 2)
        assert cloud.log("Training", item["TrainingJobName"]) == [f"loss={(float(rate) - 0.3) ** 2};"]
        training_job = cloud.describe("Training", item["TrainingJobName"])
        assert training_job["TuningJobArn"] == job["HyperParameterTuningJobArn"]
        assert training_job["HyperParameters"]["rate"] == rate
        assert training_job["HyperParameters"]["_tuning_objective_metric"] == "validation:loss"
        assert {found["MetricName"] for found in training_job["FinalMetricDataList"]} == {
            "validation:loss",
            "ObjectiveMetric",
        }
        tags = cloud.client("sagemaker").list_tags(ResourceArn=item["TrainingJobArn"])["Tags"]
        assert tags == [{"Key": "team", "Value": "tuners"}]
    best = min(trained, key=lambda item: item["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
    assert job["BestTrainingJob"] == best
    assert cloud.keys(f"tuned/{best['TrainingJobName']}/") == [
        f"tuned/{best['TrainingJobName']}/output/model.tar.gz",
    ]
    found = cloud.client("sagemaker").list_hyper_parameter_tuning_jobs(NameContains="tune-life")
    (summary,) = found["HyperParameterTuningJobSummaries"]
    assert (summary["HyperParameterTuningJobStatus"], summary["Strategy"]) == ("Completed", "Random")
    assert summary["ObjectiveStatusCounters"]["Succeeded"] == 3


@pytest.mark.executes("CreateHyperParameterTuningJob", "ListTrainingJobsForHyperParameterTuningJob")
def test_grid(cloud: LocalCloud) -> None:
    """Grid tries each combination once without being told how many there are; a list can be sorted by the objective."""
    tune(
        cloud,
        "tune-grid",
        Strategy="Grid",
        ResourceLimits={"MaxParallelTrainingJobs": 2},
        ParameterRanges={
            "CategoricalParameterRanges": [
                {"Name": "rate", "Values": ["0.1", "0.9"]},
                {"Name": "depth", "Values": ["3", "5"]},
            ]
        },
    )
    finished(cloud, "tune-grid")
    tried = [item["TunedHyperParameters"] for item in children(cloud, "tune-grid")]
    assert tried == [
        {"rate": "0.1", "depth": "3"},
        {"rate": "0.1", "depth": "5"},
        {"rate": "0.9", "depth": "3"},
        {"rate": "0.9", "depth": "5"},
    ]
    worst_first = children(cloud, "tune-grid", SortBy="FinalObjectiveMetricValue", SortOrder="Descending", MaxResults=2)
    assert [item["TunedHyperParameters"]["rate"] for item in worst_first] == ["0.9", "0.9"]
    assert children(cloud, "tune-grid", StatusEquals="Failed") == []


@pytest.mark.executes("CreateHyperParameterTuningJob")
def test_bayesian(cloud: LocalCloud) -> None:
    """Bayesian search, the clients' default, runs past its random beginning and can maximise, in whole numbers too."""
    depth = {"Name": "depth", "MinValue": "1", "MaxValue": "64", "ScalingType": "Logarithmic"}
    tune(
        cloud,
        "tune-bayesian",
        Strategy="Bayesian",
        HyperParameterTuningJobObjective={"Type": "Maximize", "MetricName": "validation:loss"},
        ResourceLimits={"MaxNumberOfTrainingJobs": 5, "MaxParallelTrainingJobs": 2},
        ParameterRanges={**RATE, "IntegerParameterRanges": [depth]},
        RandomSeed=1,
    )
    job = finished(cloud, "tune-bayesian")
    assert (job["HyperParameterTuningJobStatus"], job["ObjectiveStatusCounters"]["Succeeded"]) == ("Completed", 5)
    trained = children(cloud, "tune-bayesian", SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert job["BestTrainingJob"] == trained[0]
    assert all(1 <= int(item["TunedHyperParameters"]["depth"]) <= 64 for item in trained)


@pytest.mark.executes("CreateHyperParameterTuningJob")
def test_target(cloud: LocalCloud) -> None:
    """Once the objective reaches the target, no further job is launched and those that run are stopped."""
    script = 'import sys, time\nprint("loss=" + sys.argv[2] + ";", flush=True)\n'
    script += "time.sleep(600 if float(sys.argv[2]) > 0.5 else 0)\n"
    tune(
        cloud,
        "tune-target",
        script,
        Strategy="Grid",
        ResourceLimits={"MaxParallelTrainingJobs": 2},
        ParameterRanges=choices("0.9", "0.2", "0.1"),
        TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.25},
    )
    job = finished(cloud, "tune-target")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"rate": "0.2"}
    ended = [
        (item["TunedHyperParameters"]["rate"], item["TrainingJobStatus"]) for item in children(cloud, "tune-target")
    ]
    assert ended == [("0.9", "Stopped"), ("0.2", "Completed")]


@pytest.mark.executes("CreateHyperParameterTuningJob")
def test_early_stopping(cloud: LocalCloud) -> None:
    """With early stopping, a job worse than the median of those before it at its epoch is stopped and evaluated."""
    script = """
import sys, time
for epoch in range(2):
    print("loss=" + sys.argv[2] + ";", flush=True)
time.sleep(600 if sys.argv[2] == "0.9" else 0)
"""
    tune(
        cloud,
        "tune-early",
        script,
        Strategy="Grid",
        ResourceLimits={"MaxParallelTrainingJobs": 1},
        ParameterRanges=choices("0.1", "0.2", "0.3", "0.9"),
        TrainingJobEarlyStoppingType="Auto",
    )
    assert finished(cloud, "tune-early")["HyperParameterTuningJobStatus"] == "Completed"
    last = children(cloud, "tune-early")[-1]
    assert (last["TrainingJobStatus"], last["ObjectiveStatus"]) == ("Stopped", "Succeeded")
    assert last["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == pytest.approx(0.9)


@pytest.mark.executes("StopHyperParameterTuningJob")
@pytest.mark.refuses("DeleteHyperParameterTuningJob")
def test_stop_and_delete(cloud: LocalCloud) -> None:
    """Stopping a tuning job ends its training jobs' processes; a job that has ended can be deleted, not before."""
    client = cloud.client("sagemaker")
    tune(cloud, "tune-stop", "import time\ntime.sleep(600)\n")
    running = until(lambda: children(cloud, "tune-stop"), "a training job")
    pid = cloud.pid(running[0]["TrainingJobName"])
    with pytest.raises(client.exceptions.ClientError, match="is in status InProgress"):
        client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="tune-stop")
    client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="tune-stop")
    job = finished(cloud, "tune-stop")
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert not is_alive(pid)
    assert job["TrainingJobStatusCounters"]["Stopped"] == len(children(cloud, "tune-stop"))
    assert "BestTrainingJob" not in job
    client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="tune-stop")
    with pytest.raises(client.exceptions.ResourceNotFound) as refused:
        described(cloud, "tune-stop")
    assert refused.value.response["Error"]["Message"] == (
        "Amazon SageMaker can't find a tuning job called tune-stop. Type another name."
    )


@pytest.mark.executes("CreateHyperParameterTuningJob")
def test_failures(cloud: LocalCloud) -> None:
    """A job that fails or names no metric does not count; when none counts, the tuning job fails with AWS's reason."""
    script = 'import sys\nassert sys.argv[2] != "bad"\nif sys.argv[2] == "good": print("loss=1;")\n'
    limits = {"MaxParallelTrainingJobs": 3}
    some, none, silent = (
        tune(cloud, name, script, Strategy="Grid", ResourceLimits=limits, ParameterRanges=choices(*values))
        for name, values in (
            ("tune-some", ("bad", "silent", "good")),
            ("tune-none", ("bad",)),
            ("tune-silent", ("silent",)),
        )
    )
    job = finished(cloud, some)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 1, "Pending": 0, "Failed": 2}
    failed = children(cloud, some)[0]
    assert failed["TrainingJobStatus"] == "Failed"
    assert failed["FailureReason"].startswith("AlgorithmError")
    assert finished(cloud, none)["FailureReason"] == (
        "No training job succeeded after 1 attempts. Please take a look at the training job failures to get more "
        "details."
    )
    assert finished(cloud, silent)["FailureReason"].startswith("No objective metrics found after running 1 training")


@pytest.mark.executes("CreateHyperParameterTuningJob")
def test_reset(start_cloud: StartCloud) -> None:
    """After a reset a tuning job launches nothing more and its name is free."""
    cloud = start_cloud()
    tune(cloud, "tune-reset", "import time\ntime.sleep(600)\n")
    pid = cloud.pid(until(lambda: children(cloud, "tune-reset"), "a training job")[0]["TrainingJobName"])
    with urllib.request.urlopen(f"{cloud.endpoint}/moto-api/reset", data=b"") as answer:  # noqa: S310 - loopback
        assert answer.status == HTTPStatus.OK
    until(lambda: not is_alive(pid), "the end of the training job")
    until(lambda: all(job["ended"] for job in cloud.status()["jobs"]), "the end of all jobs")
    assert cloud.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []
    assert cloud.client("sagemaker").list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"] == []


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"Strategy": "Hyperband"}, "Hyperband"),
    ({"Strategy": "Grid"}, "Grid strategy supports categorical parameters only"),
    (
        {"Strategy": "Grid", "ParameterRanges": choices("1", "2")},
        "must be the number of distinct categorical combinations, 2; it is 3",
    ),
    ({"ParameterRanges": {}}, "At least one hyperparameter range"),
    ({"ParameterRanges": {"AutoParameters": [{"Name": "rate", "ValueHint": "1"}]}}, "AutoParameters"),
    ({"ParameterRanges": choices("1", name="sagemaker_program")}, "both ParameterRanges and StaticHyperParameters"),
    (
        {"ParameterRanges": {"IntegerParameterRanges": [{"Name": "rate", "MinValue": "2", "MaxValue": "1"}]}},
        "must not be greater than its MaxValue",
    ),
    (
        {
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {"Name": "rate", "MinValue": "0", "MaxValue": "1", "ScalingType": "Logarithmic"}
                ]
            }
        },
        "needs values greater than 0",
    ),
    (
        {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "unknown"}},
        "A metric is required for this hyperparameter tuning job objective",
    ),
    (
        {"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}},
        "ConvergenceDetected",
    ),
]


@pytest.mark.refuses("CreateHyperParameterTuningJob")
@pytest.mark.parametrize(("config", "message"), REFUSED, ids=lambda value: value[:20] if isinstance(value, str) else "")
def test_refused_configurations(cloud: LocalCloud, config: dict[str, Any], message: str) -> None:
    """A configuration that AWS refuses, or that cannot run here, is refused when the job is created."""
    with pytest.raises(ClientError, match=message) as refused:
        tune(cloud, "tune-refused", **config)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.refuses("CreateHyperParameterTuningJob", "StopHyperParameterTuningJob")
def test_refused_requests(cloud: LocalCloud) -> None:
    """Warm starts, several definitions and what no training job may ask for are refused; so are taken names."""
    client = cloud.client("sagemaker")
    request = tuning_request(cloud, "tune-request")
    parent = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "a"}],
        "WarmStartType": "TransferLearning",
    }
    with pytest.raises(ClientError, match="WarmStartConfig"):
        client.create_hyper_parameter_tuning_job(**request, WarmStartConfig=parent)
    with pytest.raises(ClientError, match="TrainingJobDefinitions"):
        client.create_hyper_parameter_tuning_job(**request, TrainingJobDefinitions=[request["TrainingJobDefinition"]])
    missing = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{cloud.bucket}/nothing/here"}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": missing}}
    with pytest.raises(ClientError, match="No S3 objects found under S3 URL"):
        client.create_hyper_parameter_tuning_job(
            **{**request, "TrainingJobDefinition": {**request["TrainingJobDefinition"], "InputDataConfig": [channel]}}
        )
    client.create_hyper_parameter_tuning_job(**request)
    with pytest.raises(client.exceptions.ResourceInUse, match="tuning job with the name, tune-request, already exists"):
        client.create_hyper_parameter_tuning_job(**request)
    finished(cloud, "tune-request")
    with pytest.raises(ClientError, match="is in status Completed"):
        client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="tune-request")
    with pytest.raises(client.exceptions.ResourceNotFound, match="can't find a tuning job called nobody"):
        client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="nobody")
