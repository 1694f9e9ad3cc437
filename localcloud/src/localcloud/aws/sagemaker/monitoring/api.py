"""Data quality job definitions, monitoring schedules and their executions.

What it does not do: model quality, bias and explainability; alerts and their history.
"""

from datetime import UTC
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ResourceInUseException, ResourceNotFound
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.front import RunningJobs
from localcloud.aws.sagemaker.monitoring.checks import check_config, check_job
from localcloud.aws.sagemaker.monitoring.jobs import of_definition
from localcloud.aws.sagemaker.monitoring.records import (
    DATA_QUALITY,
    SCHEDULED,
    STOPPED,
    Definition,
    Execution,
    MonitoringSchedule,
    definitions_of,
    executions_of,
    schedules_of,
)
from localcloud.aws.sagemaker.monitoring.runs import job_of, set_schedule
from localcloud.aws.sagemaker.pages import listed
from localcloud.aws.sagemaker.tags import Tagged, Tags

if TYPE_CHECKING:
    from collections.abc import Callable


class Monitoring(Tags):
    """The operations of monitoring."""

    def create_data_quality_job_definition(self) -> ActionResult:
        """Store a job definition under a free name (moto overwrites)."""
        request = self.request_body()
        name = request["JobDefinitionName"]
        check_job(of_definition(request), self.sagemaker_backend)
        arn = self._monitoring_arn("data-quality-job-definition", name)
        with self.running.creating:
            if name in definitions_of(self.sagemaker_backend):
                message = f"A job definition with this name already exists ({arn})"
                raise ResourceInUseException(message)
            definitions_of(self.sagemaker_backend)[name] = Definition(arn, request)
        return ActionResult({"JobDefinitionArn": arn})

    def describe_data_quality_job_definition(self) -> ActionResult:
        """Describe a job definition."""
        found = self._known_job_definition()
        return ActionResult({"JobDefinitionArn": found.arn, "CreationTime": found.creation_time, **found.request})

    def delete_data_quality_job_definition(self) -> EmptyResult:
        """Delete a job definition; schedules that name it fail from then on."""
        del definitions_of(self.sagemaker_backend)[self._known_job_definition().name]
        return EmptyResult()

    def list_data_quality_job_definitions(self) -> ActionResult:
        """List job definitions (moto knows neither filter, nor order, nor the endpoint)."""
        request = self.request_body()
        every = definitions_of(self.sagemaker_backend).values()
        endpoint = request.get("EndpointName")
        found, token = listed(
            [item for item in every if endpoint in {None, item.endpoint}], request, lambda item: item.name
        )
        summaries = [
            {
                "MonitoringJobDefinitionName": item.name,
                "MonitoringJobDefinitionArn": item.arn,
                "CreationTime": item.creation_time,
                "EndpointName": item.endpoint or "",
            }
            for item in found
        ]
        return ActionResult({"JobDefinitionSummaries": summaries, "NextToken": token})

    def create_monitoring_schedule(self) -> ActionResult:
        """Store a schedule under a free name and set it going."""
        request = self.request_body()
        name = request["MonitoringScheduleName"]
        check_config(request["MonitoringScheduleConfig"], self.sagemaker_backend)
        arn = self._monitoring_arn("monitoring-schedule", name.lower())
        with self.running.creating:
            if name in self._schedules:
                message = f"Monitoring Schedule with this name already exists ({arn})"
                raise ResourceInUseException(message)
            self._schedules[name] = MonitoringSchedule(arn, request)
        self._begin(self._schedules[name])
        return ActionResult({"MonitoringScheduleArn": arn})

    def update_monitoring_schedule(self) -> ActionResult:
        """Replace what a schedule runs, and when."""
        request = self.request_body()
        schedule = self._known_schedule()
        check_config(request["MonitoringScheduleConfig"], self.sagemaker_backend)
        schedule.change(config=request["MonitoringScheduleConfig"])
        self._begin(schedule)
        return ActionResult({"MonitoringScheduleArn": schedule.arn})

    def start_monitoring_schedule(self) -> EmptyResult:
        """Set a stopped schedule going again; one that runs once runs once more."""
        self._begin(self._known_schedule())
        return EmptyResult()

    def stop_monitoring_schedule(self) -> EmptyResult:
        """Start no more executions; one that runs goes on."""
        schedule = self._known_schedule()
        schedule.change(status=STOPPED, waits_to_run_once=False)
        self.running.timer.remove(schedule.arn)
        return EmptyResult()

    def delete_monitoring_schedule(self) -> EmptyResult:
        """Delete a schedule; its executions are kept."""
        schedule = self._known_schedule()
        self.running.timer.remove(schedule.arn)
        del self._schedules[schedule.name]
        return EmptyResult()

    def describe_monitoring_schedule(self) -> ActionResult:
        """Describe a schedule and its last execution."""
        schedule = self._known_schedule()
        described = self._summary(schedule)
        described["MonitoringScheduleConfig"] = {"MonitoringType": DATA_QUALITY, **schedule.config}
        own = [e for e in executions_of(self.sagemaker_backend).values() if e.schedule_name == schedule.name]
        if own:
            described["LastMonitoringExecutionSummary"] = own[-1].shown(self.sagemaker_backend)
        del described["MonitoringJobDefinitionName"]
        return ActionResult({field: value for field, value in described.items() if value is not None})

    def list_monitoring_schedules(self) -> ActionResult:
        """List schedules."""
        request = self.request_body()
        wanted: dict[str, Callable[[MonitoringSchedule], str | None]] = {
            "EndpointName": self._endpoint_of,
            "MonitoringJobDefinitionName": lambda schedule: schedule.definition_name,
            "MonitoringTypeEquals": lambda _: DATA_QUALITY,
        }
        every = [
            schedule
            for schedule in self._schedules.values()
            if all(request.get(field) in {None, value(schedule)} for field, value in wanted.items())
        ]
        found, token = listed(every, request, lambda item: item.name, status=lambda item: item.status)
        summaries = [
            {field: value for field, value in self._summary(schedule).items() if value is not None}
            for schedule in found
        ]
        return ActionResult({"MonitoringScheduleSummaries": summaries, "NextToken": token})

    def list_monitoring_executions(self) -> ActionResult:
        """List executions, also of schedules that have been deleted."""
        request = self.request_body()
        backend = self.sagemaker_backend
        wanted: dict[str, Callable[[Execution], str | None]] = {
            "MonitoringScheduleName": lambda execution: execution.schedule_name,
            "EndpointName": lambda execution: execution.endpoint,
            "MonitoringJobDefinitionName": lambda execution: execution.definition_name,
            "MonitoringTypeEquals": lambda _: DATA_QUALITY,
        }
        every = [
            execution
            for execution in executions_of(backend).values()
            if all(request.get(field) in {None, value(execution)} for field, value in wanted.items())
            and _scheduled_within(execution, request)
        ]
        found, token = listed(
            every,
            request,
            lambda item: item.schedule_name,
            status=lambda item: item.status(backend),
            orders={"ScheduledTime": lambda item: item.scheduled_time},
        )
        summaries = [execution.shown(backend) for execution in found]
        return ActionResult({"MonitoringExecutionSummaries": summaries, "NextToken": token})

    def tagged(self, arn: str, *, change: bool) -> Tagged | None:
        """Return a schedule or a job definition."""
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if kind == "monitoring-schedule":
            for schedule in self._schedules.values():
                if schedule.arn == arn:
                    return schedule
            raise ResourceNotFound(_unknown(name))
        if kind == "data-quality-job-definition" and name in definitions_of(self.sagemaker_backend):
            return definitions_of(self.sagemaker_backend)[name]
        return super().tagged(arn, change=change)

    @property
    def _schedules(self) -> dict[str, MonitoringSchedule]:
        return schedules_of(self.sagemaker_backend)

    def _begin(self, schedule: MonitoringSchedule) -> None:
        schedule.change(status=SCHEDULED, waits_to_run_once=True)
        set_schedule(schedule, self.sagemaker_backend, self.running)

    def _known_schedule(self) -> MonitoringSchedule:
        name = self.request_body()["MonitoringScheduleName"]
        if name not in self._schedules:
            raise ResourceNotFound(_unknown(name))
        return self._schedules[name]

    def _known_job_definition(self) -> Definition:
        name = self.request_body()["JobDefinitionName"]
        if name not in definitions_of(self.sagemaker_backend):
            message = f"Job definition {name} does not exist."
            raise ResourceNotFound(message)
        return definitions_of(self.sagemaker_backend)[name]

    def _endpoint_of(self, schedule: MonitoringSchedule) -> str | None:
        job = job_of(schedule, self.sagemaker_backend)
        return job.endpoint if job else None

    def _summary(self, schedule: MonitoringSchedule) -> dict[str, Any]:
        return {
            "MonitoringScheduleName": schedule.name,
            "MonitoringScheduleArn": schedule.arn,
            "CreationTime": schedule.creation_time,
            "LastModifiedTime": schedule.last_modified_time,
            "MonitoringScheduleStatus": schedule.status,
            "EndpointName": self._endpoint_of(schedule),
            "MonitoringJobDefinitionName": schedule.definition_name,
            "MonitoringType": DATA_QUALITY,
        }

    def _monitoring_arn(self, kind: str, name: str) -> str:
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.current_account}:{kind}/{name}"


def resume(backend: SageMakerModelBackend, running: RunningJobs) -> None:
    """After a restart: put the schedules on the timer; one that was to run once and has not does so now."""
    for schedule in schedules_of(backend).values():
        set_schedule(schedule, backend, running)
    for execution in executions_of(backend).values():
        if execution.job is None and execution.failure is None:
            execution.change(failure="InternalServerError: the local cloud was stopped before the job was created")


def _scheduled_within(execution: Execution, request: dict[str, Any]) -> bool:
    time = execution.scheduled_time.replace(tzinfo=UTC).timestamp()
    before, after = request.get("ScheduledTimeBefore"), request.get("ScheduledTimeAfter")
    return (before is None or time < before) and (after is None or time > after)


def _unknown(name: str) -> str:
    return f"Monitoring schedule {name} does not exist."
