"""What SageMaker refuses of job definitions and schedules, and what is not covered here."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from moto.sagemaker.exceptions import ResourceNotFound, ValidationError
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.jobs.checks import check_image, split_address, unsupported
from localcloud.aws.sagemaker.jobs.cluster import check_cluster
from localcloud.aws.sagemaker.monitoring.cron import ExpressionError, read_expression, read_offset
from localcloud.aws.sagemaker.monitoring.jobs import MonitoringJob, of_schedule
from localcloud.aws.sagemaker.monitoring.records import DATA_QUALITY, definitions_of

_PROCESSING = "/opt/ml/processing/"
_LONGEST_WINDOW = timedelta(hours=24)
_SCRIPTS = ("RecordPreprocessorSourceUri", "PostAnalyticsProcessorSourceUri")
# of inputs: what the other types of monitoring need
_ATTRIBUTES = (
    "FeaturesAttribute",
    "InferenceAttribute",
    "ProbabilityAttribute",
    "ProbabilityThresholdAttribute",
    "ExcludeFeaturesAttribute",
)


def check_job(job: MonitoringJob, backend: SageMakerModelBackend) -> None:
    """Check a job definition, whichever way it was given."""
    given = [field for field in ("EndpointInput", "BatchTransformInput") if job.source.get(field)]
    if len(given) != 1:
        message = "Exactly one of EndpointInput and BatchTransformInput must be provided."
        raise ValidationError(message)
    _check_program(job)
    if (job.baseline or {}).get("BaseliningJobName"):
        unsupported("BaseliningJobName of a baseline; give its ConstraintsResource and StatisticsResource")
    check_cluster(job.resources["ClusterConfig"], "clusterConfig", "ProcessingInstanceType")
    _check_places(job)
    _check_offsets(job.input)
    if job.endpoint:
        _check_endpoint(job.endpoint, backend)
    elif len(job.input["DatasetFormat"]) != 1:
        message = "Exactly one of Csv, Json and Parquet must be provided as DatasetFormat."
        raise ValidationError(message)


def _check_program(job: MonitoringJob) -> None:
    image = check_image(job.application["ImageUri"])
    if not job.application.get("ContainerEntrypoint") and not image.entrypoint:
        unsupported(f"the own entry point of {image.name} (ContainerEntrypoint is not given)")
    for field in _SCRIPTS:
        if job.application.get(field):
            unsupported(f"{field} of a monitoring job")
    for field in _ATTRIBUTES:
        if field in job.input:
            unsupported(f"{field} of a data quality job's input")
    if job.input.get("S3InputMode", "File") != "File":
        unsupported(f"S3InputMode {job.input['S3InputMode']} of a monitoring job")


def check_config(config: Mapping[str, Any], backend: SageMakerModelBackend) -> None:
    """Check the MonitoringScheduleConfig of a schedule."""
    kind = config.get("MonitoringType", DATA_QUALITY)
    if kind != DATA_QUALITY:
        unsupported(f"MonitoringType {kind}")
    given = [f for f in ("MonitoringJobDefinition", "MonitoringJobDefinitionName") if config.get(f)]
    if len(given) != 1:
        message = "Exactly one of MonitoringJobDefinition and MonitoringJobDefinitionName must be provided."
        raise ValidationError(message)
    if given == ["MonitoringJobDefinition"]:
        check_job(of_schedule(config["MonitoringJobDefinition"]), backend)
    elif config["MonitoringJobDefinitionName"] not in definitions_of(backend):
        message = f"Job definition {config['MonitoringJobDefinitionName']} does not exist."
        raise ResourceNotFound(message)
    _check_times(config.get("ScheduleConfig") or {})


def _check_times(schedule: Mapping[str, Any]) -> None:
    if not schedule:
        return
    offsets = [schedule.get("DataAnalysisStartTime"), schedule.get("DataAnalysisEndTime")]
    try:
        once = read_expression(schedule["ScheduleExpression"]) is None
        if once and None in offsets:
            message = "DataAnalysisStartTime and DataAnalysisEndTime must be provided when ScheduleExpression is NOW."
            raise ValidationError(message)
        if None not in offsets:
            start, end = (read_offset(str(offset)) for offset in offsets)
            if not timedelta() < end - start <= _LONGEST_WINDOW:
                message = (
                    "DataAnalysisStartTime must precede DataAnalysisEndTime, and by no more than 24 hours: "
                    f"{offsets[0]}, {offsets[1]}."
                )
                raise ValidationError(message)
    except ExpressionError as error:
        raise ValidationError(str(error)) from error


def _check_places(job: MonitoringJob) -> None:
    outputs = job.output["MonitoringOutputs"]
    if len(outputs) != 1:
        message = "Exactly one monitoring output must be provided."
        raise ValidationError(message)
    output = outputs[0]["S3Output"]
    split_address("s3Uri", output["S3Uri"])
    for path in (job.input["LocalPath"], output["LocalPath"]):
        if not path.startswith(_PROCESSING) or ".." in path:
            message = f"LocalPath {path!r} must start with {_PROCESSING.rstrip('/')}"
            raise ValidationError(message)
    for resource in ("ConstraintsResource", "StatisticsResource"):
        uri = (job.baseline.get(resource) or {}).get("S3Uri")
        if uri:
            split_address(resource, uri)
    if not job.endpoint:
        split_address("dataCapturedDestinationS3Uri", job.input["DataCapturedDestinationS3Uri"])


def _check_offsets(source: Mapping[str, Any]) -> None:
    try:
        for field in ("StartTimeOffset", "EndTimeOffset"):
            if field in source:
                read_offset(source[field])
    except ExpressionError as error:
        raise ValidationError(str(error)) from error


def _check_endpoint(name: str, backend: SageMakerModelBackend) -> None:
    endpoint = backend.endpoints.get(name)
    if endpoint is None:
        message = f'Could not find endpoint "{name}".'
        raise ValidationError(message)
    if not (endpoint.data_capture_config or {}).get("EnableCapture"):
        message = f'Data capture is not enabled for the endpoint "{name}".'
        raise ValidationError(message)
