"""One training pipeline: its custom job, then the model that the job has left.

How it works: a work function of the engine that needs no slot; it starts a custom job and waits for its end. The
pipeline's `training_task_metadata` names the job, `model_to_upload.name` the model, as the SDK waits for both.

Source: https://cloud.google.com/vertex-ai/docs/training/create-training-pipeline
"""

from typing import Any

from google.protobuf import json_format

from localcloud.engine.engine import Job
from localcloud.gcp.objects import ObjectError
from localcloud.gcp.vertex.custom_jobs.api import CustomJobs
from localcloud.gcp.vertex.custom_jobs.run import Extra
from localcloud.gcp.vertex.datasets.api import Datasets
from localcloud.gcp.vertex.datasets.splits import write_splits
from localcloud.gcp.vertex.errors import VertexError
from localcloud.gcp.vertex.jobs import records
from localcloud.gcp.vertex.jobs.failures import CANCELED, SUCCEEDED, JobEnd, JobFailedError
from localcloud.gcp.vertex.jobs.running import RunningJobs
from localcloud.gcp.vertex.models.api import Models
from localcloud.gcp.vertex.names import parent_of, project_of
from localcloud.gcp.vertex.surroundings import Surroundings


class TrainingPipelineRun:
    """The work of one training pipeline. `custom_job`: what it starts."""

    def __init__(
        self,
        surroundings: Surroundings,
        running: RunningJobs,
        custom_jobs: CustomJobs,
        models: Models,
        datasets: Datasets,
        pipeline: Any,
        custom_job: Any,
    ) -> None:
        """Take a stored pipeline."""
        self._surroundings = surroundings
        self._running = running
        self._custom_jobs = custom_jobs
        self._models = models
        self._datasets = datasets
        self._pipeline = pipeline
        self._custom_job = custom_job
        self._parent = parent_of(pipeline.name)

    def __call__(self, job: Job) -> JobEnd:
        """Run it to its end."""
        resources, name = self._surroundings.resources, self._pipeline.name
        records.enter_running(resources, name)
        self._custom_jobs.start(self._parent, self._custom_job, Extra(variables=self._data()))
        child = self._custom_job.name
        with resources.change(name) as record:
            json_format.ParseDict({"backingCustomJob": child}, record.training_task_metadata)
        # once: a request that has been made already is heard now
        job.stop.on_request(lambda: None if job.stop.abandoned else self._running.cancel(child))
        self._running.wait(child)
        done = resources.get(child)
        state = records.state_of(done)
        if state == "CANCELLED" or job.stop.requested:
            return CANCELED
        if state != "SUCCEEDED":
            raise JobFailedError(f"Training failed with: {done.error.message}", done.error.code)
        if self._pipeline.HasField("model_to_upload"):
            self._upload()
        return SUCCEEDED

    def _upload(self) -> None:
        model = type(self._pipeline.model_to_upload)()
        model.CopyFrom(self._pipeline.model_to_upload)
        base = self._custom_job.job_spec.base_output_directory.output_uri_prefix.rstrip("/")
        model.artifact_uri = model.artifact_uri or f"{base}/model"
        model.training_pipeline = self._pipeline.name
        try:
            kept = self._models.upload(
                self._parent, model, parent_model=self._pipeline.parent_model, model_id=self._pipeline.model_id
            )
        except (VertexError, ObjectError) as error:
            code = error.number if isinstance(error, VertexError) else None
            raise JobFailedError(str(error), *([code] if code else [])) from error
        with self._surroundings.resources.change(self._pipeline.name) as record:
            record.model_to_upload.CopyFrom(kept)

    def _data(self) -> dict[str, str]:
        """Write the dataset's parts and return the variables that say where they are; none without a dataset."""
        config = self._pipeline.input_data_config
        if not config.dataset_id:
            return {}
        dataset = self._datasets.find(f"{self._parent}/datasets/{config.dataset_id}")
        return write_splits(self._surroundings.objects(project_of(self._parent)), dataset, config)
