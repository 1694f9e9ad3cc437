"""Sets schedules on the timer and starts their executions."""

import uuid
from datetime import datetime, timedelta

from botocore.exceptions import ClientError
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.persistence.reached import changing
from localcloud.aws.sagemaker.front import RunningJobs
from localcloud.aws.sagemaker.jobs.failures import JobFailedError
from localcloud.aws.sagemaker.jobs.records import utc_now
from localcloud.aws.sagemaker.monitoring.cron import Hours, read_expression, read_offset
from localcloud.aws.sagemaker.monitoring.jobs import (
    MonitoringJob,
    Window,
    data_inputs,
    of_definition,
    of_schedule,
    processing_request,
)
from localcloud.aws.sagemaker.monitoring.records import (
    NO_DATA,
    SCHEDULED,
    Execution,
    MonitoringSchedule,
    definitions_of,
    executions_of,
    schedules_of,
)


def job_of(schedule: MonitoringSchedule, backend: SageMakerModelBackend) -> MonitoringJob | None:
    """Return what a schedule runs; None when its job definition has been deleted."""
    if schedule.definition_name is None:
        return of_schedule(schedule.config["MonitoringJobDefinition"])
    definition = definitions_of(backend).get(schedule.definition_name)
    return of_definition(definition.request) if definition else None


def set_schedule(schedule: MonitoringSchedule, backend: SageMakerModelBackend, running: RunningJobs) -> None:
    """Put a schedule on the timer, if it is to run."""
    running.timer.remove(schedule.arn)
    if schedule.status != SCHEDULED or schedule.expression is None:
        return
    hours = read_expression(schedule.expression)
    if hours is None and not schedule.waits_to_run_once:
        return

    def run(scheduled: datetime) -> None:
        with changing(schedule):
            schedule.waits_to_run_once = False
        if schedules_of(backend).get(schedule.name) is schedule:
            if hours is not None:
                running.timer.set(schedule.arn, hours.after(scheduled), run)
            _execute(schedule, scheduled, backend, running)

    running.timer.set(schedule.arn, utc_now() if hours is None else hours.after(utc_now()), run)


def _execute(
    schedule: MonitoringSchedule, scheduled: datetime, backend: SageMakerModelBackend, running: RunningJobs
) -> None:
    """Start one execution: its processing job, or the reason why there is none."""
    job = job_of(schedule, backend)
    execution = Execution(schedule, scheduled, job.endpoint if job else None)
    name = f"model-monitoring-{scheduled:%Y%m%d%H%M}-{uuid.uuid4().hex[:24]}"
    with changing(execution):
        executions_of(backend)[name] = execution
    if job is None:
        execution.change(failure=f"Job definition {schedule.definition_name} does not exist.")
        return
    try:
        window = window_of(schedule, scheduled).moved(job.input)
        inputs = data_inputs(job, _base(job, backend), window, running.connections.objects())
        if not inputs:
            execution.change(failure=NO_DATA)
            return
        client = running.connections.client("sagemaker", backend.region_name)
        client.create_processing_job(**processing_request(job, name, inputs, window, schedule.name))
    except ClientError as error:
        execution.change(failure=error.response["Error"].get("Message") or str(error))
    except (JobFailedError, ValueError) as error:
        execution.change(failure=str(error))
    else:
        execution.change(job=name)
        stored = backend.processing_jobs[name]
        with changing(stored):
            vars(stored)["monitoring_schedule_arn"] = schedule.arn


def window_of(schedule: MonitoringSchedule, scheduled: datetime) -> Window:
    """Return the time that an execution looks at: as the schedule says, or since the time before."""
    times = schedule.config["ScheduleConfig"]
    if "DataAnalysisStartTime" in times and "DataAnalysisEndTime" in times:
        start, end = (read_offset(times[f"DataAnalysis{word}Time"]) for word in ("Start", "End"))
        return Window(scheduled, scheduled + start, scheduled + end)
    hours = read_expression(times["ScheduleExpression"])
    before = hours.before(scheduled) if isinstance(hours, Hours) else scheduled - timedelta(hours=1)
    return Window(scheduled, before, scheduled)


def _base(job: MonitoringJob, backend: SageMakerModelBackend) -> str:
    """Return the address below which the data lies."""
    if job.endpoint is None:
        return str(job.input["DataCapturedDestinationS3Uri"])
    endpoint = backend.endpoints.get(job.endpoint)
    if endpoint is None:
        message = f'Could not find endpoint "{job.endpoint}".'
        raise JobFailedError(message)
    return f"{endpoint.data_capture_config['DestinationS3Uri'].rstrip('/')}/{job.endpoint}"
