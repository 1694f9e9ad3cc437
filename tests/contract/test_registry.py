"""The model registry: groups, versions, approval, reports, and models made from packages."""

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.inference import container
from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud
from tests.contract.test_transform import transform

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
# answers each line in capital letters
SHOUTS = (
    "def model_fn(folder):\n    return None\n"
    "def transform_fn(model, body, content_type, accept):\n    return body.upper()\n"
)


def specification(**container_fields: Any) -> dict[str, Any]:
    """Return an InferenceSpecification of one container."""
    return {
        "Containers": [{"Image": XGBOOST_IMAGE, **container_fields}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }


def group_of(cloud: LocalCloud, name: str, **request: Any) -> str:
    """Create a group; return its name."""
    cloud.client("sagemaker").create_model_package_group(ModelPackageGroupName=name, **request)
    return name


def register(cloud: LocalCloud, group: str, **request: Any) -> str:
    """Create the next version of a group; return its ARN."""
    created = cloud.client("sagemaker").create_model_package(
        **{"ModelPackageGroupName": group, "InferenceSpecification": specification(), **request}
    )
    return str(created["ModelPackageArn"])


def described(cloud: LocalCloud, arn: str) -> dict[str, Any]:
    """Describe a package, without the transport's metadata."""
    found: dict[str, Any] = cloud.client("sagemaker").describe_model_package(ModelPackageName=arn)
    del found["ResponseMetadata"]
    return found


@pytest.mark.refuses("DescribeModelPackageGroup", "DeleteModelPackageGroup")
def test_life_of_a_group(cloud: LocalCloud) -> None:
    """A group is Completed at once, is deleted only when it is empty, and is unknown afterwards."""
    sagemaker = cloud.client("sagemaker")
    group_of(cloud, "Life", ModelPackageGroupDescription="a group")
    found = sagemaker.describe_model_package_group(ModelPackageGroupName=f"{ARN}:model-package-group/Life")
    assert [found[f"ModelPackageGroup{field}"] for field in ("Name", "Arn", "Description", "Status")] == [
        "Life",
        f"{ARN}:model-package-group/Life",
        "a group",
        "Completed",
    ]
    package = register(cloud, "Life")
    with pytest.raises(sagemaker.exceptions.ConflictException, match="still contains"):
        sagemaker.delete_model_package_group(ModelPackageGroupName="Life")
    sagemaker.delete_model_package(ModelPackageName=package)
    sagemaker.delete_model_package_group(ModelPackageGroupName="Life")
    for operation in (sagemaker.describe_model_package_group, sagemaker.delete_model_package_group):
        with pytest.raises(ClientError, match=rf"ModelPackageGroup {ARN}:model-package-group/Life does not exist\."):
            operation(ModelPackageGroupName="Life")
    with pytest.raises(ClientError, match=r"Model Package Group does not exist\."):
        register(cloud, "Life")


@pytest.mark.refuses("DescribeModelPackage", "DeleteModelPackage")
def test_versions(cloud: LocalCloud) -> None:
    """Versions are counted from 1 within their group, and the number of a deleted one is never given again."""
    group = group_of(cloud, "Versions")
    first, second = register(cloud, group), register(cloud, f"{ARN}:model-package-group/{group}")
    assert [first, second] == [f"{ARN}:model-package/versions/{number}" for number in (1, 2)]
    sagemaker = cloud.client("sagemaker")
    sagemaker.delete_model_package(ModelPackageName=second)
    for operation in (sagemaker.describe_model_package, sagemaker.delete_model_package):
        with pytest.raises(ClientError, match=f"ModelPackage {second} does not exist") as refusal:
            operation(ModelPackageName=second)
        assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert register(cloud, group) == f"{ARN}:model-package/versions/3"
    found = described(cloud, first)
    created = found.pop("CreationTime")
    assert found == {
        "ModelPackageGroupName": group,
        "ModelPackageVersion": 1,
        "ModelPackageArn": first,
        "InferenceSpecification": specification(),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CertifyForMarketplace": False,
        "ModelApprovalStatus": "PendingManualApproval",
        "CreatedBy": {},
    }
    assert created <= described(cloud, f"{ARN}:model-package/versions/3")["CreationTime"]


def test_a_repeated_request_makes_one_version(cloud: LocalCloud) -> None:
    """A request that a client sends again, with the same token, makes no second version."""
    group = group_of(cloud, "repeated")
    arns = {register(cloud, group, ClientToken="one-and-the-same") for _ in range(2)}
    assert arns == {f"{ARN}:model-package/repeated/1"}


def test_approval(cloud: LocalCloud) -> None:
    """An approval changes state and description, and leaves everything else as it was."""
    group = group_of(cloud, "approval")
    arn = register(cloud, group, CustomerMetadataProperties={"record": "7", "month": "2013-01"})
    sagemaker = cloud.client("sagemaker")
    before = described(cloud, arn)
    for state, reason in (("Approved", "better"), ("Rejected", "worse"), ("Approved", "better after all")):
        answer = sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=state, ApprovalDescription=reason
        )
        assert answer["ModelPackageArn"] == arn
        after = described(cloud, arn)
        assert after["LastModifiedTime"] >= before["CreationTime"]
        times = {"LastModifiedTime": after["LastModifiedTime"], "LastModifiedBy": {}}
        assert after == {**before, **times, "ModelApprovalStatus": state, "ApprovalDescription": reason}


