"""What moto's server does for the other services is what the local cloud does: the same calls, the same answers.

A bare moto server is started beside the cloud and is asked the same. Compared is the structure of the answers and all
values but those that no two runs share: ids, times, hosts, digests of them.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from localcloud.clients import client_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contract.conftest import StartCloud

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
# what differs from run to run, by name
CHANGING = {
    "ResponseMetadata",
    "AccessKeyId",
    "AuthorizationToken",
    "CiphertextBlob",
    "CreateDate",
    "CreatedDate",
    "CodeSha256",
    "DeleteMarkerVersionId",
    "FunctionArn",
    "KeyId",
    "LastAccessedDate",
    "LastChangedDate",
    "LastModified",
    "LastModifiedDate",
    "MD5OfMessageAttributes",
    "MessageId",
    "PasswordLastUsed",
    "QueueUrl",
    "ReceiptHandle",
    "RevisionId",
    "RoleId",
    "SequenceNumber",
    "SubscriptionArn",
    "UserId",
    "VersionId",
    "arn",
    "createdAt",
    "creationTime",
    "eventId",
    "ingestionTime",
    "nextBackwardToken",
    "nextForwardToken",
    "nextSequenceToken",
    "proxyEndpoint",
    "repositoryUri",
    "uploadSequenceToken",
}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """Return the endpoint of a bare moto server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Both:
    """A conversation with one of the two; remembers what was answered."""

    def __init__(self, endpoint: str) -> None:
        self._values = client_environment(endpoint)
        self._clients: dict[str, Any] = {}
        self.answers: list[tuple[str, Any]] = []

    def __call__(self, service: str, operation: str, **request: Any) -> Any:
        """Call an operation; a refusal is an answer too."""
        if service not in self._clients:
            self._clients[service] = boto3.Session().client(
                service,  # type: ignore[call-overload]
                endpoint_url=self._values["AWS_ENDPOINT_URL"],
                region_name=self._values["AWS_REGION"],
                aws_access_key_id=self._values["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=self._values["AWS_SECRET_ACCESS_KEY"],
            )
        try:
            answer = getattr(self._clients[service], operation)(**request)
        except ClientError as error:
            answer = {
                "refused": error.response["Error"],
                "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
            }
        if hasattr(answer.get("Body"), "read"):
            answer["Body"] = answer["Body"].read()
        self.answers.append((f"{service} {operation}", steady(answer)))
        return answer


def steady(answer: Any) -> Any:
    """Return an answer without what changes from run to run; the place of a changing value stays."""
    if isinstance(answer, dict):
        return {key: "(changes)" if key in CHANGING else steady(value) for key, value in answer.items()} | (
            {"ResponseMetadata": answer["ResponseMetadata"]["HTTPStatusCode"]} if "ResponseMetadata" in answer else {}
        )
    if isinstance(answer, list):
        return [steady(each) for each in answer]
    return answer if isinstance(answer, str | int | float | bool | bytes | None) else type(answer).__name__


def s3(ask: Both) -> None:
    """Objects, versions, multipart uploads, conditions, tags."""
    ask("s3", "create_bucket", Bucket="both")
    ask("s3", "put_bucket_versioning", Bucket="both", VersioningConfiguration={"Status": "Enabled"})
    ask("s3", "put_object", Bucket="both", Key="a/ü b+c.txt", Body=b"one", Metadata={"who": "me"}, Tagging="k=v")
    ask("s3", "put_object", Bucket="both", Key="a/ü b+c.txt", Body=b"two")
    ask("s3", "put_object", Bucket="both", Key="a/ü b+c.txt", Body=b"three", IfNoneMatch="*")
    ask("s3", "get_object", Bucket="both", Key="a/ü b+c.txt", Range="bytes=1-")
    ask("s3", "list_object_versions", Bucket="both")
    ask("s3", "list_objects_v2", Bucket="both", Prefix="a/", Delimiter="/")
    upload = ask("s3", "create_multipart_upload", Bucket="both", Key="large")["UploadId"]
    ask.answers.pop()
    part = ask("s3", "upload_part", Bucket="both", Key="large", UploadId=upload, PartNumber=1, Body=b"x" * 100)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    ask("s3", "complete_multipart_upload", Bucket="both", Key="large", UploadId=upload, MultipartUpload=parts)
    ask.answers.pop()
    ask("s3", "head_object", Bucket="both", Key="large")
    ask("s3", "get_object", Bucket="both", Key="nothing")
    ask("s3", "delete_objects", Bucket="both", Delete={"Objects": [{"Key": "large"}]})


def messages(ask: Both) -> None:
    """SQS, SNS to SQS, EventBridge to SQS."""
    url = ask("sqs", "create_queue", QueueName="both")["QueueUrl"]
    ask("sqs", "send_message", QueueUrl=url, MessageBody="hello")
    received = ask("sqs", "receive_message", QueueUrl=url)["Messages"][0]
    ask("sqs", "delete_message", QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
    queue = "arn:aws:sqs:us-east-1:123456789012:both"
    topic = ask("sns", "create_topic", Name="both")["TopicArn"]
    ask("sns", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    ask("sns", "publish", TopicArn=topic, Message="news")
    ask("sqs", "receive_message", QueueUrl=url)
    ask("events", "put_rule", Name="both", EventPattern='{"source": ["mine"]}')
    ask("events", "put_targets", Rule="both", Targets=[{"Id": "1", "Arn": queue}])
    ask("events", "put_events", Entries=[{"Source": "mine", "DetailType": "t", "Detail": '{"n": 1}'}])
    ask.answers.pop()
    event = ask("sqs", "receive_message", QueueUrl=url)["Messages"][0]["Body"]
    ask.answers[-1] = ("event", json.loads(event)["detail"])
    ask("sqs", "get_queue_url", QueueName="nobody")


def tables(ask: Both) -> None:
    """DynamoDB."""
    key = [{"AttributeName": "id", "KeyType": "HASH"}]
    kinds = [{"AttributeName": "id", "AttributeType": "S"}]
    request = {"KeySchema": key, "AttributeDefinitions": kinds, "BillingMode": "PAY_PER_REQUEST"}
    ask("dynamodb", "create_table", TableName="both", **request)
    ask.answers.pop()
    item = {"id": {"S": "a"}, "n": {"N": "1"}, "l": {"L": [{"S": "x"}, {"NULL": True}]}}
    ask("dynamodb", "put_item", TableName="both", Item=item)
    ask(
        "dynamodb",
        "update_item",
        TableName="both",
        Key={"id": {"S": "a"}},
        UpdateExpression="SET n = n + :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )
    ask("dynamodb", "put_item", TableName="both", Item=item, ConditionExpression="attribute_not_exists(id)")
    ask(
        "dynamodb",
        "query",
        TableName="both",
        KeyConditionExpression="id = :i",
        ExpressionAttributeValues={":i": {"S": "a"}},
    )
    ask("dynamodb", "scan", TableName="both", Select="COUNT")


def secrets(ask: Both) -> None:
    """Secrets Manager, SSM, KMS."""
    ask("secretsmanager", "create_secret", Name="both", SecretString="one", ClientRequestToken="0" * 32)
    ask.answers.pop()
    ask("secretsmanager", "put_secret_value", SecretId="both", SecretString="two", ClientRequestToken="1" * 32)
    ask.answers.pop()
    assert ask("secretsmanager", "get_secret_value", SecretId="both")["SecretString"] == "two"
    ask.answers.pop()
    ask("secretsmanager", "get_secret_value", SecretId="nobody")
    ask("ssm", "put_parameter", Name="/both/a", Value="1", Type="SecureString")
    ask("ssm", "get_parameters_by_path", Path="/both", WithDecryption=True)
    ask("ssm", "get_parameter", Name="/both/nobody")
    key = ask("kms", "create_key", Description="both")["KeyMetadata"]["KeyId"]
    ask.answers.pop()
    secret = ask("kms", "encrypt", KeyId=key, Plaintext=b"plain")["CiphertextBlob"]
    assert ask("kms", "decrypt", CiphertextBlob=secret)["Plaintext"] == b"plain"
    ask("kms", "describe_key", KeyId="alias/nobody")


def identities(ask: Both) -> None:
    """IAM and STS."""
    ask("iam", "create_role", RoleName="both", AssumeRolePolicyDocument=TRUST)
    ask("iam", "get_role", RoleName="both")
    policy = '{"Version": "2012-10-17", "Statement": []}'
    ask("iam", "put_role_policy", RoleName="both", PolicyName="p", PolicyDocument=policy)
    ask("iam", "list_role_policies", RoleName="both")
    ask("iam", "create_role", RoleName="both", AssumeRolePolicyDocument=TRUST)
    ask("iam", "get_role", RoleName="nobody")
    ask("sts", "get_caller_identity")


def observations(ask: Both) -> None:
    """CloudWatch and its logs."""
    datum = {"MetricName": "m", "Value": 2.0, "Timestamp": 1_700_000_000, "Dimensions": [{"Name": "d", "Value": "v"}]}
    ask("cloudwatch", "put_metric_data", Namespace="Both", MetricData=[datum])
    ask("cloudwatch", "list_metrics", Namespace="Both")
    ask(
        "cloudwatch",
        "get_metric_statistics",
        Namespace="Both",
        MetricName="m",
        Dimensions=datum["Dimensions"],
        StartTime=1_699_999_000,
        EndTime=1_700_001_000,
        Period=60,
        Statistics=["Sum", "Average"],
    )
    ask("logs", "create_log_group", logGroupName="both")
    ask("logs", "create_log_stream", logGroupName="both", logStreamName="s")
    ask("logs", "get_log_events", logGroupName="both", logStreamName="s")
    ask("logs", "create_log_group", logGroupName="both")
    ask("logs", "describe_log_streams", logGroupName="nobody")


def deployments(ask: Both) -> None:
    """ECR and a function of Lambda, which is created and described; nothing invokes it."""
    ask("ecr", "create_repository", repositoryName="both")
    ask("ecr", "describe_images", repositoryName="both")
    ask("ecr", "describe_repositories", repositoryNames=["nobody"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("lambda_function.py", "def handler(event, context): return 1")
    role = ask("iam", "create_role", RoleName="lambda", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    ask(
        "lambda",
        "create_function",
        FunctionName="both",
        Runtime="python3.12",
        Role=role,
        Handler="lambda_function.handler",
        Code={"ZipFile": packed.getvalue()},
    )
    ask("lambda", "get_function_configuration", FunctionName="both")
    ask("lambda", "get_function_configuration", FunctionName="nobody")


@pytest.mark.parametrize(
    "talk",
    [
        s3,
        messages,
        identities,
        observations,
        *(pytest.param(talk, marks=pytest.mark.verify) for talk in (tables, secrets, deployments)),
    ],
    ids=lambda talk: talk.__name__,
)
def test_same_answers(start_cloud: StartCloud, moto: str, talk: Callable[[Both], None]) -> None:
    """A local cloud that nobody else talks to answers a conversation as bare moto does."""
    bare, local = Both(moto), Both(start_cloud().endpoint)
    talk(bare)
    talk(local)
    assert bare.answers == local.answers
