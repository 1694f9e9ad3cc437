"""The kinds of step that call an operation of SageMaker: which one, and how its answer is read."""

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.aws.sagemaker.front import JobKind
from localcloud.aws.sagemaker.processing.api import PROCESSING
from localcloud.aws.sagemaker.training.api import TRAINING
from localcloud.aws.sagemaker.transform.api import TRANSFORM
from localcloud.aws.sagemaker.tuning.api import TUNING


@dataclass(frozen=True)
class Call:
    """How one kind of step is carried out.

    Args:
        operation: SageMaker's operation, as in "CreateTrainingJob".
        name_field: The request's field for the name that AWS makes up; None where there is none.
        arn_field: The answer's field for the ARN.
        metadata: The step's metadata, as in "TrainingJob".
        describe: boto3's method whose answer are the step's properties; it takes `name_field` or the ARN.
        job: What the step waits for; None when the call is all.
    """

    operation: str
    name_field: str | None
    arn_field: str
    metadata: str
    describe: str
    job: JobKind | None = None


CALLS: Mapping[str, Call] = {
    "Training": Call(
        "CreateTrainingJob", "TrainingJobName", "TrainingJobArn", "TrainingJob", "describe_training_job", TRAINING
    ),
    "Processing": Call(
        "CreateProcessingJob",
        "ProcessingJobName",
        "ProcessingJobArn",
        "ProcessingJob",
        "describe_processing_job",
        PROCESSING,
    ),
    "Transform": Call(
        "CreateTransformJob", "TransformJobName", "TransformJobArn", "TransformJob", "describe_transform_job", TRANSFORM
    ),
    "Tuning": Call(
        "CreateHyperParameterTuningJob",
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobArn",
        "TuningJob",
        "describe_hyper_parameter_tuning_job",
        TUNING,
    ),
    "Model": Call("CreateModel", "ModelName", "ModelArn", "Model", "describe_model"),
    "RegisterModel": Call("CreateModelPackage", None, "ModelPackageArn", "RegisterModel", "describe_model_package"),
}
