"""What the operators of all kinds of SageMaker job do: one remote job for a task, none left behind.

Purpose: a retry, a crash or a clear of a task buys no second job and takes no other job's result; a task that is
killed, marked or timed out stops its job; a task is green only when its job completed and left its artifacts.

How it works: ``execute`` finds or creates the task's job (``include.jobs.attempts``) and waits for it, deferred or in
the worker; then it looks at what it became (``include.jobs.completion``) and returns a small record
(``include.jobs.result``). All of it follows from the task instance and the request, so any process can go on where
another one died. An error that no other try can change fails the task at once; every other one is left to the task's
retries, which these operators have by default, as they are safe.

Who stops the job: of a deferred task the trigger (``flightdeck_triggers.sagemaker_state``), after its timeout the task
itself too; of a running task ``on_kill`` when a user has ended it, not when a worker goes down or the task was cleared:
the next try adopts the job; after ``execution_timeout`` the task itself. What none of them sees is left to the reaper
(``include.jobs.reaper``).

To ask for a new job on purpose, clear a task that succeeded. To correct the request of a running job, stop the job.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerBaseOperator, serialize
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout, TaskDeferralTimeout

from flightdeck_triggers.sagemaker_state import SageMakerStateTrigger
from include.connections import AWS_CONN_ID
from include.core.errors import RemoteJobInterrupted
from include.core.polling import POLL_SECONDS
from include.jobs.attempts import Attempts, hand_on
from include.jobs.completion import Completion
from include.jobs.console import SageMakerJobLink, show_job
from include.jobs.ending import Ending
from include.jobs.task_instance import RETRIES, identity, terminal_errors_fail_now
from include.jobs.task_states import was_ended

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.core.model_spec import Instances
    from include.jobs.attempts import Attempt
    from include.jobs.kinds import JobKind

PATIENT: dict[str, Any] = {"retries": {"mode": "standard", "max_attempts": 15}}
"""botocore's settings: a call that is throttled or meets a server's fault is repeated for about two minutes."""
CLOCKS_DIFFER = timedelta(minutes=5)
"""How far the worker's clock may be from the cloud's, for what is looked for by the cloud's times."""
_START_AND_STOP_SECONDS = 1200
_JITTER = 0.1