def test_metadata_and_specifications(cloud: LocalCloud) -> None:
    """Metadata is added, replaced and removed by key; further inference specifications are appended."""
    group = group_of(cloud, "metadata")
    arn = register(cloud, group, CustomerMetadataProperties={"kept": "1", "old": "1", "gone": "1"})
    sagemaker = cloud.client("sagemaker")
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        CustomerMetadataProperties={"old": "2", "new": "1"},
        CustomerMetadataPropertiesToRemove=["gone", "never there"],
        SourceUri="https://example.org/run/1",
    )
    found = described(cloud, arn)
    assert found["CustomerMetadataProperties"] == {"kept": "1", "old": "2", "new": "1"}
    assert (found["ModelApprovalStatus"], found["SourceUri"]) == ("PendingManualApproval", "https://example.org/run/1")
    more = {"Name": "small", "Containers": [{"Image": XGBOOST_IMAGE}]}
    sagemaker.update_model_package(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[more])
    with pytest.raises(ClientError, match="must be unique"):
        sagemaker.update_model_package(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[more])
    found = described(cloud, arn)
    assert found["AdditionalInferenceSpecifications"] == [more]
    assert found["CustomerMetadataProperties"] == {"kept": "1", "old": "2", "new": "1"}
    with pytest.raises(ClientError, match=r"customer metadata properties \(52\) exceeds the limit of 50"):
        sagemaker.update_model_package(
            ModelPackageArn=arn, CustomerMetadataProperties={f"n{number}": "1" for number in range(49)}
        )
    assert described(cloud, arn)["CustomerMetadataProperties"] == {"kept": "1", "old": "2", "new": "1"}


def test_reports_are_read_back(cloud: LocalCloud) -> None:
    """The addresses of metric reports are kept as they were given, and lead to the reports."""
    report = {"binary_classification_metrics": {"auc": {"value": 0.8, "standard_deviation": "NaN"}}}
    uri = cloud.put("reports/evaluation.json", json.dumps(report))
    metrics = {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": uri}}}
    baselines = {"ModelDataQuality": {"Constraints": {"ContentType": "application/json", "S3Uri": uri}}}
    card = {"ModelCardContent": json.dumps({"model_overview": {}}), "ModelCardStatus": "Draft"}
    arn = register(
        cloud,
        group_of(cloud, "reports"),
        ModelMetrics=metrics,
        DriftCheckBaselines=baselines,
        ModelCard=card,
        ModelPackageDescription="with a report",
        MetadataProperties={"CommitId": "abc"},
        Domain="MACHINE_LEARNING",
        Task="CLASSIFICATION",
        SkipModelValidation="All",
    )
    found = described(cloud, arn)
    assert {field: found[field] for field in ("ModelMetrics", "DriftCheckBaselines", "ModelCard")} == {
        "ModelMetrics": metrics,
        "DriftCheckBaselines": baselines,
        "ModelCard": card,
    }
    assert [found[f] for f in ("ModelPackageDescription", "Domain", "Task", "SkipModelValidation")] == [
        "with a report",
        "MACHINE_LEARNING",
        "CLASSIFICATION",
        "All",
    ]
    assert found["MetadataProperties"] == {"CommitId": "abc"}
    key = found["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].removeprefix("s3://data/")
    assert json.loads(cloud.get(key)) == report


def test_list_packages(cloud: LocalCloud) -> None:
    """Packages are listed by group, state, name, time and kind, oldest first unless asked otherwise, in pages."""
    sagemaker = cloud.client("sagemaker")
    group = group_of(cloud, "listed-versions")
    arns = [register(cloud, group) for _ in range(5)]
    sagemaker.update_model_package(ModelPackageArn=arns[3], ModelApprovalStatus="Approved")

    def found(**request: Any) -> list[str]:
        pages = sagemaker.get_paginator("list_model_packages").paginate(
            PaginationConfig={"PageSize": 2}, **{"ModelPackageGroupName": group, **request}
        )
        return [package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]]

    assert found() == arns
    assert found(SortOrder="Descending") == found(SortBy="CreationTime", SortOrder="Descending") == arns[::-1]
    assert found(ModelApprovalStatus="Approved") == [arns[3]]
    assert found(ModelApprovalStatus="Rejected") == []
    time = described(cloud, arns[0])["CreationTime"]
    assert found(CreationTimeAfter=time - timedelta(hours=1)) == arns
    assert found(CreationTimeBefore=time - timedelta(hours=1)) == []
    alone = {"SupportedTransformInstanceTypes": ["ml.m5.large"]}
    alone |= {"SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"]}
    sagemaker.create_model_package(ModelPackageName="listed-alone", InferenceSpecification={**specification(), **alone})

    def kinds(**request: Any) -> list[str]:
        page = sagemaker.list_model_packages(NameContains="listed-", SortBy="Name", MaxResults=100, **request)
        return [package["ModelPackageArn"].removeprefix(f"{ARN}:") for package in page["ModelPackageSummaryList"]]

    versions = [arn.removeprefix(f"{ARN}:") for arn in arns]
    assert kinds() == kinds(ModelPackageType="Unversioned") == ["model-package/listed-alone"]
    assert kinds(ModelPackageType="Versioned") == versions
    assert kinds(ModelPackageType="Both") == ["model-package/listed-alone", *versions]
    (summary,) = sagemaker.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="Approved")[
        "ModelPackageSummaryList"
    ]
    assert {**summary, "CreationTime": None} == {
        "ModelPackageGroupName": group,
        "ModelPackageVersion": 4,
        "ModelPackageArn": arns[3],
        "CreationTime": None,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
    }


