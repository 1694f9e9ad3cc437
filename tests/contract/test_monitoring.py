"""Monitoring of data quality: job definitions, schedules, and executions that really look at data."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.inference import make_model
from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud, until
from tests.contract.test_endpoints import deploy, make_config

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
ANALYZER = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}
NOW = {"ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "-PT0H"}
HOURLY = {"ScheduleExpression": "cron(0 * ? * * *)"}
FINAL = {"Completed", "CompletedWithViolations", "Failed", "Stopped"}
GOOD = "age,town\n" + "".join(f"{number},{'ab'[number % 2]}\n" for number in range(20))
BAD = "age,town,more\n" + "".join(f"{number + 100},z,1\n" for number in range(10)) + "old,a,1\n,a,1\n"
# a container of the user's own that says what it was given
TELLS = """
import json, os, pathlib
source = pathlib.Path(os.environ["dataset_source"])
files = sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
names = ("dataset_format", "output_path", "sagemaker_monitoring_schedule_name", "publish_cloudwatch_metrics", "OWN")
told = {name: os.environ[name] for name in names}
told["window"] = [os.environ["start_time"], os.environ["end_time"]]
pathlib.Path(os.environ["output_path"], "told.json").write_text(json.dumps({"files": files, **told}))
pathlib.Path("/opt/ml/output/message").write_text(os.environ["SAYS"])
raise SystemExit(int(os.environ["CODE"]))
"""

# answers each number with its double
DOUBLES = (
    "def model_fn(folder):\n    return None\n"
    "def transform_fn(model, body, content_type, accept):\n"
    "    text = body if isinstance(body, str) else body.decode()\n"
    "    return ''.join(f'{2 * int(line)}\\n' for line in text.split()), 'text/csv'\n"
)


def batch(uri: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the input of a batch transform's data."""
    return {
        "BatchTransformInput": {
            "DataCapturedDestinationS3Uri": uri,
            "DatasetFormat": form or {"Csv": {"Header": True}},
            "LocalPath": "/opt/ml/processing/input",
        }
    }


def job(cloud: LocalCloud, name: str, source: dict[str, Any], **request: Any) -> str:
    """Create a data quality job definition that writes to `<name>/reports`; return its name."""
    output = {"S3Uri": f"s3://data/{name}/reports", "LocalPath": "/opt/ml/processing/output"}
    cloud.client("sagemaker").create_data_quality_job_definition(
        **{
            "JobDefinitionName": name,
            "DataQualityAppSpecification": {"ImageUri": ANALYZER},
            "DataQualityJobInput": source,
            "DataQualityJobOutputConfig": {"MonitoringOutputs": [{"S3Output": output}]},
            "JobResources": {"ClusterConfig": CLUSTER},
            "RoleArn": ROLE,
            **request,
        }
    )
    return name


def schedule(cloud: LocalCloud, name: str, when: dict[str, str] | None = None, **request: Any) -> str:
    """Create a schedule of the job definition of the same name; return its name."""
    config = {"ScheduleConfig": when or NOW, "MonitoringJobDefinitionName": name, "MonitoringType": "DataQuality"}
    cloud.client("sagemaker").create_monitoring_schedule(
        MonitoringScheduleName=name, MonitoringScheduleConfig=config, **request
    )
    return name


def executions(cloud: LocalCloud, name: str, **request: Any) -> list[dict[str, Any]]:
    """List a schedule's executions."""
    found: list[dict[str, Any]] = cloud.client("sagemaker").list_monitoring_executions(
        MonitoringScheduleName=name, **request
    )["MonitoringExecutionSummaries"]
    return found


def executed(cloud: LocalCloud, name: str, count: int = 1) -> dict[str, Any]:
    """Wait until a schedule's latest execution, of `count`, is final; return it."""

    def final() -> dict[str, Any] | None:
        found = executions(cloud, name)
        ended = len(found) == count and found[0]["MonitoringExecutionStatus"] in FINAL
        return found[0] if ended else None

    return until(final, f"an execution of {name}")


def report(cloud: LocalCloud, name: str, file: str) -> Any:
    """Return a report of a schedule's only execution."""
    (key,) = (key for key in cloud.keys(f"{name}/reports/{name}/") if key.endswith(f"/{file}"))
    return json.loads(cloud.get(key))


