"""SageMaker's API: moto's, with jobs that are handed to the engine instead of being Completed at birth.

How it works: moto's Response class is subclassed (its backend class cannot be: moto derives service names from that
class's module). `super()` stores the record, so that List, Search and Tags go on working; the record is put back to
InProgress and a run follows it to its end.

What it does not do: operations that moto lacks. They are answered at once with a 400 that names the operation (moto's
own answer is an HTML page with status 500, which clients retry for many seconds).
"""

import copy
import json
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import camelcase_to_underscores, method_names_from_class
from moto.sagemaker.exceptions import ResourceInUseException, ValidationError
from moto.sagemaker.responses import SageMakerResponse

from localcloud.aws.connections import Connections
from localcloud.aws.execution import Surroundings
from localcloud.aws.processing import ProcessingRun
from localcloud.aws.records import Record
from localcloud.aws.training import TrainingRun
from localcloud.aws.transform import TransformRun
from localcloud.aws.validation import check_container, check_processing, check_training, check_transform
from localcloud.engine.engine import Engine, Job, Work

TRAINING, PROCESSING, TRANSFORM = "training", "processing", "transform"


class RunningJobs:
    """The jobs of this server that a client can stop."""

    def __init__(self, engine: Engine, connections: Connections) -> None:
        """Start without jobs."""
        self.engine = engine
        self.connections = connections
        # one creation at a time: looking a name up and storing it must not be interrupted
        self.creating = threading.Lock()
        self._jobs: dict[str, tuple[Job, Record]] = {}

    def start(self, kind: str, name: str, record: Record, work: Work) -> None:
        """Hand a job to the engine."""
        self._jobs[record.get("arn")] = (self.engine.submit(kind, name, work), record)

    def stop(self, arn: str, kind: str) -> None:
        """Ask a job to stop, or refuse as AWS does when it has already ended."""
        job, record = self._jobs[arn]
        if not record.begin_stopping():
            message = f"The request was rejected because the {kind} job is in status {record.status}."
            raise ValidationError(message)
        job.stop.request()

    def abandon(self) -> None:
        """End all jobs and forget them: moto's records were reset."""
        self.engine.abandon("reset")
        self._jobs.clear()


