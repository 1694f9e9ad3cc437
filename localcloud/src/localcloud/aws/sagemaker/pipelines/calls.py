"""Carries out the steps that call an operation: the request, the wait, the properties, the failure and its retry.

A request goes to the cloud's own API, so that all that is checked there is checked.
"""

import re
import secrets
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.front import RunningJobs
from localcloud.aws.sagemaker.jobs.failures import REASON_LIMIT
from localcloud.aws.sagemaker.jobs.records import IN_PROGRESS, STOPPING, Record
from localcloud.aws.sagemaker.pipelines.definition import Step
from localcloud.aws.sagemaker.pipelines.kinds import CALLS
from localcloud.aws.sagemaker.pipelines.shapes import request_shape, typed

_NAME_LIMIT, _TUNING_NAME_LIMIT = 63, 32
_SUFFIX_LENGTH = 10
# the cloud's own calls meet neither throttling nor service faults, the other exception types of retry policies
_CLASSES = {"ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT"}


class CallFailedError(Exception):
    """A step has failed; `kind` is the exception type of retry policies, None for what is never retried."""

    def __init__(self, message: str, kind: str | None = None) -> None:
        """Keep both."""
        super().__init__(message)
        self.kind = kind


@dataclass
class StepCall:
    """A step that has begun.

    Args:
        step: What it is.
        arguments: Its arguments, resolved.
        attempts: How often it has been tried.
        began: When it was first tried, by the monotonic clock.
        name: The name of what it has created last.
        arn: Its ARN.
        retry_at: When it is tried again, by the monotonic clock; None while it runs.
        signature: What its result is kept under; empty when it is not cached.
    """

    step: Step
    arguments: dict[str, Any]
    attempts: int = 0
    began: float = field(default_factory=time.monotonic)
    name: str = ""
    arn: str = ""
    retry_at: float | None = None
    signature: str = ""