class JobOperator(SageMakerBaseOperator):
    """What the operators of all kinds of job do; stands before the provider's operator of that kind.

    Args:
        config: The request; its name is a prefix, and its outputs get a folder of the job's name.
        instances: The machines, whose time limit and time to start and stop bound the wait.
        deferrable: Whether to wait in the triggerer (the default) or in the worker.

    Raises:
        AirflowFailException: trying again changes nothing; its message begins with the error's name: RemoteJobFailed,
            ArtifactError, RequestConflict, RequestRefused.
        RemoteJobInterrupted: trying again can help.
    """

    kind: ClassVar[JobKind]
    operator_extra_links = (SageMakerJobLink(),)
    # the provider's operators of the kinds set them from their arguments
    check_interval: int
    deferrable: bool

    def __init__(self, *, config: dict[str, Any], instances: Instances, **kwargs: Any) -> None:
        waiting = {
            "aws_conn_id": AWS_CONN_ID,
            "botocore_config": PATIENT,
            "deferrable": True,
            "wait_for_completion": True,
            "check_interval": POLL_SECONDS,
        }
        super().__init__(config=config, **{**waiting, **RETRIES, **kwargs})
        self.job_seconds = instances.max_runtime_seconds + _START_AND_STOP_SECONDS
        self._context: Context | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Find or create the job, wait for it, return its result."""
        with terminal_errors_fail_now():
            return self._run(context)

    def resume(
        self, context: Context, event: dict[str, Any], job: str, attempt: int, *, adopted: bool
    ) -> dict[str, Any]:
        """Return the result of the job that the task waited for, or fail with its reason."""
        with terminal_errors_fail_now():
            description = self.kind.describe(self.hook.conn, job)
            if description is None:
                raise _gone(job)
            if "error" in event and self.kind.ending(description) is None:
                raise RemoteJobInterrupted(
                    job,
                    f"it runs, and its state could not be followed: {event['error']}",
                    rule="the connection may list jobs",
                    remedy="give the connection's role the permission; a retry waits for the job again",
                )
            return self._ended(context, description, attempt, adopted=adopted)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral; when it was its timeout that ended it, stop the job and fail."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            self._stop_jobs(context)
            raise

    def on_kill(self) -> None:
        """Stop the job if a user ended the task.

        Raises:
            AirflowFailException: a user did; without it the task would go on until it is killed, and create a job.
        """
        if self._context is not None and was_ended(self._context["ti"]):
            self._stop_jobs(self._context)
            message = "the task was ended from outside"
            raise AirflowFailException(message)

    def _run(self, context: Context) -> dict[str, Any]:
        self._context = context
        try:
            self.preprocess_config()
            attempt = self._attempts(context).find_or_create()
            show_job(context, self, self.hook, self.kind, attempt.name)
            described = attempt.description
            if described is not None and self.kind.ending(described) is Ending.COMPLETED:
                return self._finish(context, described, attempt.number, adopted=True)
            if self.deferrable:
                self._defer(attempt)
            return self._ended(context, self._wait(attempt), attempt.number, adopted=attempt.adopted)
        except AirflowTaskTimeout:
            self._stop_jobs(context)
            raise

    def _longest_wait(self) -> timedelta:
        """Return how long a job that is now begun may take with all that AWS does before and after."""
        return timedelta(seconds=self.job_seconds)

    def _defer(self, attempt: Attempt) -> None:
        now = datetime.now(UTC)
        created = now if attempt.description is None else attempt.description["CreationTime"]
        self.defer(
            timeout=self.execution_timeout,
            trigger=SageMakerStateTrigger(
                kind=self.kind.word,
                name=attempt.name,
                since=(created - CLOCKS_DIFFER).isoformat(),
                until=(now + self._longest_wait()).isoformat(),
                poll_seconds=self.check_interval,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="resume",
            kwargs={"job": attempt.name, "attempt": attempt.number, "adopted": attempt.adopted},
        )

    def _wait(self, attempt: Attempt) -> dict[str, Any]:
        """Return the description of the job when it has ended, or when it should have."""
        deadline = time.monotonic() + self._longest_wait().total_seconds()
        while True:
            description = self.kind.describe(self.hook.conn, attempt.name)
            if description is None:
                raise _gone(attempt.name)
            if self.kind.ending(description) is not None or time.monotonic() > deadline:
                return description
            time.sleep(self.check_interval * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - spreads calls

    def _ended(self, context: Context, description: dict[str, Any], attempt: int, *, adopted: bool) -> dict[str, Any]:
        """Return a job's result; replace an adopted one that was somebody else's to stop (a cleared try's, perhaps)."""
        if adopted and self._completion().stopped_by_somebody(description):
            self.log.info("%s, which was adopted, was stopped", description[self.kind.name_field])
            return self._run(context)
        return self._finish(context, description, attempt, adopted=adopted)

    def _finish(self, context: Context, description: dict[str, Any], attempt: int, *, adopted: bool) -> dict[str, Any]:
        result = self._completion().result(description, attempts=attempt, adopted=adopted)
        self._keep_for_lineage(serialize(description))
        hand_on(self.hook.conn, result.arn, context["ti"].max_tries)
        return result.model_dump(mode="json")

    def _attempts(self, context: Context) -> Attempts:
        return Attempts(
            self.hook.conn,
            self.kind,
            self.config,
            identity(context["ti"]),
            turn=context["ti"].max_tries,
            missing=self._completion().missing,
        )

    def _stop_jobs(self, context: Context) -> None:
        for job in self._attempts(context).stop():
            self.log.info("Stopped %s", job)

    def _completion(self) -> Completion:
        s3, logs = S3Hook(**self._hook_parameters), AwsLogsHook(**self._hook_parameters)
        return Completion(self.kind, s3.get_conn, logs.get_conn)

    def _keep_for_lineage(self, description: dict[str, Any]) -> None:
        """Keep what the provider's OpenLineage method of this kind reads."""


def _gone(job: str) -> RemoteJobInterrupted:
    return RemoteJobInterrupted(
        job,
        "it is gone",
        rule="a job stays until its task has its result",
        remedy="a retry creates it again",
    )