def test_list_groups(cloud: LocalCloud) -> None:
    """Groups are listed by name and time, oldest first unless asked otherwise, in pages."""
    sagemaker = cloud.client("sagemaker")
    for letter in "bca":
        group_of(cloud, f"many-{letter}")

    def found(**request: Any) -> list[str]:
        pages = sagemaker.get_paginator("list_model_package_groups").paginate(
            PaginationConfig={"PageSize": 2}, NameContains="many-", **request
        )
        return [g["ModelPackageGroupName"][-1] for page in pages for g in page["ModelPackageGroupSummaryList"]]

    assert found() == ["b", "c", "a"]
    assert found(SortBy="Name", SortOrder="Descending") == ["c", "b", "a"]
    assert found(CrossAccountFilterOption="CrossAccount") == []


def test_batch_describe(cloud: LocalCloud) -> None:
    """Several versions are described at once; one that does not exist is reported beside them."""
    group = group_of(cloud, "batch")
    arn, missing = register(cloud, group, ModelApprovalStatus="Approved"), f"{ARN}:model-package/batch/9"
    answer = cloud.client("sagemaker").batch_describe_model_package(ModelPackageArnList=[arn, missing])
    assert answer["BatchDescribeModelPackageErrorMap"] == {
        missing: {"ErrorCode": "ValidationException", "ErrorResponse": f"ModelPackage {missing} does not exist."}
    }
    (found,) = answer["ModelPackageSummaries"].values()
    assert {**found, "CreationTime": None} == {
        "ModelPackageGroupName": group,
        "ModelPackageVersion": 1,
        "ModelPackageArn": arn,
        "CreationTime": None,
        "InferenceSpecification": specification(),
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
    }


@pytest.mark.refuses("GetModelPackageGroupPolicy", "PutModelPackageGroupPolicy")
def test_policies(cloud: LocalCloud) -> None:
    """A group's resource policy is kept as given until it is deleted."""
    sagemaker = cloud.client("sagemaker")
    name = {"ModelPackageGroupName": "shared"}
    with pytest.raises(ClientError, match=f"Cannot find Model Package Group: {ARN}:model-package-group/shared"):
        sagemaker.get_model_package_group_policy(**name)
    group_of(cloud, "shared")
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    for _ in range(2):
        with pytest.raises(ClientError, match="Cannot find resource policy for: "):
            sagemaker.get_model_package_group_policy(**name)
        answer = sagemaker.put_model_package_group_policy(ResourcePolicy=policy, **name)
        assert answer["ModelPackageGroupArn"] == f"{ARN}:model-package-group/shared"
        assert sagemaker.get_model_package_group_policy(**name)["ResourcePolicy"] == policy
        sagemaker.delete_model_package_group_policy(**name)
    with pytest.raises(ClientError, match="Invalid resource policy"):
        sagemaker.put_model_package_group_policy(ResourcePolicy="no policy", **name)