def baselined(cloud: LocalCloud, name: str, data: str = GOOD) -> dict[str, Any]:
    """Run the analyzer over a baseline as a processing job, as the SDK does; return the baseline's configuration."""
    source = {"S3Uri": cloud.put(f"{name}/baseline/data.csv", data), "LocalPath": "/opt/ml/processing/input"}
    output = {"S3Uri": f"s3://data/{name}/baseline-out", "LocalPath": "/opt/ml/processing/output"}
    cloud.client("sagemaker").create_processing_job(
        ProcessingJobName=f"{name}-baseline",
        ProcessingInputs=[
            {"InputName": "data", "S3Input": {**source, "S3DataType": "S3Prefix", "S3InputMode": "File"}}
        ],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": {**output, "S3UploadMode": "EndOfJob"}}]},
        ProcessingResources={"ClusterConfig": CLUSTER},
        AppSpecification={"ImageUri": ANALYZER},
        Environment={
            "dataset_format": json.dumps({"csv": {"header": True, "output_columns_position": "START"}}),
            "dataset_source": "/opt/ml/processing/input",
            "output_path": "/opt/ml/processing/output",
            "publish_cloudwatch_metrics": "Disabled",
        },
        RoleArn=ROLE,
    )
    ended = cloud.finished("Processing", f"{name}-baseline")
    assert (ended["ProcessingJobStatus"], ended.get("FailureReason")) == ("Completed", None)
    return {
        "ConstraintsResource": {"S3Uri": f"s3://data/{name}/baseline-out/constraints.json"},
        "StatisticsResource": {"S3Uri": f"s3://data/{name}/baseline-out/statistics.json"},
    }


@pytest.mark.executes(
    "CreateDataQualityJobDefinition",
    "CreateMonitoringSchedule",
    "DescribeMonitoringSchedule",
    "ListMonitoringExecutions",
    "CreateProcessingJob",
)
def test_violations(cloud: LocalCloud) -> None:
    """Data that is unlike its baseline completes with violations, and the report names each of them."""
    baseline = baselined(cloud, "drifted")
    cloud.put("drifted/in/data.csv", BAD)
    job(cloud, "drifted", batch("s3://data/drifted/in"), DataQualityBaselineConfig=baseline)
    schedule(cloud, "drifted")
    execution = executed(cloud, "drifted")
    assert execution["MonitoringExecutionStatus"] == "CompletedWithViolations"
    found = report(cloud, "drifted", "constraint_violations.json")["violations"]
    assert [(item["feature_name"], item["constraint_check_type"]) for item in found] == [
        ("Extra columns", "extra_column_check"),
        ("age", "data_type_check"),
        ("age", "completeness_check"),
        ("age", "baseline_drift_check"),
        ("town", "categorical_values_check"),
    ]
    assert found[0]["description"] == (
        "There are extra columns in current dataset. Number of columns in current dataset: 3, Number of columns in "
        "baseline constraints: 2"
    )
    assert found[3]["description"] == "Baseline drift distance: 1.0 exceeds threshold: 0.1"
    assert report(cloud, "drifted", "statistics.json")["dataset"] == {"item_count": 12}
    name = execution["ProcessingJobArn"].rpartition("/")[2]
    ended = cloud.describe("Processing", name)
    assert ended["ExitMessage"] == "CompletedWithViolations: Job completed successfully with 5 violations."
    assert ended["MonitoringScheduleArn"] == f"{ARN}:monitoring-schedule/drifted"
    last = cloud.client("sagemaker").describe_monitoring_schedule(MonitoringScheduleName="drifted")
    assert last["LastMonitoringExecutionSummary"] == execution
    assert executions(cloud, "drifted", StatusEquals="Completed") == []
    assert executions(cloud, "drifted", ScheduledTimeAfter=execution["ScheduledTime"] - timedelta(1)) == [execution]


@pytest.mark.executes("CreateMonitoringSchedule", "ListMonitoringExecutions")
def test_no_violations(cloud: LocalCloud) -> None:
    """Data like its baseline completes, and the report of violations is empty."""
    baseline = baselined(cloud, "alike")
    cloud.put("alike/in/data.csv", GOOD)
    job(cloud, "alike", batch("s3://data/alike/in"), DataQualityBaselineConfig=baseline)
    schedule(cloud, "alike")
    assert executed(cloud, "alike")["MonitoringExecutionStatus"] == "Completed"
    assert report(cloud, "alike", "constraint_violations.json") == {"violations": []}
    constraints = json.loads(cloud.get("alike/baseline-out/constraints.json"))
    assert constraints["features"] == [
        {
            "name": "age",
            "inferred_type": "Integral",
            "completeness": 1.0,
            "num_constraints": {"is_non_negative": True},
        },
        {
            "name": "town",
            "inferred_type": "String",
            "completeness": 1.0,
            "string_constraints": {"domains": ["a", "b"]},
        },
    ]


