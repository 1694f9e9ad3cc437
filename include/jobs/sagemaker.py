"""The provider's SageMaker operators as Flightdeck's DAGs use them: deferred, named, and never a silent success.

How it works: each operator is the provider's own with its waiting always deferred. Before it sends a request it makes
the name's prefix unique for this attempt of this task instance, and gives outputs a folder of that name. A job that
ends badly fails the task with the cloud's reason; a training job that ends well is only believed when its artifact
exists.

What it does not do: adopt the job of an earlier attempt, or stop a job whose task was killed. The tasks therefore have
no retries.

Known limitation: the provider's trigger polls each job by itself.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerModelOperator,
    SageMakerProcessingOperator,
    SageMakerTrainingOperator,
    SageMakerTransformOperator,
)

from include.connections import AWS_CONN_ID
from include.core.errors import ArtifactError, RemoteJobFailed
from include.core.lake import Lake
from include.core.polling import POLL_SECONDS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.core.model_spec import Instances

_START_AND_STOP_SECONDS = 1200
_MAX_NAME = 63


def unique_name(prefix: str, context: Context) -> str:
    """Return ``prefix`` with a digest of this attempt of this task instance, within SageMaker's 63 characters."""
    instance = context["ti"]
    identity = (
        instance.dag_id,
        instance.run_id,
        instance.task_id,
        str(instance.map_index),
        str(instance.try_number),
    )
    digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:12]
    return f"{prefix[: _MAX_NAME - len(digest) - 1]}-{digest}"


def _waiting(instances: Instances) -> dict[str, Any]:
    """Return the provider's arguments for a deferred wait as long as the job's own time limit and its start and end."""
    seconds = instances.max_runtime_seconds + _START_AND_STOP_SECONDS
    return {
        "aws_conn_id": AWS_CONN_ID,
        "deferrable": True,
        "wait_for_completion": True,
        "check_interval": POLL_SECONDS,
        "max_attempts": math.ceil(seconds / POLL_SECONDS),
        "action_if_job_exists": "fail",
    }


def _refuse_failure(kind: str, event: dict[str, Any] | None, description: dict[str, Any]) -> None:
    status = description[f"{kind}JobStatus"]
    if status == "Completed" and event is not None and event.get("status") == "success":
        return
    name = description[f"{kind}JobName"]
    reason = description.get("FailureReason") or (event or {}).get("message") or "no reason given"
    raise RemoteJobFailed(
        f"SageMaker {kind.lower()} job {name}",
        f"it ended as {status}: {reason}",
        rule="a job ends as Completed",
        remedy=f"read its log in the group /aws/sagemaker/{kind}Jobs, stream {name}/…, correct the cause and clear it",
    )


class TrainingJobOperator(SageMakerTrainingOperator):
    """Run a training job and return its description as ``{"Training": …}``.

    Args:
        config: A CreateTrainingJob request; its name is a prefix.
        instances: The machines, whose time limit bounds the wait.

    Raises:
        RemoteJobFailed: the job ended as Failed or Stopped.
        ArtifactError: the job ended as Completed and left no model.tar.gz, or an empty one.
    """

    def __init__(self, *, config: dict[str, Any], instances: Instances, **kwargs: Any) -> None:
        super().__init__(config=config, print_log=False, **_waiting(instances), **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the job and wait for it, deferred."""
        self.config["TrainingJobName"] = unique_name(self.config["TrainingJobName"], context)
        return self._with_artifact(super().execute(context))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the job's result, or fail with its reason."""
        job_name = (event or {})["job_name"]
        _refuse_failure("Training", event, self.hook.describe_training_job(job_name))
        return self._with_artifact(super().execute_complete(context, event))

    def _with_artifact(self, result: dict[str, Any]) -> dict[str, Any]:
        description = result["Training"]
        uri = description["ModelArtifacts"]["S3ModelArtifacts"]
        folder, _, name = uri.rpartition("/")
        if not Lake(S3Hook(aws_conn_id=self.aws_conn_id).get_conn(), folder).size(name):
            raise ArtifactError(
                f"SageMaker training job {description['TrainingJobName']}",
                f"it ended as Completed and left nothing at {uri}",
                rule="a training job writes its model to SM_MODEL_DIR",
                remedy="let train.py save the model there",
            )
        return result


class ProcessingJobOperator(SageMakerProcessingOperator):
    """Run a processing job, its outputs in folders of its name, and return its description as ``{"Processing": …}``.

    Args:
        config: A CreateProcessingJob request; its name is a prefix.
        instances: The machines, whose time limit bounds the wait.

    Raises:
        RemoteJobFailed: the job ended as Failed or Stopped.
    """

    def __init__(self, *, config: dict[str, Any], instances: Instances, **kwargs: Any) -> None:
        super().__init__(config=config, print_log=False, **_waiting(instances), **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the job and wait for it, deferred."""
        name = unique_name(self.config["ProcessingJobName"], context)
        self.config["ProcessingJobName"] = name
        for output in self.config["ProcessingOutputConfig"]["Outputs"]:
            output["S3Output"]["S3Uri"] += f"/{name}"
        result: dict[str, Any] = super().execute(context)
        return result

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the job's result, or fail with its reason."""
        job_name = (event or {})["job_name"]
        _refuse_failure("Processing", event, self.hook.describe_processing_job(job_name))
        result: dict[str, Any] = super().execute_complete(context, event)
        return result


class TransformJobOperator(SageMakerTransformOperator):
    """Run a batch transform job, its output in a folder of its name.

    Returns its description and its model's as ``{"Transform": …, "Model": …}``.

    Args:
        config: A CreateTransformJob request; its name is a prefix.
        instances: The machines, whose time limit bounds the wait.

    Raises:
        RemoteJobFailed: the job ended as Failed or Stopped.
    """

    def __init__(self, *, config: dict[str, Any], instances: Instances, **kwargs: Any) -> None:
        super().__init__(config=config, **_waiting(instances), **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the job and wait for it, deferred."""
        name = unique_name(self.config["TransformJobName"], context)
        self.config["TransformJobName"] = name
        self.config["TransformOutput"]["S3OutputPath"] += f"/{name}"
        result: dict[str, Any] = super().execute(context)
        return result

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the job's result, or fail with its reason."""
        job_name = (event or {})["job_name"]
        _refuse_failure("Transform", event, self.hook.describe_transform_job(job_name))
        result: dict[str, Any] = super().execute_complete(context, event)
        return result


class ModelOperator(SageMakerModelOperator):
    """Create a SageMaker model under a name of this attempt and return its description as ``{"Model": …}``.

    Args:
        config: A CreateModel request; its name is a prefix.
    """

    def __init__(self, *, config: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(config=config, aws_conn_id=AWS_CONN_ID, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the model."""
        self.config["ModelName"] = unique_name(self.config["ModelName"], context)
        result: dict[str, Any] = super().execute(context)
        return result