@pytest.mark.refuses("AddTags")
def test_tags(cloud: LocalCloud) -> None:
    """A group's tags can be read and changed; its versions have them, too."""
    sagemaker = cloud.client("sagemaker")
    group = group_of(cloud, "tagged", Tags=[{"Key": "team", "Value": "a"}])
    arn, version = f"{ARN}:model-package-group/tagged", register(cloud, group)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "b"}, {"Key": "cost", "Value": "1"}])
    assert sagemaker.list_tags(ResourceArn=version)["Tags"] == [
        {"Key": "team", "Value": "b"},
        {"Key": "cost", "Value": "1"},
    ]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]
    with pytest.raises(ClientError, match="its tags are those of its model package group"):
        sagemaker.add_tags(ResourceArn=version, Tags=[{"Key": "a", "Value": "b"}])


def test_search(cloud: LocalCloud) -> None:
    """Search finds packages by group and state."""
    group = group_of(cloud, "searched")
    register(cloud, group)
    wanted = register(cloud, group, ModelApprovalStatus="Approved")
    filters = [
        {"Name": "ModelPackageGroupName", "Operator": "Equals", "Value": group},
        {"Name": "ModelApprovalStatus", "Operator": "Equals", "Value": "Approved"},
    ]
    found = cloud.client("sagemaker").search(Resource="ModelPackage", SearchExpression={"Filters": filters})
    assert [result["ModelPackage"]["ModelPackageArn"] for result in found["Results"]] == [wanted]


@pytest.mark.executes("CreateModelPackage", "UpdateModelPackage", "CreateModel", "CreateTransformJob")
def test_an_approved_package_serves(cloud: LocalCloud) -> None:
    """A model is made from a version once it is approved, and answers with the package's artifact."""
    definition = container(cloud, "packaged", SHOUTS)
    fields = {field: definition[field] for field in ("ModelDataUrl", "Environment") if field in definition}
    arn = register(cloud, group_of(cloud, "packaged"), InferenceSpecification=specification(**fields))
    sagemaker = cloud.client("sagemaker")
    request = {"ModelName": "packaged", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"ModelPackageName": arn}}
    with pytest.raises(ClientError, match="ModelApprovalStatus must be Approved, and is PendingManualApproval"):
        sagemaker.create_model(**request)
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    sagemaker.create_model(**request)
    cloud.put("packaged/in/a.csv", "abc")
    transform(cloud, "packaged", "packaged")
    assert cloud.finished("Transform", "packaged")["TransformJobStatus"] == "Completed"
    assert cloud.get("packaged/out/a.csv.out") == b"ABC"
    request |= {"ModelName": "unknown", "PrimaryContainer": {"ModelPackageName": "no-such-package"}}
    with pytest.raises(ClientError, match=f"ModelPackage {ARN}:model-package/no-such-package does not exist"):
        sagemaker.create_model(**request)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "state": (
        {"ModelApprovalStatus": "Maybe"},
        (
            "1 validation error detected: Value 'Maybe' at 'modelApprovalStatus' failed to satisfy constraint: Member "
            r"must satisfy enum value set: \[Approved, Rejected, PendingManualApproval\]"
        ),
    ),
    "both": ({"ModelPackageName": "a"}, "Both ModelPackageName and ModelPackageGroupName are provided in the input"),
    "digest": (
        {"InferenceSpecification": specification(ImageDigest="sha256:1")},
        "Value 'sha256:1' at 'inferenceSpecification.containers.1.member.imageDigest' failed to satisfy constraint",
    ),
    "no-image": ({"InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://a/b"}]}}, "Image must be provided"),
    "too-many": (
        {"InferenceSpecification": {"Containers": [{"Image": "x"}] * 16}},
        (
            "Value at 'inferenceSpecification.containers' failed to satisfy constraint: Member must have length "
            "less than or equal to 15"
        ),
    ),
    "two-artifacts": (
        {
            "InferenceSpecification": specification(
                ModelDataUrl="s3://a/b",
                ModelDataSource={
                    "S3DataSource": {"S3Uri": "s3://a/b", "S3DataType": "S3Object", "CompressionType": "Gzip"}
                },
            )
        },
        "Both ModelDataUrl and ModelDataSource",
    ),
    "report": (
        {"ModelMetrics": {"Bias": {"Report": {"ContentType": "a/b", "S3Uri": "https://example.org/report"}}}},
        "modelMetrics.Bias.Report.s3Uri: .* is not an S3 address",
    ),
    "tags": ({"Tags": [{"Key": "a", "Value": "b"}]}, "Tags cannot be specified for a versioned model package"),
    "marketplace": ({"CertifyForMarketplace": True}, "does not run CertifyForMarketplace of a model package"),
    "metadata": (
        {"CustomerMetadataProperties": {"a": "b" * 300}},
        (
            r"Value '\{a=b+\}' at 'customerMetadataProperties' failed to satisfy constraint: Map value must satisfy "
            r"constraint: \[Member must have length less than or equal to 256, Member must have length greater than or "
            r"equal to 1\]"
        ),
    ),
    "instances": (
        {"InferenceSpecification": {**specification(), "SupportedTransformInstanceTypes": ["ml.none"]}},
        (
            r"Value '\[ml.none\]' at 'inferenceSpecification.supportedTransformInstanceTypes' failed to satisfy "
            r"constraint: Member must satisfy constraint: \[Member must satisfy enum value set: \[ml"
        ),
    ),
}