@pytest.mark.executes("CreateMonitoringSchedule", "StartMonitoringSchedule", "UpdateMonitoringSchedule")
def test_a_container_of_ones_own(cloud: LocalCloud) -> None:
    """The given image's program runs with the container contract's variables; of hourly data it gets the window's."""
    told = base64.b64encode(TELLS.encode()).decode()
    now = datetime.now(UTC)
    hours = [now - timedelta(hours=2), now, now + timedelta(hours=2)]
    folders = [f"{time:%Y/%m/%d/%H}" for time in hours]
    for folder in folders:
        cloud.put(f"own/in/output/{folder}/part.csv", "1\n")
    definition = {
        "MonitoringInputs": [batch("s3://data/own/in", {"Json": {"Line": True}})],
        "MonitoringOutputConfig": {
            "MonitoringOutputs": [
                {"S3Output": {"S3Uri": "s3://data/own/reports", "LocalPath": "/opt/ml/processing/output"}}
            ]
        },
        "MonitoringResources": {"ClusterConfig": CLUSTER},
        "MonitoringAppSpecification": {
            "ImageUri": XGBOOST_IMAGE,
            "ContainerEntrypoint": [
                "python",
                "-c",
                "import base64, sys; exec(base64.b64decode(''.join(sys.argv[1:])))",
            ],
            # an argument has at most 256 characters, and none of them ends a line
            "ContainerArguments": [told[start : start + 250] for start in range(0, len(told), 250)],
        },
        "Environment": {"OWN": "1", "SAYS": "Completed: fine", "CODE": "0"},
        "RoleArn": ROLE,
    }
    config = {"ScheduleConfig": NOW, "MonitoringJobDefinition": definition}
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_monitoring_schedule(MonitoringScheduleName="own", MonitoringScheduleConfig=config)
    assert executed(cloud, "own")["MonitoringExecutionStatus"] == "Completed"
    seen = report(cloud, "own", "told.json")
    assert f"output/{folders[1]}/part.csv" in seen["files"]
    assert {f"output/{folder}/part.csv" for folder in (folders[0], folders[2])}.isdisjoint(seen["files"])
    start, end = (datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ") for time in seen["window"])  # noqa: DTZ007
    assert end - start == timedelta(hours=1)
    assert {name: seen[name] for name in seen if name not in {"files", "window"}} == {
        "dataset_format": '{"json": {"line": true}}',
        "output_path": "/opt/ml/processing/output",
        "sagemaker_monitoring_schedule_name": "own",
        "publish_cloudwatch_metrics": "Disabled",
        "OWN": "1",
    }
    definition["Environment"] |= {"SAYS": "no good", "CODE": "3"}  # type: ignore[operator]
    sagemaker.update_monitoring_schedule(MonitoringScheduleName="own", MonitoringScheduleConfig=config)
    failed = executed(cloud, "own", 2)
    assert failed["MonitoringExecutionStatus"] == "Failed"
    assert "exit code: 3" in failed["FailureReason"]
    sagemaker.start_monitoring_schedule(MonitoringScheduleName="own")
    assert executed(cloud, "own", 3)["MonitoringExecutionStatus"] == "Failed"


@pytest.mark.executes("CreateMonitoringSchedule", "ListMonitoringSchedules", "CreateEndpoint", "InvokeEndpoint")
def test_an_endpoints_captured_data(cloud: LocalCloud) -> None:
    """What an endpoint captured is held against the baseline: the output's columns, then the input's."""
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://data/watched/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    model = make_model(cloud, "watched", DOUBLES)
    deploy(cloud, "watched", make_config(cloud, "watched", ("AllTraffic", model, 1.0), DataCaptureConfig=capture))
    for number in (1, 2, 3):
        cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName="watched", Body=f"{number}\n", ContentType="text/csv", Accept="text/csv"
        )
    keys = until(lambda: cloud.keys("watched/captured/watched/AllTraffic/"), "captured data")
    until(
        lambda: sum(len(cloud.get(key).splitlines()) for key in cloud.keys("watched/captured/")) == 3, f"all of {keys}"
    )
    baseline = baselined(cloud, "watched", "answer,age\n2,1\n4,2\n6,3\n")
    source = {"EndpointInput": {"EndpointName": "watched", "LocalPath": "/opt/ml/processing/input"}}
    job(cloud, "watched", source, DataQualityBaselineConfig=baseline)
    schedule(cloud, "watched")
    execution = executed(cloud, "watched")
    assert (execution["MonitoringExecutionStatus"], execution["EndpointName"]) == ("Completed", "watched")
    (key,) = (key for key in cloud.keys("watched/reports/watched/watched/") if key.endswith("/statistics.json"))
    features = json.loads(cloud.get(key))["features"]
    assert [(item["name"], item["numerical_statistics"]["sum"]) for item in features] == [
        ("answer", 12.0),
        ("age", 6.0),
    ]
    listed = cloud.client("sagemaker").list_monitoring_schedules(EndpointName="watched")
    assert [item["MonitoringScheduleName"] for item in listed["MonitoringScheduleSummaries"]] == ["watched"]
    cloud.client("sagemaker").delete_endpoint(EndpointName="watched")


