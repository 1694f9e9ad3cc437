"""JobService: batch prediction jobs.

What it does not do: BigQuery, TFRecord, lists of files, explanations, monitoring of the model.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#google.cloud.aiplatform.v1.BatchPredictionJob
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import empty_pb2

from localcloud.engine.engine import Host
from localcloud.gcp.vertex.batch_prediction.run import BatchPredictionRun
from localcloud.gcp.vertex.collection import Collection, Kind
from localcloud.gcp.vertex.custom_jobs.api import check_display_name, check_ended
from localcloud.gcp.vertex.errors import refuse, unsupported
from localcloud.gcp.vertex.jobs import records
from localcloud.gcp.vertex.jobs.machines import Machine, find_machine
from localcloud.gcp.vertex.jobs.running import RunningJobs
from localcloud.gcp.vertex.messages import pb
from localcloud.gcp.vertex.models.api import Models
from localcloud.gcp.vertex.models.artifacts import check_container
from localcloud.gcp.vertex.names import check_parent, new_id
from localcloud.gcp.vertex.server import Method
from localcloud.gcp.vertex.surroundings import Surroundings

BATCH_PREDICTION_JOB = Kind("JobService", "BatchPredictionJob", "batchPredictionJobs", "batch_prediction_jobs")
_INPUTS, _OUTPUTS = ("jsonl", "csv"), ("jsonl",)


class BatchPredictionJobs:
    """Create, get, list, cancel, delete."""

    def __init__(self, surroundings: Surroundings, running: RunningJobs, models: Models) -> None:
        """Serve the jobs of `surroundings`."""
        self._surroundings = surroundings
        self._running = running
        self._models = models
        self._collection = Collection(
            BATCH_PREDICTION_JOB,
            surroundings.resources,
            surroundings.operations,
            check_ended(BATCH_PREDICTION_JOB.word),
        )

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        return {
            **self._collection.methods(),
            "JobService/CreateBatchPredictionJob": self._create,
            "JobService/CancelBatchPredictionJob": self._cancel,
        }

    def _create(self, request: Any) -> Any:
        job = request.batch_prediction_job
        check_parent(request.parent)
        check_display_name("batch_prediction_job.display_name", job.display_name)
        _check_formats(job)
        model = self._model(job)
        machine = _machine(job)
        replicas = max(1, job.dedicated_resources.starting_replica_count)
        job.name = f"{request.parent}/batchPredictionJobs/{new_id()}"
        job.model_version_id = model.version_id
        for field in ("output_info", "completion_stats", "partial_failures"):
            job.ClearField(field)
        records.begin(job)
        self._surroundings.resources.add(request.parent, BATCH_PREDICTION_JOB.collection, job)
        kind = job.dedicated_resources.machine_spec.machine_type
        hosts = [Host(f"replica-{n}", machine.memory, machine.processors, kind) for n in range(replicas)]
        run = BatchPredictionRun(self._surroundings, job, model)
        self._running.start("batch-prediction", job.name, run, hosts)
        return job

    def _model(self, job: Any) -> Any:
        if job.model and job.HasField("unmanaged_container_model"):
            refuse(("batch_prediction_job.model", "must not be set beside unmanaged_container_model."))
        if job.model:
            model = self._models.registry.find(job.model)
            if not model.container_spec.image_uri:
                refuse(("batch_prediction_job.model", f"{job.model} has no image that serves it."))
            return model
        if not job.HasField("unmanaged_container_model"):
            refuse(("batch_prediction_job.model", "Required field is not set."))
        given = job.unmanaged_container_model
        model = pb.Model(
            display_name=job.display_name, artifact_uri=given.artifact_uri, container_spec=given.container_spec
        )
        check_container(model, "batch_prediction_job.unmanaged_container_model", self._surroundings.images)
        return model

    def _cancel(self, request: Any) -> Any:
        self._collection.find(request.name)
        self._running.cancel(request.name)
        return empty_pb2.Empty()


def _check_formats(job: Any) -> None:
    if job.generate_explanation or job.HasField("explanation_spec"):
        unsupported("a batch prediction with explanations")
    if job.input_config.WhichOneof("source") == "bigquery_source":
        unsupported("a batch prediction from BigQuery")
    if job.output_config.WhichOneof("destination") == "bigquery_destination":
        unsupported("a batch prediction to BigQuery")
    problems = []
    for field, value, known in (
        ("input_config.instances_format", job.input_config.instances_format, _INPUTS),
        ("output_config.predictions_format", job.output_config.predictions_format, _OUTPUTS),
    ):
        if not value:
            problems.append((f"batch_prediction_job.{field}", "Required field is not set."))
        elif value not in known:
            unsupported(f"a batch prediction with the {field} {value!r} (only {', '.join(known)})")
    if not job.input_config.gcs_source.uris:
        problems.append(("batch_prediction_job.input_config.gcs_source.uris", "Required field is not set."))
    prefix = job.output_config.gcs_destination.output_uri_prefix
    if not prefix.startswith("gs://"):
        text = f"must be an address of Cloud Storage, got {prefix!r}."
        problems.append(("batch_prediction_job.output_config.gcs_destination.output_uri_prefix", text))
    if problems:
        refuse(*problems)


def _machine(job: Any) -> Machine:
    field = "batch_prediction_job.dedicated_resources.machine_spec.machine_type"
    kind = job.dedicated_resources.machine_spec.machine_type
    if not kind:
        refuse((field, "Required field is not set: a custom-trained model needs dedicated resources."))
    machine = find_machine(kind)
    if machine is None:
        refuse((field, f"Machine type {kind!r} is not supported."))
    return machine
