"""What a monitoring job is made of, and the processing job that runs it.

A schedule brings its own job definition or names a data quality job definition; both are read into a `MonitoringJob`.
Its processing job follows the container contract of Model Monitor: data at the input's LocalPath, the baseline's
constraints and statistics beside it, variables that say where everything is.

What it does not do: publish the metrics that a container writes (`publish_cloudwatch_metrics` is Disabled).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from localcloud.aws.objects import ObjectStore
from localcloud.aws.sagemaker.monitoring.cron import read_offset

_BASELINE = "/opt/ml/processing/baseline"
# the input's name, the contract's variable and the file of each part of a baseline
_BASELINES = {
    "ConstraintsResource": ("constraints", "baseline_constraints", "constraints.json"),
    "StatisticsResource": ("stats", "baseline_statistics", "statistics.json"),
}
_HOUR = "%Y/%m/%d/%H"
_HOUR_LENGTH = len("2020/01/01/00")


@dataclass(frozen=True)
class MonitoringJob:
    """A job definition, whichever way it was given. The values are those of the API."""

    source: Mapping[str, Any]
    application: Mapping[str, Any]
    baseline: Mapping[str, Any]
    output: Mapping[str, Any]
    resources: Mapping[str, Any]
    environment: Mapping[str, str]
    stopping: Mapping[str, Any] | None
    network: Mapping[str, Any] | None
    role: str

    @property
    def input(self) -> Mapping[str, Any]:
        """The endpoint's or the batch transform's input."""
        found: Mapping[str, Any] = self.source.get("EndpointInput") or self.source["BatchTransformInput"]
        return found

    @property
    def endpoint(self) -> str | None:
        """The endpoint whose captured data it looks at; None of a batch transform's."""
        return (self.source.get("EndpointInput") or {}).get("EndpointName")


def of_definition(request: Mapping[str, Any]) -> MonitoringJob:
    """Read a CreateDataQualityJobDefinition request."""
    application = request["DataQualityAppSpecification"]
    return MonitoringJob(
        source=request["DataQualityJobInput"],
        application=application,
        baseline=request.get("DataQualityBaselineConfig") or {},
        output=request["DataQualityJobOutputConfig"],
        resources=request["JobResources"],
        environment=application.get("Environment") or {},
        stopping=request.get("StoppingCondition"),
        network=request.get("NetworkConfig"),
        role=request["RoleArn"],
    )


def of_schedule(definition: Mapping[str, Any]) -> MonitoringJob:
    """Read the MonitoringJobDefinition of a schedule."""
    return MonitoringJob(
        source=definition["MonitoringInputs"][0],
        application=definition["MonitoringAppSpecification"],
        baseline=definition.get("BaselineConfig") or {},
        output=definition["MonitoringOutputConfig"],
        resources=definition["MonitoringResources"],
        environment=definition.get("Environment") or {},
        stopping=definition.get("StoppingCondition"),
        network=definition.get("NetworkConfig"),
        role=definition["RoleArn"],
    )


@dataclass(frozen=True)
class Window:
    """The time that an execution looks at, in UTC."""

    scheduled: datetime
    start: datetime
    end: datetime

    def moved(self, source: Mapping[str, Any]) -> "Window":
        """Return the window that an input's own offsets make of it."""
        nothing = timedelta()
        start = read_offset(source["StartTimeOffset"]) if "StartTimeOffset" in source else nothing
        end = read_offset(source["EndTimeOffset"]) if "EndTimeOffset" in source else nothing
        return Window(self.scheduled, self.start + start, self.end + end)

    def holds(self, hour: str) -> bool:
        """Whether the folder of an hour, as in 2020/01/31/23, has data of this time."""
        begin = datetime.strptime(hour, _HOUR)  # noqa: DTZ007 - UTC without a zone, as all times here
        return begin < self.end and begin + timedelta(hours=1) > self.start


