"""What SageMaker tells EventBridge of its jobs and endpoints, as an SQS queue behind a rule receives it."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.contract.inference import make_model
from tests.contract.local_cloud import XGBOOST_IMAGE, LocalCloud, archive, until
from tests.contract.test_tuning import tune

Listen = Callable[..., Callable[[], list[dict[str, Any]]]]
FINAL_STATUSES = ["Completed", "Failed", "Stopped"]


@pytest.fixture
def listen(cloud: LocalCloud) -> Iterator[Listen]:
    """Return a function that puts a rule for an event pattern; what that returns receives the events so far."""
    rules, queues = cloud.client("events"), cloud.client("sqs")
    made: list[tuple[str, str]] = []

    def put(name: str, pattern: Mapping[str, Any], state: str = "ENABLED") -> Callable[[], list[dict[str, Any]]]:
        address = queues.create_queue(QueueName=name)["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=address, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rules.put_rule(Name=name, EventPattern=json.dumps(pattern), State=state)
        rules.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        made.append((name, address))
        received: list[dict[str, Any]] = []

        def receive() -> list[dict[str, Any]]:
            while messages := queues.receive_message(QueueUrl=address, MaxNumberOfMessages=10).get("Messages"):
                for message in messages:
                    received.append(json.loads(message["Body"]))
                    queues.delete_message(QueueUrl=address, ReceiptHandle=message["ReceiptHandle"])
            return received

        return receive

    yield put
    for name, address in made:
        rules.remove_targets(Rule=name, Ids=["queue"])
        rules.delete_rule(Name=name)
        queues.delete_queue(QueueUrl=address)


def of_job(job: str, name: str, **detail: list[str]) -> dict[str, Any]:
    """Return the pattern of a rule for the events of one job."""
    return {
        "source": ["aws.sagemaker"],
        "detail-type": [f"SageMaker {job} Job State Change"],
        "detail": {f"{job.replace(' ', '')}JobName": [name], **detail},
    }


@pytest.mark.executes("CreateTrainingJob")
def test_events_of_a_training_job(cloud: LocalCloud, listen: Listen) -> None:
    """Each status and secondary status of a training job is told in order, with what Describe answers then."""
    received = listen("told", of_job("Training", "told"))
    cloud.train("told", "print(1)", Tags=[{"Key": "team", "Value": "forecast"}])
    job = cloud.finished("Training", "told")
    events = until(lambda: [event for event in received() if event["detail"]["TrainingJobStatus"] == "Completed"], "it")
    details = [event["detail"] for event in received()]
    assert [(detail["TrainingJobStatus"], detail["SecondaryStatus"]) for detail in details] == [
        ("InProgress", "Starting"),
        ("InProgress", "Downloading"),
        ("InProgress", "Training"),
        ("InProgress", "Uploading"),
        ("Completed", "Completed"),
    ]
    (event,) = events
    assert (event["source"], event["version"], event["account"]) == ("aws.sagemaker", "0", "123456789012")
    assert event["resources"] == [job["TrainingJobArn"]]
    assert event["time"].endswith("Z")
    detail = event["detail"]
    assert detail["TrainingJobArn"] == job["TrainingJobArn"]
    assert detail["HyperParameters"] == job["HyperParameters"]
    assert detail["ModelArtifacts"] == job["ModelArtifacts"]
    assert detail["ResourceConfig"] == job["ResourceConfig"]
    assert detail["CreationTime"] == int(job["CreationTime"].timestamp() * 1000)
    assert detail["Tags"] == {"team": "forecast"}
    ends = [item["EndTime"] for item in detail["SecondaryStatusTransitions"]]
    assert ends == sorted(ends)


@pytest.mark.executes("CreateTrainingJob")
def test_rule_for_a_status(cloud: LocalCloud, listen: Listen) -> None:
    """A rule on detail.TrainingJobStatus gets the one event it asks for; a disabled rule gets none."""
    final = listen("ends", of_job("Training", "breaks", TrainingJobStatus=FINAL_STATUSES))
    disabled = listen("disabled", of_job("Training", "breaks"), "DISABLED")
    cloud.train("breaks", "raise SystemExit('no data today')")
    job = cloud.finished("Training", "breaks")
    (event,) = until(final, "the event of the end")
    assert event["detail"]["TrainingJobStatus"] == "Failed"
    assert event["detail"]["FailureReason"] == job["FailureReason"]
    assert disabled() == []


@pytest.mark.executes("CreateProcessingJob", "StopProcessingJob")
def test_events_of_a_processing_job(cloud: LocalCloud, listen: Listen) -> None:
    """A stopped processing job is told InProgress, Stopping, Stopped."""
    received = listen("processed", of_job("Processing", "halted"))
    cloud.process_data("halted", "import time; print('waiting'); time.sleep(600)")
    cloud.said("Processing", "halted", "waiting")
    cloud.client("sagemaker").stop_processing_job(ProcessingJobName="halted")
    cloud.finished("Processing", "halted")
    until(lambda: len(received()) == 3, "three events")
    details = [event["detail"] for event in received()]
    assert [detail["ProcessingJobStatus"] for detail in details] == ["InProgress", "Stopping", "Stopped"]
    assert "ProcessingEndTime" not in details[0]
    assert details[2]["ProcessingEndTime"] >= details[2]["CreationTime"]


@pytest.mark.executes("CreateHyperParameterTuningJob")
def test_events_of_a_tuning_job(cloud: LocalCloud, listen: Listen) -> None:
    """A tuning job is told when it begins and when it ends, then with what became of its training jobs."""
    received = listen("tuned", of_job("HyperParameter Tuning", "told-tuning"))
    tune(cloud, "told-tuning", ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1})
    until(lambda: len(received()) == 2, "two events")
    begun, ended = (event["detail"] for event in received())
    assert begun["HyperParameterTuningJobStatus"] == "InProgress"
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["HyperParameterTuningJobConfig"]["Strategy"] == "Random"
    assert begun["TrainingJobStatusCounters"]["Completed"] == 0
    assert ended["TrainingJobStatusCounters"]["Completed"] == 1


@pytest.mark.executes("CreateEndpoint", "DeleteEndpoint")
def test_events_of_an_endpoint(cloud: LocalCloud, listen: Listen) -> None:
    """An endpoint's statuses are told in capitals; other endpoints' are not told to this rule."""
    pattern = {"detail-type": ["SageMaker Endpoint State Change"], "detail": {"EndpointName": ["told-endpoint"]}}
    received = listen("served", pattern)
    sagemaker = cloud.client("sagemaker")
    variant = {"VariantName": "only", "ModelName": make_model(cloud, "told-model"), "InitialInstanceCount": 1}
    variant["InstanceType"] = "ml.m5.large"
    sagemaker.create_endpoint_config(EndpointConfigName="told-config", ProductionVariants=[variant])
    sagemaker.create_endpoint(
        EndpointName="told-endpoint", EndpointConfigName="told-config", Tags=[{"Key": "team", "Value": "forecast"}]
    )
    (_, in_service) = until(lambda: received() if len(received()) == 2 else None, "two events")
    arn = sagemaker.describe_endpoint(EndpointName="told-endpoint")["EndpointArn"]
    sagemaker.delete_endpoint(EndpointName="told-endpoint")
    until(lambda: len(received()) == 3, "three events")
    statuses = [event["detail"]["EndpointStatus"] for event in received()]
    assert statuses == ["CREATING", "IN_SERVICE", "DELETING"]
    assert in_service["resources"] == [arn]
    assert in_service["detail"]["Tags"] == {"team": "forecast"}
    assert in_service["detail"]["ProductionVariants"][0]["VariantName"] == "only"


def test_events_of_a_model_package(cloud: LocalCloud, listen: Listen) -> None:
    """Creation and approval of a version are told; a rule for Approved gets the approval alone."""
    group: dict[str, Any] = {
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": ["told-group"]},
    }
    received = listen("packaged", group)
    approved = listen("approved", {**group, "detail": {**group["detail"], "ModelApprovalStatus": ["Approved"]}})
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="told-group")
    container = {"Image": XGBOOST_IMAGE, "ModelDataUrl": cloud.put("artifacts/told.tar.gz", archive({"a": "1"}))}
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="told-group",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    (event,) = until(approved, "the approval")
    assert event["resources"] == [arn]
    assert event["detail"]["ModelPackageVersion"] == 1
    statuses = [event["detail"]["ModelApprovalStatus"] for event in received()]
    assert statuses == ["PendingManualApproval", "Approved"]


@pytest.mark.executes("CreateTrainingJob")
def test_target_that_cannot_be_reached(cloud: LocalCloud) -> None:
    """A target that cannot be delivered to keeps no other target from its event, and no job from its end."""
    rules, queues = cloud.client("events"), cloud.client("sqs")
    address = queues.create_queue(QueueName="reached")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=address, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rules.put_rule(Name="both", EventPattern=json.dumps(of_job("Training", "goes-on", TrainingJobStatus=["Completed"])))
    targets = [{"Id": "other", "Arn": arn.replace(":sqs:", ":kinesis:")}, {"Id": "reached", "Arn": arn}]
    rules.put_targets(Rule="both", Targets=targets)
    cloud.train("goes-on", "print(1)")
    assert cloud.finished("Training", "goes-on")["TrainingJobStatus"] == "Completed"
    (message,) = until(lambda: queues.receive_message(QueueUrl=address).get("Messages"), "the event")
    assert json.loads(message["Body"])["detail"]["TrainingJobName"] == "goes-on"
    assert "kinesis" in cloud.errors.read_text(encoding="utf-8")
