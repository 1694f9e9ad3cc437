"""Finding jobs again: List, Search, tags, deletion."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.local_cloud import LocalCloud

LOSS = {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}]}
NAMES = ["found-a", "found-b", "found-c"]


@pytest.fixture(scope="module")
def jobs(cloud: LocalCloud) -> list[dict[str, Any]]:
    """Three training jobs that have ended, in the order of their creation; the last one has failed."""
    for number, name in enumerate(NAMES):
        script = f"print('loss={number / 2};')" + ("; raise SystemExit(1)" if name == "found-c" else "")
        cloud.train(
            name,
            script,
            HyperParameters={"rate": f"0.{number + 1}", "depth": "10" if number else "9", "kind": f"kind-{number}"},
            AlgorithmSpecification=LOSS,
            Tags=[{"Key": "team", "Value": "forecast"}, {"Key": "number", "Value": str(number)}],
        )
        cloud.finished("Training", name)
    return [cloud.describe("Training", name) for name in NAMES]


def listed(cloud: LocalCloud, **request: Any) -> list[str]:
    """Return the names of the listed training jobs of this module."""
    request.setdefault("NameContains", "found-")
    found = cloud.client("sagemaker").list_training_jobs(**request)["TrainingJobSummaries"]
    return [item["TrainingJobName"] for item in found]


def test_order_and_filters(cloud: LocalCloud, jobs: list[dict[str, Any]]) -> None:
    """The newest job comes first unless the request says otherwise; names and times filter."""
    assert listed(cloud) == NAMES[::-1]
    assert listed(cloud, SortOrder="Ascending") == NAMES
    assert listed(cloud, SortBy="Name", SortOrder="Ascending", NameContains="FOUND-") == NAMES
    assert listed(cloud, SortBy="Status", SortOrder="Ascending")[-1] == "found-c"
    assert listed(cloud, NameContains="und-b") == ["found-b"]
    # boto3 sends whole seconds
    first, last, second = jobs[0]["CreationTime"], jobs[2]["LastModifiedTime"], timedelta(seconds=1)
    assert listed(cloud, CreationTimeAfter=first - second, CreationTimeBefore=last + second) == NAMES[::-1]
    assert listed(cloud, CreationTimeBefore=first) == []
    assert listed(cloud, LastModifiedTimeAfter=last + second) == []
    assert listed(cloud, LastModifiedTimeAfter=first - second, LastModifiedTimeBefore=last + second) == NAMES[::-1]
    assert listed(cloud, WarmPoolStatusEquals="InUse") == []


def test_pages(cloud: LocalCloud, jobs: list[dict[str, Any]]) -> None:
    """Pages follow each other by their tokens; a status is looked for in the page, after it has been taken."""
    assert len(jobs) == len(NAMES)
    sagemaker = cloud.client("sagemaker")
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="found-", PaginationConfig={"PageSize": 2}
    )
    names = [[item["TrainingJobName"] for item in page["TrainingJobSummaries"]] for page in pages]
    assert names == [["found-c", "found-b"], ["found-a"]]
    page = sagemaker.list_training_jobs(NameContains="found-", StatusEquals="Completed", MaxResults=1)
    assert page["TrainingJobSummaries"] == []
    assert page["NextToken"]
    assert listed(cloud, StatusEquals="Completed") == ["found-b", "found-a"]


@pytest.mark.executes("ListTrainingJobs", "ListProcessingJobs")
def test_summaries(cloud: LocalCloud, jobs: list[dict[str, Any]]) -> None:
    """A summary has what Describe shows of the job."""
    sagemaker = cloud.client("sagemaker")
    (summary,) = sagemaker.list_training_jobs(NameContains="found-c")["TrainingJobSummaries"]
    assert summary.keys() == {
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingEndTime",
        "LastModifiedTime",
        "TrainingJobStatus",
        "SecondaryStatus",
    }
    assert summary == {field: jobs[2][field] for field in summary}
    assert summary["TrainingJobStatus"] == "Failed"  # as its program has
    cloud.process_data("summed", "open('/opt/ml/output/message', 'w').write('no rows'); raise SystemExit(1)")
    described = cloud.finished("Processing", "summed")
    (found,) = sagemaker.list_processing_jobs(NameContains="summed", StatusEquals="Failed")["ProcessingJobSummaries"]
    assert found == {field: described[field] for field in found}
    assert found["ExitMessage"] == "no rows"
    assert found["FailureReason"]


def search(cloud: LocalCloud, *filters: dict[str, str], **request: Any) -> list[str]:
    """Return the names of the training jobs of this module that satisfy filters."""
    mine = {"Name": "TrainingJobName", "Operator": "Contains", "Value": "found-"}
    expression = {"Filters": [mine, *filters], **request.pop("expression", {})}
    request = {"SortBy": "TrainingJobName", "SortOrder": "Ascending", **request}
    found = cloud.client("sagemaker").search(Resource="TrainingJob", SearchExpression=expression, **request)
    assert found["TotalHits"]["Value"] >= len(found["Results"])
    return [item["TrainingJob"]["TrainingJobName"] for item in found["Results"]]


def condition(name: str, operator: str, value: str | None = None) -> dict[str, str]:
    """Return a Filter."""
    return {"Name": name, "Operator": operator, **({} if value is None else {"Value": value})}


@pytest.mark.executes("Search")
@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([condition("TrainingJobStatus", "Equals", "Failed")], ["found-c"]),
        ([{"Name": "TrainingJobName", "Value": "found-b"}], ["found-b"]),
        ([condition("TrainingJobStatus", "NotEquals", "Failed")], ["found-a", "found-b"]),
        ([condition("TrainingJobName", "In", "found-a,found-c")], ["found-a", "found-c"]),
        ([condition("Tags.number", "Equals", "1"), condition("Tags.team", "Exists")], ["found-b"]),
        ([condition("Tags.owner", "NotExists")], NAMES),
        ([condition("HyperParameters.depth", "GreaterThan", "9")], ["found-b", "found-c"]),
        ([condition("HyperParameters.rate", "LessThanOrEqualTo", "0.2")], ["found-a", "found-b"]),
        ([condition("HyperParameters.kind", "Equals", "kind-2")], ["found-c"]),
        ([condition("Metrics.loss", "GreaterThanOrEqualTo", "0.5")], ["found-b", "found-c"]),
        ([condition("FailureReason", "Exists")], ["found-c"]),
        ([condition("ResourceConfig.InstanceCount", "Equals", "1")], NAMES),
        ([condition("CreationTime", "GreaterThan", "2100-01-01T00:00:00Z")], []),
        ([condition("CreationTime", "GreaterThan", "2020-01-01T00:00:00Z")], NAMES),
    ],
    ids=lambda value: value[0]["Name"] if isinstance(value[0] if value else None, dict) else "",
)
def test_search(cloud: LocalCloud, jobs: list[dict[str, Any]], filters: list[dict[str, str]], names: list[str]) -> None:
    """Training jobs are found by status, name, tags, hyperparameters, metrics and times."""
    assert len(jobs) == len(NAMES)
    assert search(cloud, *filters) == names


@pytest.mark.executes("Search")
def test_search_orders_and_combines(cloud: LocalCloud, jobs: list[dict[str, Any]]) -> None:
    """Results are sorted by any property and come in pages; subexpressions combine filters by Or."""
    assert search(cloud, SortBy="Metrics.loss", SortOrder="Descending") == NAMES[::-1]
    either = [condition("HyperParameters.rate", "Equals", "0.1"), condition("TrainingJobStatus", "Equals", "Failed")]
    both = {"SubExpressions": [{"Filters": either, "Operator": "Or"}]}
    assert search(cloud, expression=both) == ["found-a", "found-c"]
    pages = cloud.client("sagemaker").get_paginator("search")
    expression = {"Filters": [condition("TrainingJobName", "Contains", "found-")]}
    found = [
        item["TrainingJob"]
        for page in pages.paginate(
            Resource="TrainingJob", SearchExpression=expression, PaginationConfig={"PageSize": 2}
        )
        for item in page["Results"]
    ]
    assert [job["TrainingJobName"] for job in found] == NAMES[::-1]
    assert found[0]["FinalMetricDataList"] == jobs[2]["FinalMetricDataList"]
    assert {"Key": "team", "Value": "forecast"} in found[0]["Tags"]


@pytest.mark.refuses("Search")
@pytest.mark.parametrize(
    ("item", "message"),
    [
        (condition("Nonsense", "Equals", "1"), "Unknown property name: Nonsense"),
        (condition("TrainingJobName", "GreaterThan", "a"), "not supported for text property TrainingJobName"),
        (condition("CreationTime", "Equals", "today"), "Invalid timestamp 'today'"),
    ],
)
def test_searches_that_are_refused(cloud: LocalCloud, item: dict[str, str], message: str) -> None:
    """A property that does not exist, or that does not take the operator, is refused."""
    with pytest.raises(ClientError, match=message) as caught:
        search(cloud, item)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("resource", "expression"),
    [
        ("Pipeline", {"Filters": [{"Name": "PipelineName", "Operator": "Exists"}]}),
        ("Pipeline", {"Filters": [{"Name": "PipelineName", "Value": "x"}]}),
        ("Experiment", {"Filters": [{"Name": "ExperimentName", "Operator": "In", "Value": "x,y"}]}),
        ("Pipeline", {"Operator": "Or"}),
        ("PipelineExecution", {}),
    ],
)
def test_searches_that_moto_would_answer_wrongly(cloud: LocalCloud, resource: str, expression: dict[str, Any]) -> None:
    """Of other resources only filters of Equals are taken; the rest is refused instead of finding nothing."""
    with pytest.raises(ClientError, match=f"searches resources of the type {resource} by filters of the operator"):
        cloud.client("sagemaker").search(Resource=resource, SearchExpression=expression)


@pytest.mark.refuses("ListTags")
def test_tags(cloud: LocalCloud, jobs: list[dict[str, Any]]) -> None:
    """A tag that is added again is replaced; Search finds the new value; a removed one is gone."""
    sagemaker, arn = cloud.client("sagemaker"), jobs[0]["TrainingJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "old"}])
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "new"}])
    tags = sagemaker.list_tags(ResourceArn=arn)["Tags"]
    assert [tag for tag in tags if tag["Key"] == "stage"] == [{"Key": "stage", "Value": "new"}]
    assert search(cloud, condition("Tags.stage", "Equals", "new")) == ["found-a"]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["stage", "never-there"])
    assert search(cloud, condition("Tags.stage", "Exists")) == []
    with pytest.raises(ClientError, match="Could not find") as caught:
        sagemaker.list_tags(ResourceArn=f"{arn}-not")
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.refuses("DeleteTrainingJob")
def test_deletion(cloud: LocalCloud) -> None:
    """A job that has ended can be deleted, and its name used again; one that runs cannot."""
    sagemaker = cloud.client("sagemaker")
    cloud.train("deleted", "print('first')")
    cloud.finished("Training", "deleted")
    sagemaker.delete_training_job(TrainingJobName="deleted")
    assert refused(lambda: cloud.describe("Training", "deleted")) == "ValidationException"
    assert refused(lambda: sagemaker.delete_training_job(TrainingJobName="deleted")) == "ResourceNotFound"
    cloud.train("deleted", "import time; time.sleep(600)")
    assert refused(lambda: sagemaker.delete_training_job(TrainingJobName="deleted")) == "ResourceInUse"
    sagemaker.stop_training_job(TrainingJobName="deleted")
    cloud.finished("Training", "deleted")
    cloud.process_data("deleted", "print(1)")
    cloud.finished("Processing", "deleted")
    sagemaker.delete_processing_job(ProcessingJobName="deleted")
    assert refused(lambda: cloud.describe("Processing", "deleted")) == "ValidationException"


def refused(call: Callable[[], object]) -> str:
    """Return the code of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])
