"""Operators of Vertex AI's jobs with the guarantees that SageMaker's have (``include.jobs.job_operator``).

How it works: their arguments are called as those of the google provider's operators, but they do not subclass them:
importing these costs seconds of CPU at every parse. What a job needs is imported when the task runs.

What they do not do: show a button to Google's console; tell OpenLineage of the job.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout, TaskDeferralTimeout

from include.core.errors import RemoteJobInterrupted
from include.core.polling import POLL_SECONDS
from include.jobs.ending import Ending
from include.jobs.task_instance import RETRIES, identity, terminal_errors_fail_now
from include.jobs.task_states import was_ended
from include.jobs.vertex_identity import DEPLOYMENT_LABEL, deployment_label
from include.jobs.vertex_kinds import BATCH_PREDICTION, CUSTOM

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.jobs.vertex_attempts import VertexAttempt, VertexAttempts
    from include.jobs.vertex_completion import VertexCompletion
    from include.jobs.vertex_kinds import VertexKind

_START_AND_STOP_SECONDS = 1200
_JITTER = 0.1


class VertexJobOperator(BaseOperator):
    """What the operators of all kinds of Vertex AI job do.

    Args:
        request: The job's message as a plain document; its display name is a prefix, and its output, which it has to
            name, gets a folder of the job's own.
        max_runtime_seconds: Seconds after which the job should have ended, but for what a machine needs to start and
            stop.
        project_id: The project.
        region: The region.
        gcp_conn_id: The Airflow connection.
        impersonation_chain: Accounts to act as, if any.
        deferrable: Whether to wait in the triggerer (the default) or in the worker.
        poll_interval: Seconds between two looks.

    Raises:
        AirflowFailException: trying again changes nothing; its message begins with the error's name: RemoteJobFailed,
            ArtifactError, RequestConflict, RequestRefused.
        RemoteJobInterrupted: trying again can help.
    """

    kind: ClassVar[VertexKind]
    template_fields = ("request", "project_id", "region", "gcp_conn_id", "impersonation_chain")

    def __init__(
        self,
        *,
        request: dict[str, Any],
        max_runtime_seconds: int,
        project_id: str,
        region: str,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: list[str] | None = None,
        deferrable: bool = True,
        poll_interval: float = POLL_SECONDS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**RETRIES, **kwargs})
        self.request = request
        self.max_runtime_seconds = max_runtime_seconds
        self.project_id = project_id
        self.region = region
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self._context: Context | None = None
        self._opened: Any = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Find or create the job, wait for it, return its result."""
        with terminal_errors_fail_now():
            return self._run(context)

    def resume(
        self, context: Context, event: dict[str, Any], job: str, attempt: int, *, adopted: bool
    ) -> dict[str, Any]:
        """Return the result of the job that the task waited for, or fail with its reason."""
        with terminal_errors_fail_now():
            found = self._get(job)
            if "error" in event and self.kind.ending(found) is None:
                raise RemoteJobInterrupted(
                    job,
                    f"it runs, and its state could not be followed: {event['error']}",
                    rule="the connection may list jobs",
                    remedy="give the connection's account the permission; a retry waits for the job again",
                )
            return self._ended(context, found, attempt, adopted=adopted)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral; when it was its timeout that ended it, cancel the job and fail."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            self._stop_jobs(context)
            raise

    def on_kill(self) -> None:
        """Cancel the job if a user ended the task.

        Raises:
            AirflowFailException: a user did; without it the task would go on until it is killed, and create a job.
        """
        if self._context is not None and was_ended(self._context["ti"]):
            self._stop_jobs(self._context)
            message = "the task was ended from outside"
            raise AirflowFailException(message)

    def open_client(self) -> Any:
        """Return a JobServiceClient."""
        return self._connection().client()

    def open_storage(self) -> Any:
        """Return a Cloud Storage client."""
        from airflow.providers.google.cloud.hooks.gcs import GCSHook  # noqa: PLC0415 - a DAG file stays cheap

        return GCSHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain).get_conn()

    @property
    def _client(self) -> Any:
        if self._opened is None:
            self._opened = self.open_client()
        return self._opened

    def _run(self, context: Context) -> dict[str, Any]:
        self._context = context
        try:
            attempt = self._attempts(context).find_or_create()
            if self.kind.ending(attempt.job) is Ending.COMPLETED:
                return self._finish(context, attempt.job, attempt.number, adopted=attempt.adopted)
            if self.deferrable:
                self._defer(context, attempt)
            return self._ended(context, self._wait(attempt), attempt.number, adopted=attempt.adopted)
        except AirflowTaskTimeout:
            self._stop_jobs(context)
            raise

    def _longest_wait(self) -> timedelta:
        return timedelta(seconds=self.max_runtime_seconds + _START_AND_STOP_SECONDS)

    def _defer(self, context: Context, attempt: VertexAttempt) -> None:
        from flightdeck_triggers.vertex_state import VertexStateTrigger  # noqa: PLC0415 - as above

        deployment = deployment_label(identity(context["ti"]).deployment)
        self.defer(
            timeout=self.execution_timeout,
            trigger=VertexStateTrigger(
                noun=self.kind.noun,
                name=attempt.name,
                selection=f'labels.{DEPLOYMENT_LABEL}="{deployment}"',
                until=(datetime.now(UTC) + self._longest_wait()).isoformat(),
                poll_seconds=self.poll_interval,
                gcp_conn_id=self.gcp_conn_id,
                impersonation_chain=self.impersonation_chain or [],
            ),
            method_name="resume",
            kwargs={"job": attempt.name, "attempt": attempt.number, "adopted": attempt.adopted},
        )

    def _wait(self, attempt: VertexAttempt) -> Any:
        """Return the job when it has ended, or when it should have."""
        deadline = time.monotonic() + self._longest_wait().total_seconds()
        while True:
            job = self._get(attempt.name)
            if self.kind.ending(job) is not None or time.monotonic() > deadline:
                return job
            time.sleep(self.poll_interval * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - spreads calls

    def _get(self, name: str) -> Any:
        job = self.kind.get(self._client, name)
        if job is None:
            raise RemoteJobInterrupted(
                name,
                "it is gone",
                rule="a job stays until its task has its result",
                remedy="a retry creates it again",
            )
        return job

    def _ended(self, context: Context, job: Any, attempt: int, *, adopted: bool) -> dict[str, Any]:
        """Return a job's result; replace an adopted one that was somebody else's to stop (a cleared try's, perhaps)."""
        self._attempts(context).cancel_duplicates()
        if adopted and self.kind.ending(job) is Ending.STOPPED:
            self.log.info("%s, which was adopted, was cancelled", job.name)
            return self._run(context)
        return self._finish(context, job, attempt, adopted=adopted)

    def _finish(self, context: Context, job: Any, attempt: int, *, adopted: bool) -> dict[str, Any]:
        completion = self._completion()
        result = completion.result(job, attempts=attempt, adopted=adopted)
        completion.hand_on(job, context["ti"].max_tries)
        return result.model_dump(mode="json")

    def _attempts(self, context: Context) -> VertexAttempts:
        from include.jobs.vertex_attempts import VertexAttempts  # noqa: PLC0415 - as above

        return VertexAttempts(
            self._client,
            f"projects/{self.project_id}/locations/{self.region}",
            self.kind,
            self.request,
            identity(context["ti"]),
            turn=context["ti"].max_tries,
            completion=self._completion(),
        )

    def _stop_jobs(self, context: Context) -> None:
        for job in self._attempts(context).stop():
            self.log.info("Cancelled %s", job)

    def _completion(self) -> VertexCompletion:
        from include.jobs.vertex_completion import VertexCompletion  # noqa: PLC0415 - as above

        return VertexCompletion(self.kind, self.open_storage)

    def _connection(self) -> Any:
        from flightdeck_triggers.vertex_board import VertexConnection  # noqa: PLC0415 - as above

        return VertexConnection(self.gcp_conn_id, tuple(self.impersonation_chain or ()), self.region)


class CustomTrainingOperator(VertexJobOperator):
    """Run a custom job, of containers or of a Python package; its artifact is ``model``, what it left in AIP_MODEL_DIR.

    The arguments are those of every job.
    """

    kind = CUSTOM


class BatchPredictionOperator(VertexJobOperator):
    """Run a batch prediction of a model version that exists; its artifact is ``predictions``."""

    kind = BATCH_PREDICTION