@pytest.mark.refuses("CreateModelPackage")
@pytest.mark.parametrize("case", REFUSED)
def test_refused_packages(cloud: LocalCloud, case: str) -> None:
    """What AWS's model of the request does not allow, and what is not covered, makes no version."""
    request, message = REFUSED[case]
    group = group_of(cloud, f"refused-{case}")
    with pytest.raises(ClientError, match=message) as refusal:
        register(cloud, group, **request)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert register(cloud, group).endswith("/1")


@pytest.mark.refuses("CreateModelPackage", "UpdateModelPackage", "CreateModelPackageGroup", "ListModelPackages")
def test_refused_elsewhere(cloud: LocalCloud) -> None:
    """Unversioned packages have no approval and need more; taken and unknown names are refused."""
    sagemaker = cloud.client("sagemaker")
    with pytest.raises(ClientError, match=r"Missing ARN\."):
        sagemaker.create_model_package(InferenceSpecification=specification())
    alone = {"ModelPackageName": "alone", "InferenceSpecification": specification()}
    with pytest.raises(ClientError, match="SupportedTransformInstanceTypes, SupportedRealtimeInferenceInstanceTypes"):
        sagemaker.create_model_package(**alone)
    alone["InferenceSpecification"] |= {"SupportedTransformInstanceTypes": ["ml.m5.large"]}  # type: ignore[operator]
    alone["InferenceSpecification"] |= {"SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"]}  # type: ignore[operator]
    with pytest.raises(ClientError, match="ModelApprovalStatus can only be specified for a versioned"):
        sagemaker.create_model_package(**alone, ModelApprovalStatus="Approved")
    arn = sagemaker.create_model_package(**alone, Tags=[{"Key": "a", "Value": "b"}])["ModelPackageArn"]
    assert (arn, sagemaker.list_tags(ResourceArn=arn)["Tags"]) == (
        f"{ARN}:model-package/alone",
        [{"Key": "a", "Value": "b"}],
    )
    found = sagemaker.describe_model_package(ModelPackageName="alone")
    assert (found["ModelPackageName"], "ModelApprovalStatus" in found) == ("alone", False)
    with pytest.raises(ClientError, match=f"Model Package already exists: {arn}"):
        sagemaker.create_model_package(**alone)
    with pytest.raises(ClientError, match="is not versioned"):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    with pytest.raises(ClientError, match=f"ModelPackage {ARN}:model-package/a/1 does not exist"):
        sagemaker.update_model_package(ModelPackageArn=f"{ARN}:model-package/a/1", ModelApprovalStatus="Approved")
    environment = {**alone, "ModelPackageName": "variables"}
    environment["InferenceSpecification"] = {
        **alone["InferenceSpecification"],  # type: ignore[dict-item]
        "Containers": [{"Image": "x", "Environment": {"a": "b"}}],
    }
    with pytest.raises(ClientError, match="Environment variable map cannot be specified when using non-versioned"):
        sagemaker.create_model_package(**environment)
    group_of(cloud, "taken")
    with pytest.raises(ClientError, match=f"Model Package Group already exists: {ARN}:model-package-group/taken"):
        group_of(cloud, "taken")
    with pytest.raises(ClientError, match=r"ModelPackageGroup .*/nobody does not exist"):
        sagemaker.list_model_packages(ModelPackageGroupName="nobody")
