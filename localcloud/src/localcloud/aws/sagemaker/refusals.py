"""What moto pretends to do and nothing here does, refused by name; and what breaks moto, worded as AWS does."""

from typing import NoReturn

from moto.core.responses import ActionResult
from moto.sagemaker.exceptions import ResourceNotFound

from localcloud.aws.sagemaker.front import Front
from localcloud.aws.sagemaker.jobs.checks import unsupported


class Refusals(Front):
    """Operations whose jobs moto lets be born Completed, and descriptions that break moto."""

    def create_auto_ml_job(self) -> NoReturn:
        """Refuse (absent from moto)."""
        unsupported("AutoML (CreateAutoMLJob): no candidate is trained")

    def create_auto_ml_job_v2(self) -> NoReturn:
        """Refuse."""
        unsupported("AutoML (CreateAutoMLJobV2): no candidate is trained")

    def create_compilation_job(self) -> NoReturn:
        """Refuse."""
        unsupported("CreateCompilationJob: no model is compiled")

    def describe_experiment(self) -> ActionResult:
        """Word an unknown name as AWS does."""
        name = self._get_param("ExperimentName")
        if name not in self.sagemaker_backend.experiments:
            message = f"Experiment '{self._record_arn('experiment', name)}' does not exist."
            raise ResourceNotFound(message)
        return super().describe_experiment()

    def describe_feature_group(self) -> ActionResult:
        """Word an unknown name as AWS does."""
        name = self._get_param("FeatureGroupName")
        groups = self.sagemaker_backend.feature_groups
        if name not in groups and self._record_arn("feature-group", name.lower()) not in groups:
            message = f"Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name}."
            raise ResourceNotFound(message)
        return super().describe_feature_group()

    def _record_arn(self, kind: str, name: str) -> str:
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.current_account}:{kind}/{name}"
