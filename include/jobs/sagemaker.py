"""The provider's SageMaker operators with the guarantees of ``include.jobs.job_operator``, kind by kind.

What it does not do: endpoints (``include.jobs.endpoint``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerModelOperator,
    SageMakerProcessingOperator,
    SageMakerTrainingOperator,
    SageMakerTransformOperator,
    SageMakerTuningOperator,
    serialize,
)
from botocore.exceptions import ClientError

from include.connections import AWS_CONN_ID
from include.jobs.identity import as_tag_list, request_digest
from include.jobs.job_operator import PATIENT, JobOperator
from include.jobs.kinds import PROCESSING, TRAINING, TRANSFORM, TUNING
from include.jobs.task_instance import RETRIES, identity

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context


class TrainingJobOperator(JobOperator, SageMakerTrainingOperator):
    """Run a training job; its artifact is ``model``. The arguments are those of every job."""

    kind = TRAINING

    def _keep_for_lineage(self, description: dict[str, Any]) -> None:
        self.serialized_training_data = description


class ProcessingJobOperator(JobOperator, SageMakerProcessingOperator):
    """Run a processing job; each of its outputs is an artifact. The arguments are those of every job."""

    kind = PROCESSING

    def _keep_for_lineage(self, description: dict[str, Any]) -> None:
        self.serialized_job = description


class TransformJobOperator(JobOperator, SageMakerTransformOperator):  # type: ignore[misc] # the button is another one
    """Run a batch transform job of a model that exists; its artifact is ``predictions``."""

    kind = TRANSFORM

    def _keep_for_lineage(self, description: dict[str, Any]) -> None:
        self.serialized_transform = description
        self.serialized_model: dict[str, Any] = {}


class TuningJobOperator(JobOperator, SageMakerTuningOperator):
    """Run a hyperparameter tuning job; its artifact ``model`` and its metric are those of the best training job.

    Its ``instances`` are those of each of its training jobs.
    """

    kind = TUNING

    def _longest_wait(self) -> timedelta:
        """Bound all rounds of training jobs; a grid without a limit has one for each combination."""
        configuration = self.config["HyperParameterTuningJobConfig"]
        limits = configuration["ResourceLimits"]
        choices = configuration.get("ParameterRanges", {}).get("CategoricalParameterRanges", [])
        combinations = math.prod(len(each["Values"]) for each in choices)
        number = limits.get("MaxNumberOfTrainingJobs", combinations)
        rounds: int = math.ceil(number / limits["MaxParallelTrainingJobs"])
        return super()._longest_wait() * rounds


class ModelOperator(SageMakerModelOperator):
    """Create the model of this task instance and request, unless it exists; return ``{"Model": its description}``.

    A model has no states: its name holds the request's digest, so one that exists is the one that is wanted.

    Args:
        config: A CreateModel request; its name is a prefix.

    Raises:
        ClientError: the cloud refuses the request.
    """

    def __init__(self, *, config: dict[str, Any], **kwargs: Any) -> None:
        settings = {"aws_conn_id": AWS_CONN_ID, "botocore_config": PATIENT}
        super().__init__(config=config, **{**settings, **RETRIES, **kwargs})

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the model, or find it."""
        self.preprocess_config()
        task, digest = identity(context["ti"]), request_digest(self.config, "ModelName")
        name = task.name(self.config["ModelName"], f"request {digest}")
        tags = [*self.config.get("Tags", []), *as_tag_list(task.tags(digest))]
        try:
            self.hook.create_model({**self.config, "ModelName": name, "Tags": tags})
        except ClientError as error:
            if "already exist" not in str(error):
                raise
            self.log.info("%s exists", name)
        return {"Model": serialize(self.hook.describe_model(name))}
