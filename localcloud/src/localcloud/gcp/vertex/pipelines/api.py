"""PipelineService: training pipelines. Pipeline jobs are refused.

What it does not do: AutoML, and hyperparameter tuning inside of a pipeline; BigQuery.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#pipelineservice
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from google.protobuf import empty_pb2, json_format

from localcloud.gcp.vertex.collection import Collection, Kind
from localcloud.gcp.vertex.custom_jobs.api import CustomJobs, check_display_name, check_ended
from localcloud.gcp.vertex.datasets.api import Datasets
from localcloud.gcp.vertex.errors import refuse, unsupported
from localcloud.gcp.vertex.jobs import records
from localcloud.gcp.vertex.jobs.pools import check_pools
from localcloud.gcp.vertex.jobs.running import RunningJobs
from localcloud.gcp.vertex.messages import pb
from localcloud.gcp.vertex.models.api import Models
from localcloud.gcp.vertex.names import check_parent, new_id
from localcloud.gcp.vertex.pipelines.run import TrainingPipelineRun
from localcloud.gcp.vertex.server import Method
from localcloud.gcp.vertex.surroundings import Surroundings

TRAINING_PIPELINE = Kind("PipelineService", "TrainingPipeline", "trainingPipelines", "training_pipelines")
_CUSTOM_TASK = "custom_task_1.0.0.yaml"
_PIPELINE_JOBS = ("Create", "Get", "List", "Cancel", "Delete", "BatchCancel", "BatchDelete")


class TrainingPipelines:
    """Create, get, list, cancel, delete."""

    def __init__(
        self,
        surroundings: Surroundings,
        running: RunningJobs,
        custom_jobs: CustomJobs,
        models: Models,
        datasets: Datasets,
    ) -> None:
        """Serve the pipelines of `surroundings`."""
        self._surroundings = surroundings
        self._running = running
        self._custom_jobs = custom_jobs
        self._models = models
        self._datasets = datasets
        self._collection = Collection(
            TRAINING_PIPELINE, surroundings.resources, surroundings.operations, check_ended(TRAINING_PIPELINE.word)
        )

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        return {
            **self._collection.methods(),
            "PipelineService/CreateTrainingPipeline": self._create,
            "PipelineService/CancelTrainingPipeline": self._cancel,
            **{f"PipelineService/{verb}PipelineJob{'s' * (verb[0] in 'LB')}": _refuse_jobs for verb in _PIPELINE_JOBS},
        }

    def _create(self, request: Any) -> Any:
        pipeline = request.training_pipeline
        check_parent(request.parent)
        check_display_name("training_pipeline.display_name", pipeline.display_name)
        if not pipeline.training_task_definition.endswith(_CUSTOM_TASK):
            unsupported(f"the training task {pipeline.training_task_definition!r} (only …/{_CUSTOM_TASK} runs here)")
        job = pb.CustomJob(display_name=f"{pipeline.display_name}-custom-job", labels=pipeline.labels)
        try:
            inputs = json_format.MessageToDict(pipeline.training_task_inputs)
            json_format.ParseDict(inputs, job.job_spec)
        except json_format.ParseError as error:
            refuse(("training_pipeline.training_task_inputs", str(error)))
        check_pools(job.job_spec, "training_pipeline.training_task_inputs", self._surroundings.images)
        if pipeline.HasField("model_to_upload"):
            self._models.check_upload(
                pipeline.model_to_upload, pipeline.parent_model, pipeline.model_id, "training_pipeline.model_to_upload"
            )
            if not job.job_spec.base_output_directory.output_uri_prefix:
                text = "Required where a model is uploaded: the model is what lies in `model` below it."
                refuse(("training_pipeline.training_task_inputs.base_output_directory", text))
        if pipeline.input_data_config.dataset_id:
            self._datasets.find(f"{request.parent}/datasets/{pipeline.input_data_config.dataset_id}")
        pipeline.name = f"{request.parent}/trainingPipelines/{new_id()}"
        records.begin(pipeline)
        self._surroundings.resources.add(request.parent, TRAINING_PIPELINE.collection, pipeline)
        run = TrainingPipelineRun(
            self._surroundings, self._running, self._custom_jobs, self._models, self._datasets, pipeline, job
        )
        self._running.start("pipeline", pipeline.name, run, needs_slot=False)
        return pipeline

    def _cancel(self, request: Any) -> Any:
        self._collection.find(request.name)
        self._running.cancel(request.name)
        return empty_pb2.Empty()


def _refuse_jobs(_: Any) -> NoReturn:
    unsupported("pipeline jobs (PipelineJob, Kubeflow); training pipelines run")