def data_inputs(job: MonitoringJob, base: str, window: Window, objects: ObjectStore) -> list[dict[str, Any]]:
    """Return the processing inputs with the data of a window; none if there is no data.

    Args:
        job: What is run.
        base: The address that the data lies below, in folders of hours (yyyy/mm/dd/hh) or without any.
        window: The time to look at.
        objects: S3.
    """
    local = job.input["LocalPath"].rstrip("/") + (f"/{job.endpoint}" if job.endpoint else "")
    folders: set[str] = set()
    undated = False
    for item in objects.under(base.rstrip("/") + "/"):
        hour = _hour_folder(item.relative)
        if hour is None:
            undated = True
        elif window.holds(hour[-_HOUR_LENGTH:]):
            folders.add(hour)
    if not folders and not undated:
        return []
    places = [f"{folder}/" for folder in sorted(folders)] or [""]
    return [
        _input(f"data_{number}", f"{base.rstrip('/')}/{place}", f"{local}/{place}")
        for number, place in enumerate(places, 1)
    ]


def processing_request(
    job: MonitoringJob, name: str, inputs: Sequence[dict[str, Any]], window: Window, schedule: str
) -> dict[str, Any]:
    """Return the CreateProcessingJob request of an execution."""
    output = job.output["MonitoringOutputs"][0]["S3Output"]
    place = "/".join(filter(None, [job.endpoint, schedule, window.scheduled.strftime(_HOUR)]))
    variables = {
        **job.environment,
        "dataset_format": json.dumps(_format(job)),
        "dataset_source": job.input["LocalPath"],
        "output_path": output["LocalPath"],
        "publish_cloudwatch_metrics": "Disabled",
        "sagemaker_monitoring_schedule_name": schedule,
        "start_time": f"{window.start:%Y-%m-%dT%H:%M:%SZ}",
        "end_time": f"{window.end:%Y-%m-%dT%H:%M:%SZ}",
    }
    if job.endpoint:
        variables["sagemaker_endpoint_name"] = job.endpoint
    baselines = []
    for field, (folder, variable, file) in _BASELINES.items():
        uri = (job.baseline.get(field) or {}).get("S3Uri")
        if uri:
            baselines.append(_input(folder, uri, f"{_BASELINE}/{folder}"))
            # a prefix holds the file under its usual name
            last = uri.rpartition("/")[2]
            variables[variable] = f"{_BASELINE}/{folder}/{last if last.endswith('.json') else file}"
    application = {"ImageUri": job.application["ImageUri"]}
    for field in ("ContainerEntrypoint", "ContainerArguments"):
        if job.application.get(field):
            application[field] = job.application[field]
    stored = {"S3Uri": f"{output['S3Uri'].rstrip('/')}/{place}", "LocalPath": output["LocalPath"]}
    stored["S3UploadMode"] = output.get("S3UploadMode", "EndOfJob")
    request: dict[str, Any] = {
        "ProcessingJobName": name,
        "ProcessingInputs": [*inputs, *baselines],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "monitoring_output", "S3Output": stored}]},
        "ProcessingResources": job.resources,
        "AppSpecification": application,
        "Environment": variables,
        "RoleArn": job.role,
    }
    if job.stopping:
        request["StoppingCondition"] = job.stopping
    if job.network:
        request["NetworkConfig"] = job.network
    return request


def _format(job: MonitoringJob) -> dict[str, Any]:
    """Return the contract's dataset_format: the API's names in the contract's spelling."""
    if job.endpoint:
        return {"sagemakerCaptureJson": {"captureIndexNames": ["endpointInput", "endpointOutput"]}}
    form = job.input["DatasetFormat"]
    kind, options = next(iter(form.items()))
    return {kind.lower(): {name.lower(): value for name, value in options.items()}}


def _hour_folder(path: str) -> str | None:
    """Return the beginning of a path up to its hour, as in AllTraffic/2020/01/31/23; None if it has none."""
    parts = path.split("/")[:-1]
    for end in range(4, len(parts) + 1):
        try:
            datetime.strptime("/".join(parts[end - 4 : end]), _HOUR)  # noqa: DTZ007 - see above
        except ValueError:
            continue
        return "/".join(parts[:end])
    return None


def _input(name: str, uri: str, path: str) -> dict[str, Any]:
    source = {"S3Uri": uri, "LocalPath": path.rstrip("/"), "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": source}