@pytest.mark.executes("CreateMonitoringSchedule")
def test_executions_that_cannot_begin(cloud: LocalCloud) -> None:
    """An execution without data, or without its job definition, has failed and says so."""
    job(cloud, "empty", batch("s3://data/empty/in"))
    schedule(cloud, "empty")
    execution = executed(cloud, "empty")
    assert (execution["MonitoringExecutionStatus"], execution["FailureReason"]) == ("Failed", "Job inputs had no data")
    assert "ProcessingJobArn" not in execution
    sagemaker = cloud.client("sagemaker")
    sagemaker.delete_data_quality_job_definition(JobDefinitionName="empty")
    sagemaker.start_monitoring_schedule(MonitoringScheduleName="empty")
    assert executed(cloud, "empty", 2)["FailureReason"] == "Job definition empty does not exist."


@pytest.mark.executes("CreateMonitoringSchedule")
def test_what_the_analyzer_refuses(cloud: LocalCloud) -> None:
    """A format that the built-in analyzer does not read fails the execution, by name."""
    cloud.put("parquet/in/a.parquet", b"PAR1")
    job(cloud, "parquet", batch("s3://data/parquet/in", {"Parquet": {}}))
    schedule(cloud, "parquet")
    execution = executed(cloud, "parquet")
    assert execution["MonitoringExecutionStatus"] == "Failed"
    assert 'does not read the format {"parquet": {}}' in execution["FailureReason"]


@pytest.mark.refuses("StopMonitoringSchedule", "DeleteMonitoringSchedule")
def test_life_of_a_schedule(cloud: LocalCloud) -> None:
    """A schedule is Scheduled or Stopped, is listed, tagged and deleted, and keeps what it was given."""
    sagemaker = cloud.client("sagemaker")
    job(cloud, "life", batch("s3://data/life/in"))
    schedule(cloud, "life", HOURLY, Tags=[{"Key": "a", "Value": "b"}])
    arn = f"{ARN}:monitoring-schedule/life"

    def described() -> dict[str, Any]:
        found: dict[str, Any] = sagemaker.describe_monitoring_schedule(MonitoringScheduleName="life")
        return found

    def names(**request: Any) -> list[str]:
        listed = sagemaker.list_monitoring_schedules(NameContains="life", **request)
        return [item["MonitoringScheduleName"] for item in listed["MonitoringScheduleSummaries"]]

    assert described()["MonitoringScheduleStatus"] == "Scheduled"
    assert described()["MonitoringScheduleConfig"] == {
        "ScheduleConfig": HOURLY,
        "MonitoringJobDefinitionName": "life",
        "MonitoringType": "DataQuality",
    }
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "c"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "c"}]
    sagemaker.stop_monitoring_schedule(MonitoringScheduleName="life")
    assert described()["MonitoringScheduleStatus"] == "Stopped"
    assert (names(StatusEquals="Stopped"), names(StatusEquals="Scheduled")) == (["life"], [])
    sagemaker.start_monitoring_schedule(MonitoringScheduleName="life")
    assert names(StatusEquals="Scheduled", MonitoringJobDefinitionName="life") == ["life"]
    assert executions(cloud, "life") == []
    sagemaker.delete_monitoring_schedule(MonitoringScheduleName="life")
    assert names() == []
    for operation in ("describe", "start", "stop", "delete"):
        with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="Monitoring schedule life does not exist"):
            getattr(sagemaker, f"{operation}_monitoring_schedule")(MonitoringScheduleName="life")


