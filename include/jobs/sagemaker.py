"""The provider's SageMaker operators with one remote job for a task, and never a silent success.

Purpose: a retry, a crash or a clear of a task buys no second job and takes no other job's result, and a task is green
only when its job completed and left its artifacts.

How it works: ``execute`` finds or creates the task's job (``include.jobs.attempts``) and waits for it, deferred;
``resume`` looks at what it became (``include.jobs.completion``) and returns a small record (``include.jobs.result``).
Both compute everything from the task instance and the request, so any process can go on where another one died. An
error that no other try can change fails the task at once; every other one is left to the task's retries, which these
operators have by default, as they are safe.

To ask for a new job on purpose, clear a task that succeeded. To correct the request of a running job, stop the job.

What it does not do: stop the job of a task that was killed, marked or timed out.

Known limitation: the provider's trigger polls each job by itself.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.links.sagemaker import SageMakerTransformJobLink
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerBaseOperator,
    SageMakerModelOperator,
    SageMakerProcessingOperator,
    SageMakerTrainingOperator,
    SageMakerTransformOperator,
    serialize,
)
from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError

from include.connections import AWS_CONN_ID, deployment_id
from include.core.errors import RemoteJobInterrupted, TerminalError
from include.core.polling import POLL_SECONDS
from include.jobs.attempts import Attempts, hand_on
from include.jobs.completion import Completion
from include.jobs.identity import TaskIdentity, as_tag_list, request_digest
from include.jobs.kinds import PROCESSING, TRAINING, TRANSFORM, Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from include.core.model_spec import Instances
    from include.jobs.attempts import Attempt
    from include.jobs.kinds import JobKind

RETRIES: dict[str, Any] = {"retries": 3, "retry_delay": timedelta(seconds=POLL_SECONDS)}
_START_AND_STOP_SECONDS = 1200


@contextmanager
def _terminal_errors_fail_now() -> Iterator[None]:
    try:
        yield
    except TerminalError as error:
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def _identity(context: Context) -> TaskIdentity:
    instance = context["ti"]
    return TaskIdentity(
        deployment_id(),
        instance.dag_id,
        instance.run_id,
        instance.task_id,
        -1 if instance.map_index is None else instance.map_index,
    )


class _JobOperator(SageMakerBaseOperator):
    """What the operators of all kinds of job do; stands before the provider's operator of that kind.

    Args:
        config: The request; its name is a prefix, and its outputs get a folder of the job's name.
        instances: The machines, whose time limit and time to start and stop bound the wait.

    Raises:
        AirflowFailException: trying again changes nothing; its message begins with the error's name: RemoteJobFailed,
            ArtifactError, RequestConflict, RequestRefused.
        RemoteJobInterrupted: trying again can help.
    """

    kind: ClassVar[JobKind]
    # the provider's operators of the kinds set them from their arguments
    check_interval: int
    max_attempts: int

    def __init__(self, *, config: dict[str, Any], instances: Instances, **kwargs: Any) -> None:
        seconds = instances.max_runtime_seconds + _START_AND_STOP_SECONDS
        waiting = {
            "aws_conn_id": AWS_CONN_ID,
            "deferrable": True,
            "wait_for_completion": True,
            "check_interval": POLL_SECONDS,
            "max_attempts": math.ceil(seconds / POLL_SECONDS),
        }
        super().__init__(config=config, **{**waiting, **RETRIES, **kwargs})

    def execute(self, context: Context) -> dict[str, Any]:
        """Find or create the job; return its result, or wait for it deferred."""
        with _terminal_errors_fail_now():
            return self._run(context)

    def resume(
        self, context: Context, event: dict[str, Any], job: str, attempt: int, *, adopted: bool
    ) -> dict[str, Any]:
        """Return the result of the job that the task waited for, or fail with its reason.

        An adopted job that was stopped was somebody else's to stop (a try that was cleared, perhaps): it is replaced.
        """
        with _terminal_errors_fail_now():
            description = self.kind.describe(self.hook.conn, job)
            if description is None:
                raise RemoteJobInterrupted(
                    job,
                    f"it is gone; the trigger said {event}",
                    rule="a job stays until its task has its result",
                    remedy="a retry creates it again",
                )
            if adopted and self._completion().stopped_by_somebody(description):
                self.log.info("%s, which was adopted, was stopped", job)
                return self._run(context)
            return self._finish(context, description, attempt, adopted=adopted)

    def _run(self, context: Context) -> dict[str, Any]:
        self.preprocess_config()
        attempts = Attempts(
            self.hook.conn,
            self.kind,
            self.config,
            _identity(context),
            turn=context["ti"].max_tries,
            missing=self._completion().missing,
        )
        attempt = attempts.find_or_create()
        if attempt.description is not None and self.kind.ending(attempt.description) is Ending.COMPLETED:
            return self._finish(context, attempt.description, attempt.number, adopted=True)
        self._wait(context, attempt)
        message = "deferring a task ends it"
        raise AssertionError(message)

    def _wait(self, context: Context, attempt: Attempt) -> None:  # noqa: ARG002 - for what a kind shows meanwhile
        self.defer(
            timeout=self.execution_timeout,
            trigger=SageMakerTrigger(
                job_name=attempt.name,
                job_type=self.kind.word,
                waiter_delay=self.check_interval,
                waiter_max_attempts=self.max_attempts,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="resume",
            kwargs={"job": attempt.name, "attempt": attempt.number, "adopted": attempt.adopted},
        )

    def _finish(self, context: Context, description: dict[str, Any], attempt: int, *, adopted: bool) -> dict[str, Any]:
        result = self._completion().result(description, attempts=attempt, adopted=adopted)
        self._keep_for_lineage(serialize(description))
        hand_on(self.hook.conn, result.arn, context["ti"].max_tries)
        return result.model_dump(mode="json")

    def _completion(self) -> Completion:
        s3, logs = S3Hook(**self._hook_parameters), AwsLogsHook(**self._hook_parameters)
        return Completion(self.kind, s3.get_conn, logs.get_conn)

    def _keep_for_lineage(self, description: dict[str, Any]) -> None:
        """Keep what the provider's OpenLineage method of this kind reads."""
        raise NotImplementedError