class Caller:
    """Carries out the steps of one execution."""

    def __init__(self, running: RunningJobs, backend: SageMakerModelBackend, client: Any, execution: Any) -> None:
        """Use boto3's `client` of the cloud itself; `execution` is moto's record."""
        self._running, self._backend, self._client = running, backend, client
        self._arn: str = execution.arn
        self._identity = self._arn.rpartition("/")[2]

    def create(self, call: StepCall) -> None:
        """Call the step's operation.

        Raises:
            CallFailedError: the cloud refused.
        """
        kind = CALLS[call.step.kind]
        shape: Any = request_shape(kind.operation)
        request = typed(call.arguments, shape)
        if kind.name_field:
            call.name = self._name(call.step, request.get(kind.name_field))
            request[kind.name_field] = call.name
            request["Tags"] = [*(request.get("Tags") or []), *self._tags(call.step)]
        call.attempts += 1
        call.retry_at = None
        if call.step.kind == "RegisterModel":
            self._ensure_group(request.get("ModelPackageGroupName"))
        answer = self._invoke(kind.operation, request)
        call.arn = answer[kind.arn_field]

    def ended(self, call: StepCall) -> bool:
        """Whether what the step waits for has succeeded; False while it runs.

        Raises:
            CallFailedError: it has failed.
        """
        job = CALLS[call.step.kind].job
        if job is None:
            return True
        stored = getattr(self._backend, job.table).get(call.name)
        if stored is None:  # deleted by somebody, or reset
            message = f"ClientError: {call.arn} does not exist any more."
            raise CallFailedError(message)
        status = getattr(stored, job.status_field)
        if status in {IN_PROGRESS, STOPPING}:
            return False
        if status == "Completed":
            return True
        reason = str(getattr(stored, "failure_reason", None) or "")
        if status == "Stopped":
            message = f"ClientError: {call.arn} was stopped."
            raise CallFailedError(message)
        internal = reason.startswith("InternalServerError")
        message = f"{'InternalServerError' if internal else 'ClientError'}: {reason}"
        raise CallFailedError(message, "SageMaker.JOB_INTERNAL_ERROR" if internal else None)

    def properties(self, call: StepCall) -> dict[str, Any]:
        """Return what references to the step can reach.

        Raises:
            CallFailedError: the cloud refused to describe it.
        """
        kind = CALLS[call.step.kind]
        names = {kind.name_field: call.name} if kind.name_field else {"ModelPackageName": call.arn}
        try:
            found: dict[str, Any] = getattr(self._client, kind.describe)(**names)
            if call.step.kind == "Tuning":  # AWS adds its training jobs, the best one first
                order = {"Maximize": "Descending", "Minimize": "Ascending"}
                objective = found["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
                listed = self._client.list_training_jobs_for_hyper_parameter_tuning_job(
                    **names, SortBy="FinalObjectiveMetricValue", SortOrder=order[objective["Type"]]
                )
                found["TrainingJobSummaries"] = listed["TrainingJobSummaries"]
        except (ClientError, BotoCoreError) as error:
            message = f"ClientError: {error}"
            raise CallFailedError(message) from error
        return found

    def stop(self, call: StepCall) -> None:
        """Ask what the step waits for to stop."""
        job = CALLS[call.step.kind].job
        stored = getattr(self._backend, job.table).get(call.name) if job else None
        if job is None or stored is None:
            return
        try:
            self._running.stop(Record(stored, job.status_field), job.word)
        except ValidationError:  # it has just ended
            return

    def plan_retry(self, call: StepCall, failure: CallFailedError) -> bool:
        """Decide when a step that failed is tried again; False when it is not."""
        policy = self._policy(call.step, failure.kind)
        if policy is None:
            return False
        most, minutes = policy.get("MaxAttempts"), policy.get("ExpireAfterMin")
        if most is not None and call.attempts > most:
            return False
        wait = policy.get("IntervalSeconds", 1) * policy.get("BackoffRate", 2.0) ** (call.attempts - 1)
        now = time.monotonic()
        if minutes is not None and now + wait > call.began + minutes * 60:
            return False
        call.retry_at = now + wait
        return True

    def word(self, call: StepCall, failure: CallFailedError) -> str:
        """Return the step's FailureReason."""
        message = str(failure)
        if failure.kind is not None and self._policy(call.step, failure.kind) is None:
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", failure.kind).replace(".", "_").upper()
            name = name.replace("SAGE_MAKER", "SAGEMAKER")
            message += (
                f"\nRetry not appropriate on execution of step with PipelineExecutionArn {self._arn} and StepId "
                f"{call.step.name}. No retry policy configured for the exception type {name}."
            )
        return message[:REASON_LIMIT]

    def _policy(self, step: Step, kind: str | None) -> Mapping[str, Any] | None:
        return next((policy for policy in step.retries if kind in policy["ExceptionType"]), None)

    def _invoke(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        method = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
        try:
            answer: dict[str, Any] = getattr(self._client, method)(**request)
        except ClientError as error:
            told, kind = error.response["Error"]["Message"], _CLASSES.get(error.response["Error"]["Code"])
        except BotoCoreError as error:
            told, kind = str(error), None
        else:
            return answer
        message = f"ClientError: Failed to invoke sagemaker:{operation}. Error Details: {told}"
        raise CallFailedError(message, kind)

    def _ensure_group(self, group: str | None) -> None:
        """Create the model package group of a RegisterModel step if it does not exist, as AWS does."""
        if group and not group.startswith("arn:") and group not in self._backend.model_package_groups:
            self._invoke("CreateModelPackageGroup", {"ModelPackageGroupName": group})

    def _name(self, step: Step, prefix: str | None) -> str:
        letters = string.ascii_letters + string.digits
        suffix = "".join(secrets.choice(letters) for _ in range(_SUFFIX_LENGTH))
        limit = _TUNING_NAME_LIMIT if step.kind == "Tuning" else _NAME_LIMIT
        if prefix:
            head, tail = "", prefix
        elif step.kind == "Tuning":
            head, tail = f"{self._identity}-", step.name
        else:
            head, tail = f"pipelines-{self._identity}-", step.name
        room = limit - len(head) - len(suffix) - 1
        return f"{head}{tail.replace('_', '-')[:room].strip('-')}-{suffix}"

    def _tags(self, step: Step) -> list[dict[str, str]]:
        return [
            {"Key": "sagemaker:pipeline-execution-arn", "Value": self._arn},
            {"Key": "sagemaker:pipeline-step-name", "Value": step.name},
        ]
