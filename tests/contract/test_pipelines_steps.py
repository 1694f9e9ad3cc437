"""How the steps of a pipeline are limited, repeated, reused and ended."""

import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.local_cloud import LocalCloud, until
from tests.contract.pipeline_steps import (
    definition,
    finished,
    get,
    job_of,
    processing_step,
    start,
    steps_of,
    training_step,
)


@pytest.mark.executes("StartPipelineExecution")
def test_a_fail_step_ends_everything(cloud: LocalCloud) -> None:
    """A Fail step stops the steps that run beside it."""
    waits = training_step(cloud, "Waits", "import time\ntime.sleep(600)\n")
    always = {"Type": "Not", "Expression": {"Type": "In", "QueryValue": 1, "Values": [2, 3]}}
    fail = {"Name": "End", "Type": "Fail", "Arguments": {"ErrorMessage": "enough"}}
    decide = {"Name": "Decide", "Type": "Condition", "Arguments": {"Conditions": [always], "IfSteps": [fail]}}
    arn = start(cloud, "Ends", definition(waits, decide))
    assert finished(cloud, arn)["PipelineExecutionStatus"] == "Failed"
    steps = steps_of(cloud, arn)
    assert (steps["Waits"]["StepStatus"], steps["End"]["FailureReason"]) == ("Stopped", "enough")


@pytest.mark.executes("StartPipelineExecution")
def test_parallel_steps(cloud: LocalCloud) -> None:
    """No more steps run at once than the execution allows."""
    content = definition(*(training_step(cloud, f"Step{number}", "pass") for number in range(3)))
    arn = start(cloud, "Parallel", content, ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    assert finished(cloud, arn)["PipelineExecutionStatus"] == "Succeeded"
    steps = list(steps_of(cloud, arn).values())
    assert all(before["EndTime"] <= after["StartTime"] for before, after in itertools.pairwise(steps))


@pytest.mark.executes("StartPipelineExecution")
def test_tuning_step(cloud: LocalCloud) -> None:
    """A Tuning step's best training job can be referred to."""
    training = training_step(cloud, "unused", 'import sys\nprint("loss=" + sys.argv[2] + ";")\n')["Arguments"]
    training["StaticHyperParameters"] = training.pop("HyperParameters")
    training["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=(.*?);"}]
    tune = {
        "Name": "Search",
        "Type": "Tuning",
        "Arguments": {
            "HyperParameterTuningJobConfig": {
                "Strategy": "Grid",
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
                "ResourceLimits": {"MaxParallelTrainingJobs": 2},
                "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["0.2", "0.1"]}]},
            },
            "TrainingJobDefinition": training,
        },
    }
    best = get("Steps.Search.TrainingJobSummaries[0].TunedHyperParameters.rate")
    script = "import sys\nprint(sys.argv[1:])\n"
    use = training_step(cloud, "Use", script, Arguments={"HyperParameters": {"rate": best}})
    arn = start(cloud, "Tunes", definition(use, tune))
    assert finished(cloud, arn)["PipelineExecutionStatus"] == "Succeeded"
    steps = steps_of(cloud, arn)
    assert len(job_of(steps["Search"])) <= 32
    assert cloud.log("Training", job_of(steps["Use"])) == ["['--rate', '0.1']"]


