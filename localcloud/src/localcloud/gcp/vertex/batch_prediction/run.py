"""One batch prediction job: containers are started, rows go in, predictions and errors come out as files.

How it works: each replica is a host with a container of the model; batches of rows are shared out among them, and the
predictions are written in the rows' order. A batch that the model refuses counts as failed rows, which are written to
the file of errors; when no row succeeds the job fails with the model's own words.

Known limitation: the documentation does not say how a job ends of which some rows fail; here it succeeds, its
`completion_stats` count them and `partial_failures` name them.

Source: https://cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions#retrieve-results
"""

import contextlib
import json
import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from localcloud.engine.engine import Job
from localcloud.gcp.vertex.batch_prediction.instances import Instance, InstanceError, read_instances
from localcloud.gcp.vertex.jobs import records
from localcloud.gcp.vertex.jobs.failures import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    SUCCEEDED,
    JobCancelledError,
    JobEnd,
    JobFailedError,
)
from localcloud.gcp.vertex.jobs.joblog import JobLog
from localcloud.gcp.vertex.names import id_of, project_of
from localcloud.gcp.vertex.serving.container import ContainerError, ModelContainer, Placement
from localcloud.gcp.vertex.surroundings import Surroundings

_DEFAULT_BATCH = 64
_PREDICT_SECONDS = 600.0
_MOST_PARTIAL_FAILURES = 20
_OK = 200
_REASON_CHARACTERS = 1000


@dataclass(frozen=True)
class Batch:
    """Some instances and what became of them: a prediction for each, or why there is none."""

    instances: Sequence[Instance]
    predictions: Sequence[Any] = ()
    error: str = ""


class BatchPredictionRun:
    """The work of one batch prediction job."""

    def __init__(self, surroundings: Surroundings, job: Any, model: Any) -> None:
        """Take a stored job and the version of the model that it means."""
        self._surroundings = surroundings
        self._job = job
        self._model = model
        self._objects = surroundings.objects(project_of(job.name))
        self._parameters = json_format.MessageToDict(job.model_parameters) if job.HasField("model_parameters") else None

    def __call__(self, job: Job) -> JobEnd:
        """Run it to its end."""
        instances = self._instances()
        size = self._job.manual_batch_tuning_parameters.batch_size or _DEFAULT_BATCH
        batches = [Batch(instances[start : start + size]) for start in range(0, len(instances), size)]
        with self._containers(job) as containers:
            records.enter_running(self._surroundings.resources, self._job.name)
            done = self._predict(job, containers, batches)
        if job.stop.requested:
            raise JobCancelledError
        self._write(done)
        failed = [batch for batch in done if batch.error]
        if failed and len(failed) == len(done):
            raise JobFailedError(f"No prediction succeeded: {failed[0].error}")
        return SUCCEEDED

    def _instances(self) -> list[Instance]:
        config = self._job.input_config
        found: list[Instance] = []
        for pattern in config.gcs_source.uris:
            objects = self._objects.matching(pattern)
            if not objects:
                raise JobFailedError(f"No file was found for {pattern}.", NOT_FOUND)
            for item in objects:
                try:
                    text = self._objects.read(item.uri).decode()
                    found += read_instances(text, config.instances_format, self._job.instance_config)
                except (InstanceError, UnicodeDecodeError) as error:
                    raise JobFailedError(f"{item.uri}: {error}") from error
        return found

    @contextlib.contextmanager
    def _containers(self, job: Job) -> Iterator[list[ModelContainer]]:
        """Return healthy containers, one on each host."""
        identity = id_of(self._job.name)
        machine = self._job.dedicated_resources.machine_spec.machine_type
        with contextlib.ExitStack() as stack:
            logs, containers = [], []
            for number in range(len(job.trees)):
                log = JobLog(self._surroundings.log_folder(identity) / f"replica-{number}.log")
                stack.callback(log.close)
                logs.append(log)
                placement = Placement(self._job.name, identity, identity, machine)
                container = ModelContainer(
                    self._surroundings,
                    job,
                    number,
                    self._model.container_spec,
                    self._model.artifact_uri,
                    placement,
                    log,
                )
                containers.append(stack.enter_context(container))
            for container, log in zip(containers, logs, strict=True):
                try:
                    container.await_health()
                except JobFailedError as error:
                    message = f"{error} Its log is in {log.path} and ends with:\n{log.message}"
                    raise JobFailedError(message, error.code) from error
            yield containers

    def _predict(self, job: Job, containers: Sequence[ModelContainer], batches: Sequence[Batch]) -> list[Batch]:
        free: queue.SimpleQueue[ModelContainer] = queue.SimpleQueue()
        for container in containers:
            free.put(container)

        def ask(batch: Batch) -> Batch:
            if job.stop.requested:
                raise JobCancelledError
            container = free.get()
            try:
                return self._ask(container, batch)
            finally:
                free.put(container)

        with ThreadPoolExecutor(len(containers), thread_name_prefix="predict") as pool:
            return list(pool.map(ask, batches))

    def _ask(self, container: ModelContainer, batch: Batch) -> Batch:
        request: dict[str, Any] = {"instances": [instance.sent for instance in batch.instances]}
        if self._parameters is not None:
            request["parameters"] = self._parameters
        headers = {"Content-Type": "application/json"}
        try:
            answer = container.predict(json.dumps(request).encode(), headers, _PREDICT_SECONDS)
        except ContainerError as error:
            return Batch(batch.instances, error=str(error))
        said = answer.body.decode(errors="replace")[:_REASON_CHARACTERS]
        if answer.status != _OK:
            return Batch(batch.instances, error=f"The model server answered {answer.status}: {said}")
        try:
            predictions = json.loads(answer.body)["predictions"]
        except (ValueError, LookupError, TypeError):
            return Batch(batch.instances, error=f'The model server answered without "predictions": {said}')
        if len(predictions) != len(batch.instances):
            message = f"The model server answered {len(predictions)} predictions to {len(batch.instances)} instances."
            return Batch(batch.instances, error=message)
        return Batch(batch.instances, predictions)

    def _write(self, done: Sequence[Batch]) -> None:
        base = self._job.output_config.gcs_destination.output_uri_prefix.rstrip("/")
        when = self._job.create_time.ToDatetime().strftime("%Y_%m_%dT%H_%M_%S_%f")[:-3]
        folder = f"{base}/prediction-{self._model.display_name}-{when}Z"
        results = [
            _line(instance, "prediction", prediction)
            for batch in done
            for instance, prediction in zip(batch.instances, batch.predictions, strict=False)
        ]
        errors = [
            _line(instance, "error", {"code": INVALID_ARGUMENT, "message": batch.error})
            for batch in done
            if batch.error
            for instance in batch.instances
        ]
        for name, lines in (("results", results), ("errors_stats", errors)):
            body = "".join(f"{line}\n" for line in lines)
            self._objects.write(f"{folder}/prediction.{name}-00000-of-00001", body.encode())
        with self._surroundings.resources.change(self._job.name) as record:
            record.output_info.gcs_output_directory = folder
            record.completion_stats.successful_count = len(results)
            record.completion_stats.failed_count = len(errors)
            for batch in [batch for batch in done if batch.error][:_MOST_PARTIAL_FAILURES]:
                record.partial_failures.add(code=INVALID_ARGUMENT, message=batch.error)


def _line(instance: Instance, field: str, value: Any) -> str:
    own = {"instance": instance.given} if instance.key is None else {"key": instance.key}
    return json.dumps({**own, field: value})