@pytest.mark.refuses("DescribeDataQualityJobDefinition")
def test_life_of_a_job_definition(cloud: LocalCloud) -> None:
    """A job definition is described with what it was given, listed, and deleted; its name is taken until then."""
    sagemaker = cloud.client("sagemaker")
    source = batch("s3://data/definition/in")
    job(cloud, "definition", source, StoppingCondition={"MaxRuntimeInSeconds": 60})
    found = sagemaker.describe_data_quality_job_definition(JobDefinitionName="definition")
    assert (found["JobDefinitionArn"], found["DataQualityJobInput"], found["StoppingCondition"]) == (
        f"{ARN}:data-quality-job-definition/definition",
        source,
        {"MaxRuntimeInSeconds": 60},
    )
    assert found["DataQualityAppSpecification"] == {"ImageUri": ANALYZER}
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        job(cloud, "definition", source)
    listed = sagemaker.list_data_quality_job_definitions(NameContains="definition")["JobDefinitionSummaries"]
    assert [item["MonitoringJobDefinitionName"] for item in listed] == ["definition"]
    sagemaker.delete_data_quality_job_definition(JobDefinitionName="definition")
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_data_quality_job_definition(JobDefinitionName="definition")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "input": ({"DataQualityJobInput": {}}, "Exactly one of EndpointInput and BatchTransformInput"),
    "image": ({"DataQualityAppSpecification": {"ImageUri": "mine:1"}}, "no environment for the image 'mine:1'"),
    "entry-point": (
        {"DataQualityAppSpecification": {"ImageUri": XGBOOST_IMAGE}},
        "does not run the own entry point of sagemaker-xgboost",
    ),
    "script": (
        {"DataQualityAppSpecification": {"ImageUri": ANALYZER, "RecordPreprocessorSourceUri": "s3://a/b.py"}},
        "does not run RecordPreprocessorSourceUri",
    ),
    "baseline": ({"DataQualityBaselineConfig": {"BaseliningJobName": "a"}}, "does not run BaseliningJobName"),
    "endpoint": (
        {"DataQualityJobInput": {"EndpointInput": {"EndpointName": "none", "LocalPath": "/opt/ml/processing/input"}}},
        'Could not find endpoint "none"',
    ),
    "path": (
        {
            "DataQualityJobInput": {
                "BatchTransformInput": {
                    "DataCapturedDestinationS3Uri": "s3://data/x",
                    "DatasetFormat": {"Csv": {"Header": True}},
                    "LocalPath": "/opt/ml/input",
                }
            }
        },
        "must start with /opt/ml/processing",
    ),
}


@pytest.mark.refuses("CreateDataQualityJobDefinition")
@pytest.mark.parametrize("case", REFUSED)
def test_refused_job_definitions(cloud: LocalCloud, case: str) -> None:
    """What AWS refuses or the local cloud does not cover is refused when the job definition is created."""
    request, message = REFUSED[case]
    with pytest.raises(ClientError, match=message) as refusal:
        job(cloud, f"refused-{case}", batch("s3://data/x"), **request)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


WRONG_TIMES: dict[str, tuple[dict[str, str], str]] = {
    "minutes": ({"ScheduleExpression": "cron(30 * ? * * *)"}, "Invalid schedule expression"),
    "now": ({"ScheduleExpression": "NOW"}, "DataAnalysisStartTime and DataAnalysisEndTime must be provided"),
    "order": ({**NOW, "DataAnalysisEndTime": "-PT2H"}, "must precede DataAnalysisEndTime"),
    "day": ({**NOW, "DataAnalysisStartTime": "-P1DT1H"}, "by no more than 24 hours"),
    "duration": ({**NOW, "DataAnalysisStartTime": "1h"}, "Invalid duration '1h'"),
}


@pytest.mark.refuses("CreateMonitoringSchedule")
def test_refused_schedules(cloud: LocalCloud) -> None:
    """Times that AWS does not take, other types of monitoring and what is taken or unknown are refused."""
    sagemaker = cloud.client("sagemaker")
    job(cloud, "times", batch("s3://data/times/in"))
    for when, message in WRONG_TIMES.values():
        with pytest.raises(ClientError, match=message) as refusal:
            schedule(cloud, "times", when)
        assert refusal.value.response["Error"]["Code"] == "ValidationException"
    for config, message in (
        ({"MonitoringJobDefinitionName": "times", "MonitoringType": "ModelBias"}, "MonitoringType ModelBias"),
        ({"MonitoringJobDefinitionName": "unknown"}, "Job definition unknown does not exist"),
        ({"ScheduleConfig": HOURLY}, "Exactly one of MonitoringJobDefinition and"),
    ):
        with pytest.raises(ClientError, match=message):
            sagemaker.create_monitoring_schedule(MonitoringScheduleName="times", MonitoringScheduleConfig=config)
    schedule(cloud, "times", HOURLY)
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        schedule(cloud, "times", HOURLY)
    sagemaker.delete_monitoring_schedule(MonitoringScheduleName="times")