@pytest.mark.executes("RetryPipelineExecution")
def test_retry_of_an_execution(cloud: LocalCloud) -> None:
    """A retry keeps the steps that have succeeded and runs the others again; what has succeeded is not retried."""
    client = cloud.client("sagemaker")
    needs = f"s3://{cloud.bucket}/pipelines/late/"
    source = {"S3DataType": "S3Prefix", "S3Uri": needs}
    given = {
        "HyperParameters": {"from": get("Steps.First.TrainingJobName")},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
    }
    first = training_step(cloud, "First", "pass")
    decide = {
        "Name": "Decide",
        "Type": "Condition",
        "DependsOn": ["First"],
        "Arguments": {
            "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}],
            "IfSteps": [training_step(cloud, "Second", "import sys\nprint(sys.argv[2])\n", Arguments=given)],
        },
    }
    arn = start(cloud, "Retried", definition(first, decide))
    assert finished(cloud, arn)["PipelineExecutionStatus"] == "Failed"
    before = steps_of(cloud, arn)
    assert "No S3 objects found" in before["Second"]["FailureReason"]
    cloud.put("pipelines/late/rows.csv", "1")
    assert client.retry_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionArn"] == arn
    execution = finished(cloud, arn)
    assert (execution["PipelineExecutionStatus"], execution.get("FailureReason")) == ("Succeeded", None)
    after = steps_of(cloud, arn)
    assert (after["First"], after["Decide"]) == (before["First"], before["Decide"])
    assert cloud.log("Training", job_of(after["Second"])) == [job_of(before["First"])]
    with pytest.raises(ClientError, match="Only pipelines with 'Failed' or 'Stopped' status can be retried"):
        client.retry_pipeline_execution(PipelineExecutionArn=arn)


@pytest.mark.executes("StartPipelineExecution", "ListPipelineExecutionSteps")
def test_caching(cloud: LocalCloud) -> None:
    """A cached step is not run again with the same arguments; what refers to it gets the earlier job's results."""
    caching = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}
    depth = {"HyperParameters": {"depth": get("Parameters.Depth")}}
    first = training_step(cloud, "First", "print('trained')\n", Arguments=depth, **caching)
    given = {"HyperParameters": {"from": get("Steps.First.TrainingJobName")}}
    second = training_step(cloud, "Second", "import sys\nprint(sys.argv[2])\n", Arguments=given)
    content = definition(first, second, Parameters=[{"Name": "Depth", "Type": "Integer", "DefaultValue": 3}])
    source = start(cloud, "Cached", content)
    finished(cloud, source)

    def again(depth: str) -> dict[str, dict[str, Any]]:
        parameters = [{"Name": "Depth", "Value": depth}]
        arn = cloud.client("sagemaker").start_pipeline_execution(PipelineName="Cached", PipelineParameters=parameters)[
            "PipelineExecutionArn"
        ]
        assert finished(cloud, arn)["PipelineExecutionStatus"] == "Succeeded"
        return steps_of(cloud, arn)

    trained = job_of(steps_of(cloud, source)["First"])
    same, other = again("3"), again("4")
    assert same["First"]["CacheHitResult"] == {"SourcePipelineExecutionArn": source}
    assert job_of(same["First"]) == trained
    assert cloud.log("Training", job_of(same["Second"])) == [trained]
    assert "CacheHitResult" not in other["First"]
    assert cloud.log("Training", job_of(other["First"])) == ["trained"]


@pytest.mark.executes("StartPipelineExecution")
def test_retries(cloud: LocalCloud) -> None:
    """A limit is met again when a retry policy says so; without one the step fails and tells that."""
    policy = {
        "ExceptionType": ["SageMaker.RESOURCE_LIMIT"],
        "IntervalSeconds": 1,
        "BackoffRate": 1.0,
        "MaxAttempts": 60,
    }
    with cloud.conditions(quotas={"processing": {"ml.m5.large": 0}}):
        limited = start(cloud, "Limited", definition(processing_step(cloud, "Limited", "pass")))
        assert finished(cloud, limited)["PipelineExecutionStatus"] == "Failed"
        reason = steps_of(cloud, limited)["Limited"]["FailureReason"]
        assert reason.startswith("ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: The acc")
        assert reason.endswith("No retry policy configured for the exception type SAGEMAKER_RESOURCE_LIMIT.")
        content = definition(processing_step(cloud, "Patient", "pass", RetryPolicies=[policy]))
        patient = start(cloud, "Patient", content)
        until(lambda: steps_of(cloud, patient).get("Patient"), "the first attempt")
    assert finished(cloud, patient)["PipelineExecutionStatus"] == "Succeeded"
    assert steps_of(cloud, patient)["Patient"]["AttemptCount"] >= 2