class TrainingJobOperator(_JobOperator, SageMakerTrainingOperator):
    """Run a training job; its artifact is ``model``. The arguments are those of every job."""

    kind = TRAINING

    def _keep_for_lineage(self, description: dict[str, Any]) -> None:
        self.serialized_training_data = description


class ProcessingJobOperator(_JobOperator, SageMakerProcessingOperator):
    """Run a processing job; each of its outputs is an artifact. The arguments are those of every job."""

    kind = PROCESSING

    def _keep_for_lineage(self, description: dict[str, Any]) -> None:
        self.serialized_job = description


class TransformJobOperator(_JobOperator, SageMakerTransformOperator):
    """Run a batch transform job of a model that exists; its artifact is ``predictions``."""

    kind = TRANSFORM

    def _wait(self, context: Context, attempt: Attempt) -> None:
        SageMakerTransformJobLink.persist(
            context=context,
            operator=self,
            region_name=self.hook.conn_region_name,
            aws_partition=self.hook.conn_partition,
            job_name=quote(attempt.name, safe=""),
        )
        super()._wait(context, attempt)

    def _keep_for_lineage(self, description: dict[str, Any]) -> None:
        self.serialized_transform = description
        self.serialized_model: dict[str, Any] = {}


class ModelOperator(SageMakerModelOperator):
    """Create the model of this task instance and request, unless it exists; return ``{"Model": its description}``.

    A model has no states: its name holds the request's digest, so one that exists is the one that is wanted.

    Args:
        config: A CreateModel request; its name is a prefix.

    Raises:
        ClientError: the cloud refuses the request.
    """

    def __init__(self, *, config: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(config=config, aws_conn_id=AWS_CONN_ID, **{**RETRIES, **kwargs})

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the model, or find it."""
        self.preprocess_config()
        task, digest = _identity(context), request_digest(self.config, "ModelName")
        name = task.name(self.config["ModelName"], f"request {digest}")
        tags = [*self.config.get("Tags", []), *as_tag_list(task.tags(digest))]
        try:
            self.hook.create_model({**self.config, "ModelName": name, "Tags": tags})
        except ClientError as error:
            if "already exist" not in str(error):
                raise
            self.log.info("%s exists", name)
        return {"Model": serialize(self.hook.describe_model(name))}
