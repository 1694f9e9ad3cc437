"""What survives a SIGKILL of the server: everything that a client was told, as it was told."""

import itertools
import json
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud, is_alive, until

TRAINS = "open('/opt/ml/model/weights', 'w').write('1'); print('loss=0.5')"
WAITS = "import time; print('waiting'); time.sleep(600)"
_STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [_STATEMENT]})
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
RULE = {"Rules": [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "x"}, "Expiration": {"Days": 3}}]}


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without what differs from request to request."""
    return {field: value for field, value in answer.items() if field != "ResponseMetadata"}


def written(cloud: LocalCloud) -> int:
    """Return how many bytes the server has written to its state."""
    return int(cloud.status()["state"]["bytes_written"])


def restarted(cloud: LocalCloud, start_cloud: StartCloud, *options: str) -> LocalCloud:
    """Kill a server and start another one on the same root."""
    cloud.end(signal.SIGKILL)
    return start_cloud(*options)


def refused(root: Path) -> str:
    """Try to start a server, which is refused; return why."""
    command = [sys.executable, "-m", "localcloud.cli", "up", "--root", str(root), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    return ended.stderr


def reset(cloud: LocalCloud) -> None:
    """Reset a cloud."""
    request = urllib.request.Request(f"{cloud.endpoint}/moto-api/reset", method="POST")  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        answer.read()


def fill(cloud: LocalCloud) -> None:
    """Put something into every service that the tests look at."""
    fill_buckets_and_queues(cloud)
    fill_secrets_and_logs(cloud)
    fill_others(cloud)


def fill_buckets_and_queues(cloud: LocalCloud) -> None:
    """Make objects with versions, tags and metadata, notifications, uploads and messages."""
    s3, sqs = cloud.client("s3"), cloud.client("sqs")
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_lifecycle_configuration(Bucket="versioned", LifecycleConfiguration=RULE)
    s3.put_bucket_tagging(Bucket="versioned", Tagging={"TagSet": [{"Key": "team", "Value": "x"}]})
    queue = sqs.create_queue(QueueName="told", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    target = {"QueueArn": "arn:aws:sqs:us-east-1:123456789012:told", "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="versioned", NotificationConfiguration={"QueueConfigurations": [target]}
    )
    for number in range(3):
        key = {"Bucket": "versioned", "Key": "folder/a b+ü"}
        s3.put_object(**key, Body=b"x" * number, Metadata={"n": str(number)}, Tagging="k=v", ContentType="a/b")
    s3.put_object_tagging(**key, Tagging={"TagSet": [{"Key": "k", "Value": "changed"}]})
    s3.put_object(Bucket="versioned", Key="deleted", Body=b"1")
    s3.delete_object(Bucket="versioned", Key="deleted")
    for name in ("one", "two", "three"):
        cloud.put(f"many/{name}", name)
    s3.delete_objects(Bucket=cloud.bucket, Delete={"Objects": [{"Key": "many/one"}, {"Key": "many/two"}]})
    s3.copy_object(Bucket=cloud.bucket, Key="copy", CopySource=f"{cloud.bucket}/many/three")
    upload = s3.create_multipart_upload(Bucket=cloud.bucket, Key="parts")["UploadId"]
    part = {"Bucket": cloud.bucket, "Key": "parts", "UploadId": upload, "PartNumber": 1}
    tag = s3.upload_part(**part, Body=b"p" * 6_000_000)["ETag"]
    done = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    s3.complete_multipart_upload(Bucket=cloud.bucket, Key="parts", UploadId=upload, MultipartUpload=done)
    unfinished = s3.create_multipart_upload(Bucket=cloud.bucket, Key="unfinished")["UploadId"]
    s3.upload_part(Bucket=cloud.bucket, Key="unfinished", UploadId=unfinished, PartNumber=1, Body=b"begun")
    sqs.send_message(
        QueueUrl=queue, MessageBody="sent", MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}}
    )
    fifo = sqs.create_queue(QueueName="order.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    for number in range(5):
        sqs.send_message(QueueUrl=fifo, MessageBody=str(number), MessageGroupId="g", MessageDeduplicationId=str(number))
    (first,) = sqs.receive_message(QueueUrl=fifo)["Messages"]
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"])


def fill_secrets_and_logs(cloud: LocalCloud) -> None:
    """Make secrets with versions, roles, logs and metrics."""
    secrets = cloud.client("secretsmanager")
    secrets.create_secret(Name="key", SecretString="one", Tags=[{"Key": "a", "Value": "b"}])
    secrets.put_secret_value(SecretId="key", SecretString="two")
    iam = cloud.client("iam")
    iam.create_role(RoleName="jobs", AssumeRolePolicyDocument=TRUST)
    policy = iam.create_policy(PolicyName="own", PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="jobs", PolicyArn=policy)
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="/own", tags={"a": "b"})
    for stream in ("first", "second"):
        logs.create_log_stream(logGroupName="/own", logStreamName=stream)
        for number in range(3):
            events = [{"timestamp": 1_700_000_000_000 + number, "message": f"{stream} {number}"}]
            logs.put_log_events(logGroupName="/own", logStreamName=stream, logEvents=events)
    metrics = cloud.client("cloudwatch")
    for value in (1.0, 2.0):
        metrics.put_metric_data(
            Namespace="own", MetricData=[{"MetricName": "m", "Value": value, "Timestamp": 1_700_000_000}]
        )
    metrics.put_metric_alarm(
        AlarmName="alarm", EvaluationPeriods=1, ComparisonOperator="LessThanThreshold", MetricName="m", Namespace="own",
        Period=60, Statistic="Sum", Threshold=1,
    )  # fmt: skip


def fill_others(cloud: LocalCloud) -> None:
    """Make one thing in each of the other services."""
    queue_arn = "arn:aws:sqs:us-east-1:123456789012:told"
    events = cloud.client("events")
    events.put_rule(Name="rule", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    events.put_targets(Rule="rule", Targets=[{"Id": "q", "Arn": queue_arn}])
    cloud.client("ssm").put_parameter(Name="/p", Value="v", Type="String")
    cloud.client("ecr").create_repository(repositoryName="images")
    topic = cloud.client("sns").create_topic(Name="topic")["TopicArn"]
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    table = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST"}
    cloud.client("dynamodb").create_table(
        TableName="t", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], **table
    )
    cloud.client("dynamodb").put_item(TableName="t", Item={"id": {"S": "1"}})
    cloud.client("kms").create_key(Description="k")


def seen(cloud: LocalCloud) -> dict[str, Any]:
    """Return what a client is told about everything that `fill` has made."""
    s3, sqs, logs = cloud.client("s3"), cloud.client("sqs"), cloud.client("logs")
    metrics, events, iam = cloud.client("cloudwatch"), cloud.client("events"), cloud.client("iam")
    secrets, dynamo = cloud.client("secretsmanager"), cloud.client("dynamodb")
    versions = s3.list_object_versions(Bucket="versioned")
    answers: dict[str, Any] = {
        "buckets": s3.list_buckets()["Buckets"],
        "versioning": s3.get_bucket_versioning(Bucket="versioned"),
        "lifecycle": s3.get_bucket_lifecycle_configuration(Bucket="versioned"),
        "bucket tags": s3.get_bucket_tagging(Bucket="versioned"),
        "notification": s3.get_bucket_notification_configuration(Bucket="versioned"),
        "versions": versions,
        "objects": s3.list_objects_v2(Bucket=cloud.bucket)["Contents"],
        "uploads": s3.list_multipart_uploads(Bucket=cloud.bucket)["Uploads"],
        "queues": sorted(sqs.list_queues()["QueueUrls"]),
        "secrets": secrets.list_secrets()["SecretList"],
        # moto tells the time of the question as the time of creation
        "secret versions": [
            {field: version[field] for field in ("VersionId", "VersionStages")}
            for version in secrets.list_secret_version_ids(SecretId="key", IncludeDeprecated=True)["Versions"]
        ],
        "role": iam.get_role(RoleName="jobs"),
        "role's policies": iam.list_attached_role_policies(RoleName="jobs"),
        "policies": iam.list_policies(Scope="Local"),
        "groups": logs.describe_log_groups()["logGroups"],
        "streams": logs.describe_log_streams(logGroupName="/own"),
        "metrics": metrics.list_metrics(Namespace="own")["Metrics"],
        "statistics": metrics.get_metric_statistics(
            Namespace="own", MetricName="m", StartTime=1_699_999_000, EndTime=1_700_001_000, Period=3600,
            Statistics=["Sum", "SampleCount"],
        ),
        "alarm": metrics.describe_alarms(AlarmNames=["alarm"]),
        "rule": events.describe_rule(Name="rule"),
        "targets": events.list_targets_by_rule(Rule="rule"),
        "parameter": cloud.client("ssm").get_parameter(Name="/p"),
        "repositories": cloud.client("ecr").describe_repositories()["repositories"],
        "subscriptions": cloud.client("sns").list_subscriptions()["Subscriptions"],
        "table": dynamo.describe_table(TableName="t"),
        "items": dynamo.scan(TableName="t")["Items"],
        "keys": cloud.client("kms").list_keys()["Keys"],
    }  # fmt: skip
    for version in versions["Versions"]:
        which = {"Bucket": "versioned", "Key": version["Key"], "VersionId": version["VersionId"]}
        answer = s3.get_object(**which)
        answers[f"object {version['VersionId']}"] = {
            "body": answer.pop("Body").read(),
            "tags": s3.get_object_tagging(**which)["TagSet"],
            **without_metadata(answer),
        }
    for stream in ("first", "second"):
        found = logs.get_log_events(logGroupName="/own", logStreamName=stream, startFromHead=True)
        answers[f"events {stream}"] = found["events"]
    for queue in answers["queues"]:
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        answers[f"queue {queue.rpartition('/')[2]}"] = attributes
    answers["queues"] = [queue.rpartition("/")[2] for queue in answers["queues"]]
    return {name: without_metadata(answer) if isinstance(answer, dict) else answer for name, answer in answers.items()}


def test_services(start_cloud: StartCloud) -> None:
    """What a client is told of every service is the same before a kill, after it, and after a second one."""
    cloud = start_cloud()
    fill(cloud)
    before = seen(cloud)
    cloud = restarted(cloud, start_cloud)
    assert before == seen(cloud)
    # and it can be gone on with
    cloud.client("s3").put_object(Bucket="versioned", Key="later", Body=b"later")
    events = [{"timestamp": 1_700_000_000_009, "message": "later"}]
    cloud.client("logs").put_log_events(logGroupName="/own", logStreamName="first", logEvents=events)
    cloud.client("iam").detach_role_policy(RoleName="jobs", PolicyArn=before["policies"]["Policies"][0]["Arn"])
    before = seen(cloud)
    assert before["policies"]["Policies"][0]["AttachmentCount"] == 0
    cloud = restarted(cloud, start_cloud)
    assert before == seen(cloud)
    assert cloud.status()["state"]["not_kept"].keys() == {"batch"}


@pytest.mark.verify
def test_messages(start_cloud: StartCloud) -> None:
    """Messages survive with their bodies, attributes and order; a handle that was given deletes after a restart."""
    cloud = start_cloud()
    fill(cloud)
    held = cloud.client("sqs").create_queue(QueueName="held")["QueueUrl"]
    cloud.client("sqs").send_message(QueueUrl=held, MessageBody="in flight")
    (in_flight,) = cloud.client("sqs").receive_message(QueueUrl=held)["Messages"]
    sqs = restarted(cloud, start_cloud).client("sqs")

    def received(name: str) -> list[dict[str, Any]]:
        url, found = sqs.get_queue_url(QueueName=name)["QueueUrl"], []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages"
        ):
            found += messages
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    assert [message["Body"] for message in received("order.fifo")] == ["1", "2", "3", "4"]
    bodies = [message["Body"] for message in received("told")]
    assert len([body for body in bodies if "ObjectCreated" in body]) == 4
    assert bodies[-1] == "sent"
    held = sqs.get_queue_url(QueueName="held")["QueueUrl"]
    assert received("held") == []
    sqs.delete_message(QueueUrl=held, ReceiptHandle=in_flight["ReceiptHandle"])
    attributes = sqs.get_queue_attributes(QueueUrl=held, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
    assert attributes["Attributes"] == {"ApproximateNumberOfMessagesNotVisible": "0"}


@pytest.mark.executes("CreateTrainingJob")
def test_sagemaker(start_cloud: StartCloud) -> None:
    """Finished jobs, models, packages and configurations are as before; what ran is Failed and says why."""
    cloud = start_cloud()
    sagemaker = cloud.client("sagemaker")
    metrics = {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}]}
    cloud.train("done", TRAINS, AlgorithmSpecification=metrics, Tags=[{"Key": "a", "Value": "b"}])
    artifact = cloud.finished("Training", "done")["ModelArtifacts"]["S3ModelArtifacts"]
    sagemaker.add_tags(
        ResourceArn=cloud.describe("Training", "done")["TrainingJobArn"], Tags=[{"Key": "c", "Value": "d"}]
    )
    cloud.process_data("processed", "print('hello')")
    cloud.finished("Processing", "processed")
    container = {"Image": XGBOOST_IMAGE, "ModelDataUrl": artifact}
    sagemaker.create_model(ModelName="model", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "all", "ModelName": "model", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="config", ProductionVariants=[variant])
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
    package = sagemaker.create_model_package(
        ModelPackageGroupName="group", InferenceSpecification={"Containers": [container], **types}
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    cloud.train("running", WAITS)
    cloud.said("Training", "running", "waiting")
    pid = cloud.pid("running")

    def described(cloud: LocalCloud) -> dict[str, Any]:
        client = cloud.client("sagemaker")
        answers = {
            "training": cloud.describe("Training", "done"),
            "tags": client.list_tags(ResourceArn=cloud.describe("Training", "done")["TrainingJobArn"]),
            "processing": cloud.describe("Processing", "processed"),
            "model": client.describe_model(ModelName="model"),
            "config": client.describe_endpoint_config(EndpointConfigName="config"),
            "group": client.describe_model_package_group(ModelPackageGroupName="group"),
            "package": client.describe_model_package(ModelPackageName=package),
            "list": client.list_training_jobs(NameContains="done"),
        }
        shown: dict[str, Any] = {name: without_metadata(answer) for name, answer in answers.items()}
        return {**shown, "log": cloud.log("Training", "done"), "artifact": cloud.get("models/done/output/model.tar.gz")}

    before = described(cloud)
    cloud = restarted(cloud, start_cloud)
    assert before == described(cloud)
    interrupted = cloud.describe("Training", "running")
    assert interrupted["TrainingJobStatus"] == "Failed"
    assert "the local cloud was stopped while the job was InProgress" in interrupted["FailureReason"]
    until(lambda: not is_alive(pid), "the end of the job's process")
    # the names are taken, and new ones work
    with pytest.raises(cloud.client("sagemaker").exceptions.ResourceInUse):
        cloud.train("running", TRAINS)
    cloud.train("after", TRAINS)
    assert cloud.finished("Training", "after")["TrainingJobStatus"] == "Completed"
    cloud = restarted(cloud, start_cloud)
    assert without_metadata(interrupted) == without_metadata(cloud.describe("Training", "running"))
    assert cloud.describe("Training", "after")["TrainingJobStatus"] == "Completed"


def test_last_words(start_cloud: StartCloud) -> None:
    """A job that ends while nobody asks is kept as it ended."""
    cloud = start_cloud()
    cloud.train("quiet", TRAINS)
    database = sqlite3.connect(f"file:{cloud.root}/state/parts.db?mode=ro", uri=True)
    kept = 'SELECT data FROM parts WHERE path = \'["training_jobs", "quiet"]\''
    until(lambda: b"Completed" in (database.execute(kept).fetchone() or (b"",))[0], "the job's end in the state")
    database.close()
    found = restarted(cloud, start_cloud).describe("Training", "quiet")
    assert found["TrainingJobStatus"] == "Completed"


@pytest.mark.verify
def test_reads_cost_nothing(start_cloud: StartCloud) -> None:
    """Reading, if a thousand times, adds no byte."""
    cloud = start_cloud()
    fill(cloud)
    cloud.train("done", TRAINS)
    cloud.finished("Training", "done")
    before = written(cloud)
    seen(cloud)
    for _ in range(250):
        cloud.describe("Training", "done")
        cloud.get("copy")
        cloud.client("secretsmanager").get_secret_value(SecretId="key")
        cloud.client("logs").describe_log_groups()
    assert before == written(cloud)


@pytest.mark.parametrize("others", [100, pytest.param(2000, marks=pytest.mark.verify)])
def test_cost_of_a_write(start_cloud: StartCloud, others: int) -> None:
    """An object, a message and a line of a log cost the same among many others as among few."""
    cloud = start_cloud()
    sqs, logs = cloud.client("sqs"), cloud.client("logs")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")

    def cost(name: str) -> list[int]:
        counts = [written(cloud)]
        cloud.put(f"objects/{name}", b"1" * 1000)
        counts.append(written(cloud))
        sqs.send_message(QueueUrl=queue, MessageBody=name)
        counts.append(written(cloud))
        events = [{"timestamp": 1_700_000_000_000, "message": name}]
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)
        counts.append(written(cloud))
        return [after - before for before, after in itertools.pairwise(counts)]

    cost("0000")
    before = cost("0001")
    for number in range(others):
        cloud.put(f"objects/other-{number}", b"1" * 1000)
    for start in range(0, others, 10):
        entries = [{"Id": str(number), "MessageBody": "m"} for number in range(start, start + 10)]
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    many = [{"timestamp": 1_700_000_000_000 + number, "message": "m"} for number in range(others)]
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=many)
    after = cost("0002")
    assert [few == pytest.approx(among_many, abs=40) for few, among_many in zip(before, after, strict=True)] == [
        True
    ] * 3
    assert before[0] < 3000


def test_reset(start_cloud: StartCloud) -> None:
    """A reset clears what is kept; the next server begins empty."""
    cloud = start_cloud()
    fill(cloud)
    reset(cloud)
    assert list((cloud.root / "state" / "objects").iterdir()) == []
    cloud.client("s3").create_bucket(Bucket="after")
    cloud = restarted(cloud, start_cloud)
    assert {bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]} == {"after", cloud.bucket}
    assert cloud.client("secretsmanager").list_secrets()["SecretList"] == []
    assert "QueueUrls" not in cloud.client("sqs").list_queues()


def test_seed_over_state(start_cloud: StartCloud, tmp_path: Path) -> None:
    """A seed creates what is missing and leaves what is there: a secret that was changed keeps its value."""
    seed = tmp_path / "seed.yaml"
    seed.write_text("buckets: [feed]\nsecrets: {key: first, other: o}\nroles: [jobs]\n", encoding="utf-8")
    cloud = start_cloud("--seed", str(seed))
    secrets = cloud.client("secretsmanager")
    secrets.put_secret_value(SecretId="key", SecretString="changed")
    secrets.delete_secret(SecretId="other")
    cloud.client("s3").put_object(Bucket="feed", Key="kept", Body=b"kept")
    seed.write_text("buckets: [feed, new]\nsecrets: {key: first, other: o}\nroles: [jobs, more]\n", encoding="utf-8")
    cloud = restarted(cloud, start_cloud, "--seed", str(seed))
    assert cloud.client("secretsmanager").get_secret_value(SecretId="key")["SecretString"] == "changed"
    assert "DeletedDate" in cloud.client("secretsmanager").describe_secret(SecretId="other")
    assert [item["Key"] for item in cloud.client("s3").list_objects_v2(Bucket="feed")["Contents"]] == ["kept"]
    assert {"feed", "new"} <= {bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]}
    assert {"jobs", "more"} == {role["RoleName"] for role in cloud.client("iam").list_roles()["Roles"]}


@pytest.mark.verify
def test_other_version(start_cloud: StartCloud) -> None:
    """State of another version is refused with a remedy and stays; only its user may write it, as it runs code."""
    cloud = start_cloud()
    cloud.put("kept", "kept")
    assert (cloud.root / "state").stat().st_mode & 0o777 == 0o700
    cloud.end()
    database = sqlite3.connect(cloud.root / "state" / "parts.db")
    database.execute("UPDATE versions SET version = '0.0.1' WHERE program = 'moto'")
    database.commit()
    assert re.search(r"was written by localcloud .* moto 0\.0\.1 python .* choose another --root", refused(cloud.root))
    database.execute("UPDATE versions SET version = '5.2.5' WHERE program = 'moto'")
    database.commit()
    database.close()
    assert start_cloud().get("kept") == b"kept"


@pytest.mark.verify
def test_damaged_state(start_cloud: StartCloud) -> None:
    """State that cannot be read is refused; nothing begins half-filled."""
    cloud = start_cloud()
    cloud.end()
    database = sqlite3.connect(cloud.root / "state" / "parts.db")
    database.execute("UPDATE parts SET data = x'00'")
    database.commit()
    database.close()
    assert "cannot be read" in refused(cloud.root)


@pytest.mark.verify
def test_not_kept(start_cloud: StartCloud) -> None:
    """What cannot be kept is said when it is used, on the status page and at the next start; the request works."""
    cloud = start_cloud()
    batch = cloud.client("batch")
    definition = {"type": "container", "containerProperties": {"image": "x", "vcpus": 1, "memory": 8, "command": ["x"]}}
    batch.register_job_definition(jobDefinitionName="job", **definition)
    said = "not kept for the next start: moto.batch"
    assert said in cloud.errors.read_text(encoding="utf-8")
    assert any("moto.batch" in place for place in cloud.status()["state"]["not_kept"])
    cloud = restarted(cloud, start_cloud)
    assert said in cloud.errors.read_text(encoding="utf-8")
