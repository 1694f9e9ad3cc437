"""SageMaker's API: moto's, with our parts before it.

What it does not do: operations that moto lacks. They are answered at once with a 400 that names the operation (moto's
own answer is an HTML page with status 500, which clients retry for many seconds).
"""

import inspect
import json
import traceback

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import sagemaker_backends

from localcloud.aws.sagemaker.constraints import check_constraints
from localcloud.aws.sagemaker.endpoints import api as endpoints
from localcloud.aws.sagemaker.front import Front, RunningJobs
from localcloud.aws.sagemaker.listing import JobListings
from localcloud.aws.sagemaker.monitoring import api as monitoring
from localcloud.aws.sagemaker.pipelines import api as pipelines
from localcloud.aws.sagemaker.pipelines.executions import PipelineExecutions
from localcloud.aws.sagemaker.processing import api as processing
from localcloud.aws.sagemaker.refusals import Refusals
from localcloud.aws.sagemaker.registry.api import ModelRegistry
from localcloud.aws.sagemaker.search import Search
from localcloud.aws.sagemaker.training import api as training
from localcloud.aws.sagemaker.transform import api as transform
from localcloud.aws.sagemaker.tuning import api as tuning

# what each part does with the records that an earlier server left
RESUMED = (
    training.resume,
    processing.resume,
    transform.resume,
    endpoints.resume,
    tuning.resume,
    pipelines.resume,
    monitoring.resume,
)


def resume(running: RunningJobs) -> None:
    """Bring what was restored from an earlier server into a state that is true for this one."""
    for regions in sagemaker_backends.values():
        for backend in regions.values():
            for part in RESUMED:
                part(backend, running)


class LocalSageMaker(
    training.TrainingJobs,
    processing.ProcessingJobs,
    transform.TransformJobs,
    endpoints.Endpoints,
    tuning.TuningJobs,
    ModelRegistry,
    monitoring.Monitoring,
    PipelineExecutions,
    JobListings,
    Search,
    Refusals,
):
    """All operations."""

    def call_action(self) -> TYPE_RESPONSE:
        """Answer what moto lacks, and what breaks it, with an error that no client retries."""
        operation = self._get_action()
        method = camelcase_to_underscores(operation)
        # helpers of the parts have names that SageMaker's generic jobs have as well: CreateJob, StopJob
        if not inspect.isfunction(getattr(type(self), method, None)) or method in vars(Front):
            return _refusal(f"localcloud does not implement the SageMaker operation {operation}")
        try:
            check_constraints(operation, self.request_body())
            return super().call_action()
        except ValidationError as error:
            return self.serialized(ActionResult(error))
        except (AttributeError, KeyError, TypeError) as error:
            if any(method in vars(part) for part in type(self).__mro__ if part.__module__.startswith(__package__)):
                raise
            traceback.print_exc()
            return _refusal(f"localcloud: moto's {operation} cannot take this request: {error!r}")


def _refusal(message: str) -> TYPE_RESPONSE:
    body = json.dumps({"__type": "UnsupportedOperation", "message": message})
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": "UnsupportedOperation"}
    return 400, headers, body