class LocalSageMaker(SageMakerResponse):
    """The operations that differ from moto's."""

    running: ClassVar[RunningJobs]

    def call_action(self) -> TYPE_RESPONSE:
        """Answer an operation that moto lacks with an error that no client retries."""
        operation = self._get_action()
        if camelcase_to_underscores(operation) in method_names_from_class(self.__class__):
            return super().call_action()
        message = f"localcloud does not implement the SageMaker operation {operation}"
        body = json.dumps({"__type": "UnsupportedOperation", "message": message})
        headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": "UnsupportedOperation"}
        return 400, headers, body

    def create_model(self) -> ActionResult:
        """Refuse a name that is taken (moto overwrites)."""
        existing = self.sagemaker_backend._models.get(self._get_param("ModelName"))  # noqa: SLF001 - moto offers no other
        if existing is not None:
            message = f'Cannot create already existing model "{existing.arn}".'
            raise ValidationError(message)
        return super().create_model()

    def create_training_job(self) -> ActionResult:
        """Store and start a training job."""
        request = self._request()
        image = check_training(request, self.running.connections.objects(), self.region)
        definitions = copy.deepcopy(request["AlgorithmSpecification"].get("MetricDefinitions"))
        name = request["TrainingJobName"]
        table = self.sagemaker_backend.training_jobs
        rule = "Training job names must be unique within an AWS account and Region, and a training job"

        def run(record: Record) -> Work:
            algorithm = {k: v for k, v in record.get("algorithm_specification").items() if k != "MetricDefinitions"}
            # moto replaces the user's definitions by one of its own
            record.set(algorithm_specification=algorithm | ({"MetricDefinitions": definitions} if definitions else {}))
            return TrainingRun(self._surroundings(), record, request, image)

        return self._create(TRAINING, name, table, rule, super().create_training_job, run)

    def describe_training_job(self) -> ActionResult:
        """Word an unknown name as AWS does."""
        self._known(TRAINING)
        return super().describe_training_job()

    def stop_training_job(self) -> EmptyResult:
        """Stop a training job (absent from moto)."""
        return self._stop(TRAINING)

    def create_processing_job(self) -> ActionResult:
        """Store and start a processing job."""
        request = self._request()
        image = check_processing(request)
        table = self.sagemaker_backend.processing_jobs

        def run(record: Record) -> Work:
            return ProcessingRun(self._surroundings(), record, request, image)

        rule = "Job name must be unique within an AWS account and region, and a job"
        name = request["ProcessingJobName"]
        return self._create(PROCESSING, name, table, rule, super().create_processing_job, run)

    def describe_processing_job(self) -> ActionResult:
        """Word an unknown name as AWS does."""
        self._known(PROCESSING)
        return super().describe_processing_job()

    def stop_processing_job(self) -> EmptyResult:
        """Stop a processing job."""
        return self._stop(PROCESSING)

    def create_transform_job(self) -> ActionResult:
        """Store and start a batch transform job."""
        request = self._request()
        model = self.sagemaker_backend._models.get(request["ModelName"])  # noqa: SLF001 - moto offers no other way
        if model is None:
            message = f'Could not find model "{request["ModelName"]}".'
            raise ValidationError(message)
        container = self._container(model.primary_container or model.containers[0])
        check_container(container)
        check_transform(request, self.running.connections.objects(), model.execution_role_arn, self.region)
        table = self.sagemaker_backend.transform_jobs

        def run(record: Record) -> Work:
            return TransformRun(self._surroundings(), record, request, container)

        rule = "Job name must be unique within an AWS account and region, and a job"
        name = request["TransformJobName"]
        return self._create(TRANSFORM, name, table, rule, super().create_transform_job, run)

    def describe_transform_job(self) -> ActionResult:
        """Word an unknown name as AWS does."""
        self._known(TRANSFORM)
        return super().describe_transform_job()

    def stop_transform_job(self) -> EmptyResult:
        """Stop a batch transform job (absent from moto)."""
        return self._stop(TRANSFORM)

    def _create(
        self,
        kind: str,
        name: str,
        table: dict[str, Any],
        rule: str,
        store: Callable[[], ActionResult],
        run: Callable[[Record], Work],
    ) -> ActionResult:
        with self.running.creating:
            if name in table:
                message = f"{rule} with this name already exists ({table[name].arn})"
                raise ResourceInUseException(message)
            answer = store()
            record = Record(table[name], f"{kind}_job_status")
            self.running.start(kind, name, record, run(record))
        return answer

    def _known(self, kind: str) -> str:
        """Return the ARN of the job that the request names, or refuse in AWS's words."""
        name = self._get_param(f"{kind.title()}JobName")
        table: dict[str, Any] = getattr(self.sagemaker_backend, f"{kind}_jobs")
        if name not in table:
            told = "Requested resource not found."
            raise ValidationError(told if kind == TRAINING else f"Could not find requested job with name: {name}")
        return str(table[name].arn)

    def _stop(self, kind: str) -> EmptyResult:
        self.running.stop(self._known(kind), kind)
        return EmptyResult()

    def _request(self) -> dict[str, Any]:
        """Return the request's body itself: moto's parsed parameters lack fields such as Environment."""
        request: dict[str, Any] = json.loads(self.body)
        return request

    def _surroundings(self) -> Surroundings:
        return Surroundings(self.running.engine, self.running.connections, self.region)

    def _container(self, container: dict[str, Any]) -> dict[str, Any]:
        """Return a model's container; one that names a model package gets the package's image and artifact."""
        package = container.get("ModelPackageName")
        if not package:
            return container
        found = self.sagemaker_backend.describe_model_package(package)
        return {**found.inference_specification["Containers"][0], **container}
