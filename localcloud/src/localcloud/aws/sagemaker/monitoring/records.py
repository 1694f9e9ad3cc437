"""What is kept of job definitions, schedules and executions: requests and times. Plain data, saved with the backend.

An execution's state is not kept but read from its processing job, so that no thread has to follow it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.persistence.reached import changing
from localcloud.aws.sagemaker.front import own_table
from localcloud.aws.sagemaker.jobs.records import utc_now

SCHEDULED, STOPPED = "Scheduled", "Stopped"
WITH_VIOLATIONS = "CompletedWithViolations"
DATA_QUALITY = "DataQuality"
NO_DATA = "Job inputs had no data"


class Definition:
    """A data quality job definition."""

    def __init__(self, arn: str, request: Mapping[str, Any]) -> None:
        """Take the request of CreateDataQualityJobDefinition."""
        self.arn = arn
        self.name: str = request["JobDefinitionName"]
        self.tags: list[dict[str, str]] = list(request.get("Tags") or [])
        self.creation_time = utc_now()
        self.request = {field: value for field, value in request.items() if field != "Tags"}

    @property
    def endpoint(self) -> str | None:
        """The endpoint that it looks at."""
        found = self.request["DataQualityJobInput"].get("EndpointInput") or {}
        return found.get("EndpointName")


class MonitoringSchedule:
    """A monitoring schedule."""

    def __init__(self, arn: str, request: Mapping[str, Any]) -> None:
        """Take the request of CreateMonitoringSchedule."""
        self.arn = arn
        self.name: str = request["MonitoringScheduleName"]
        self.tags: list[dict[str, str]] = list(request.get("Tags") or [])
        self.config: dict[str, Any] = dict(request["MonitoringScheduleConfig"])
        self.creation_time = self.last_modified_time = utc_now()
        self.status = SCHEDULED
        # whether a schedule that runs once has still to run
        self.waits_to_run_once = False

    @property
    def expression(self) -> str | None:
        """When it runs; None of a schedule that never does."""
        return (self.config.get("ScheduleConfig") or {}).get("ScheduleExpression")

    @property
    def definition_name(self) -> str | None:
        """The job definition it runs, unless it brings its own."""
        return self.config.get("MonitoringJobDefinitionName")

    def change(self, **fields: object) -> None:
        """Change attributes."""
        _change(self, fields)


class Execution:
    """One run of a schedule. `job` is the name of its processing job; None until there is one, or when none can be."""

    def __init__(self, schedule: MonitoringSchedule, scheduled: datetime, endpoint: str | None) -> None:
        """Begin it."""
        self.schedule_name = schedule.name
        self.definition_name = schedule.definition_name
        self.endpoint = endpoint
        self.scheduled_time = scheduled
        self.creation_time = self.last_modified_time = utc_now()
        self.job: str | None = None
        self.failure: str | None = None

    def change(self, **fields: object) -> None:
        """Change attributes."""
        _change(self, fields)

    def shown(self, backend: SageMakerModelBackend) -> dict[str, Any]:
        """Return the execution's summary."""
        job = backend.processing_jobs.get(self.job) if self.job else None
        summary = {
            "MonitoringScheduleName": self.schedule_name,
            "ScheduledTime": self.scheduled_time,
            "CreationTime": self.creation_time,
            "LastModifiedTime": job.last_modified_time if job else self.last_modified_time,
            "MonitoringExecutionStatus": self.status(backend),
            "ProcessingJobArn": job.arn if job else None,
            "EndpointName": self.endpoint,
            "FailureReason": getattr(job, "failure_reason", None) if job else self.failure,
            "MonitoringJobDefinitionName": self.definition_name,
            "MonitoringType": DATA_QUALITY,
        }
        return {field: value for field, value in summary.items() if value is not None}

    def status(self, backend: SageMakerModelBackend) -> str:
        """Return the execution's state."""
        job = backend.processing_jobs.get(self.job) if self.job else None
        if job is None:
            return "Failed" if self.failure else "Pending"
        state = str(job.processing_job_status)
        said = str(getattr(job, "exit_message", None) or "")
        return WITH_VIOLATIONS if state == "Completed" and said.startswith(WITH_VIOLATIONS) else state


def _change(record: MonitoringSchedule | Execution, fields: Mapping[str, object]) -> None:
    with changing(record):
        for field, value in fields.items():
            setattr(record, field, value)
        record.last_modified_time = utc_now()


def schedules_of(backend: SageMakerModelBackend) -> dict[str, MonitoringSchedule]:
    """Return a backend's schedules by name."""
    return own_table(backend, "monitoring_schedules")


def executions_of(backend: SageMakerModelBackend) -> dict[str, Execution]:
    """Return a backend's executions by identity, the oldest first."""
    return own_table(backend, "monitoring_executions")


def definitions_of(backend: SageMakerModelBackend) -> dict[str, Definition]:
    """Return a backend's job definitions by name."""
    return backend.data_quality_job_definitions  # type: ignore[return-value] # our records in moto's table
