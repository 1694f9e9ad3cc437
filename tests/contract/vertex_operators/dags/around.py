"""vertex_around: the operators that wait for no job: datasets, models, endpoints, experiments, and jobs that are there.

Each group makes something that stays, which a test looks at, and something that it deletes again. What the jobs that
are got, listed and deleted are called is told by the run's configuration.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.google.cloud.operators.vertex_ai.auto_ml import (
    DeleteAutoMLTrainingJobOperator,
    ListAutoMLTrainingJobOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.batch_prediction_job import (
    DeleteBatchPredictionJobOperator,
    GetBatchPredictionJobOperator,
    ListBatchPredictionJobsOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.custom_job import (
    DeleteCustomTrainingJobOperator,
    ListCustomTrainingJobOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.dataset import (
    CreateDatasetOperator,
    DeleteDatasetOperator,
    GetDatasetOperator,
    ListDatasetsOperator,
    UpdateDatasetOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.endpoint_service import (
    CreateEndpointOperator,
    DeleteEndpointOperator,
    DeployModelOperator,
    GetEndpointOperator,
    ListEndpointsOperator,
    UndeployModelOperator,
    UpdateEndpointOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.experiment_service import (
    CreateExperimentOperator,
    CreateExperimentRunOperator,
    DeleteExperimentOperator,
    DeleteExperimentRunOperator,
    ListExperimentRunsOperator,
    UpdateExperimentRunStateOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.hyperparameter_tuning_job import (
    DeleteHyperparameterTuningJobOperator,
    GetHyperparameterTuningJobOperator,
    ListHyperparameterTuningJobOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.model_service import (
    AddVersionAliasesOnModelOperator,
    DeleteModelOperator,
    DeleteModelVersionOperator,
    DeleteVersionAliasesOnModelOperator,
    ExportModelOperator,
    GetModelOperator,
    ListModelsOperator,
    ListModelVersionsOperator,
    SetDefaultVersionOnModelOperator,
    UploadModelOperator,
)
from airflow.sdk import DAG, chain, task
from google.cloud.aiplatform_v1 import Execution

from tests.contract.gcp.local_vertex import SERVING_IMAGE
from tests.contract.gcp.serving_programs import ADDS
from tests.contract.vertex_operators.cases import BUCKET, MODEL, PARENT, PROJECT, REGION

WHERE = {"project_id": PROJECT, "region": REGION}
THERE = {"project_id": PROJECT, "location": REGION}
TABULAR = "gs://google-cloud-aiplatform/schema/dataset/metadata/tabular_1.0.0.yaml"


def handed_on(task_id: str, key: str) -> str:
    """Return the template of what a task has handed on."""
    return f"{{{{ ti.xcom_pull(task_ids='{task_id}', key='{key}') }}}}"


def dataset(name: str) -> dict[str, object]:
    """Return a dataset over a file in Cloud Storage."""
    metadata = {"input_config": {"gcs_source": {"uri": [f"gs://{BUCKET}/table.csv"]}}}
    return {"display_name": name, "metadata_schema_uri": TABULAR, "metadata": metadata}


def model(name: str) -> dict[str, object]:
    """Return a model that adds 0.5."""
    container = {"image_uri": SERVING_IMAGE, "command": ["python", "-c", ADDS]}
    return {"display_name": name, "artifact_uri": f"gs://{BUCKET}/{MODEL}", "container_spec": container}


def deployed(name: str) -> dict[str, object]:
    """Return a model to deploy."""
    resources = {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1, "max_replica_count": 1}
    return {"model": f"{PARENT}/models/{MODEL}", "display_name": name, "dedicated_resources": resources}


with DAG("vertex_around", schedule=None, max_active_tasks=16):
    a_dataset = handed_on("create_dataset", "dataset_id")
    chain(
        CreateDatasetOperator(task_id="create_dataset", dataset=dataset("around"), **WHERE),
        UpdateDatasetOperator(
            task_id="update_dataset",
            dataset_id=a_dataset,
            dataset={"labels": {"by": "airflow"}},
            update_mask={"paths": ["labels"]},
            **WHERE,
        ),
        GetDatasetOperator(task_id="get_dataset", dataset_id=a_dataset, **WHERE),
        ListDatasetsOperator(task_id="list_datasets", filter='display_name="around"', **WHERE),
    )
    chain(
        CreateDatasetOperator(task_id="create_temporary_dataset", dataset=dataset("temporary"), **WHERE),
        DeleteDatasetOperator(
            task_id="delete_dataset", dataset_id=handed_on("create_temporary_dataset", "dataset_id"), **WHERE
        ),
    )

    a_model = handed_on("upload_model", "model_id")
    chain(
        UploadModelOperator(task_id="upload_model", model=model("around"), **WHERE),
        UploadModelOperator(task_id="upload_version", model=model("around"), parent_model=a_model, **WHERE),
        AddVersionAliasesOnModelOperator(
            task_id="add_aliases", model_id=f"{a_model}@2", version_aliases=["champion", "challenger"], **WHERE
        ),
        DeleteVersionAliasesOnModelOperator(
            task_id="delete_alias", model_id=f"{a_model}@2", version_aliases=["challenger"], **WHERE
        ),
        SetDefaultVersionOnModelOperator(task_id="set_default", model_id=f"{a_model}@2", **WHERE),
        ListModelVersionsOperator(task_id="list_versions", model_id=a_model, **WHERE),
        DeleteModelVersionOperator(task_id="delete_version", model_id=f"{a_model}@1", **WHERE),
        GetModelOperator(task_id="get_model", model_id=a_model, **WHERE),
        ListModelsOperator(task_id="list_models", filter='display_name="around"', **WHERE),
        ExportModelOperator(
            task_id="export_model",
            model_id=a_model,
            output_config={
                "export_format_id": "custom-trained",
                "artifact_destination": {"output_uri_prefix": f"gs://{BUCKET}/around/exported"},
            },
            **WHERE,
        ),
    )
    chain(
        UploadModelOperator(task_id="upload_temporary_model", model=model("temporary"), **WHERE),
        DeleteModelOperator(task_id="delete_model", model_id=handed_on("upload_temporary_model", "model_id"), **WHERE),
    )

    an_endpoint = handed_on("create_endpoint", "endpoint_id")
    chain(
        CreateEndpointOperator(task_id="create_endpoint", endpoint={"display_name": "around"}, **WHERE),
        DeployModelOperator(
            task_id="deploy_model",
            endpoint_id=an_endpoint,
            deployed_model=deployed("stays"),
            traffic_split={"0": 100},
            **WHERE,
        ),
        DeployModelOperator(
            task_id="deploy_second",
            endpoint_id=an_endpoint,
            deployed_model=deployed("goes"),
            **WHERE,
        ),
        UndeployModelOperator(
            task_id="undeploy_model",
            endpoint_id=an_endpoint,
            deployed_model_id=handed_on("deploy_second", "deployed_model_id"),
            **WHERE,
        ),
        UpdateEndpointOperator(
            task_id="update_endpoint",
            endpoint_id=an_endpoint,
            endpoint={"description": "answers"},
            update_mask={"paths": ["description"]},
            **WHERE,
        ),
        GetEndpointOperator(task_id="get_endpoint", endpoint_id=an_endpoint, **WHERE),
        ListEndpointsOperator(task_id="list_endpoints", filter='display_name="around"', **WHERE),
    )
    chain(
        CreateEndpointOperator(task_id="create_temporary_endpoint", endpoint={"display_name": "temporary"}, **WHERE),
        DeleteEndpointOperator(
            task_id="delete_endpoint", endpoint_id=handed_on("create_temporary_endpoint", "endpoint_id"), **WHERE
        ),
    )

    chain(
        CreateExperimentOperator(task_id="create_experiment", experiment_name="around", **THERE),
        CreateExperimentRunOperator(
            task_id="create_run",
            experiment_name="around",
            experiment_run_name="stays",
            run_after_creation=True,
            **THERE,
        ),
        CreateExperimentRunOperator(
            task_id="create_second_run", experiment_name="around", experiment_run_name="goes", **THERE
        ),
        ListExperimentRunsOperator(task_id="list_runs", experiment_name="around", **THERE),
        UpdateExperimentRunStateOperator(
            task_id="complete_run",
            experiment_name="around",
            experiment_run_name="stays",
            new_state=Execution.State.COMPLETE,
            **THERE,
        ),
        DeleteExperimentRunOperator(
            task_id="delete_run", experiment_name="around", experiment_run_name="goes", **THERE
        ),
    )
    chain(
        CreateExperimentOperator(task_id="create_temporary_experiment", experiment_name="temporary", **THERE),
        DeleteExperimentOperator(task_id="delete_experiment", experiment_name="temporary", **THERE),
    )

    # the field that takes the id is no template; a mapped one takes what another task has handed on
    @task
    def batch_ids(dag_run: Any = None) -> list[str]:
        """Hand the batch prediction's id on."""
        return [dag_run.conf["batch"]]

    @task
    def got_batches(found: list[dict[str, Any]]) -> list[str]:
        """Hand on what was got."""
        return [each["name"] for each in found]

    get_batch = GetBatchPredictionJobOperator.partial(task_id="get_batch", **WHERE).expand(
        batch_prediction_job=batch_ids()
    )
    got_batches(get_batch.output)
    chain(
        get_batch,
        ListBatchPredictionJobsOperator(task_id="list_batches", filter='display_name="around"', **WHERE),
        DeleteBatchPredictionJobOperator(
            task_id="delete_batch", batch_prediction_job_id="{{ dag_run.conf['batch'] }}", **WHERE
        ),
    )
    chain(
        GetHyperparameterTuningJobOperator(
            task_id="get_tuning", hyperparameter_tuning_job_id="{{ dag_run.conf['tuning'] }}", **WHERE
        ),
        ListHyperparameterTuningJobOperator(task_id="list_tunings", filter='display_name="around"', **WHERE),
        DeleteHyperparameterTuningJobOperator(
            task_id="delete_tuning", hyperparameter_tuning_job_id="{{ dag_run.conf['tuning'] }}", **WHERE
        ),
    )
    chain(
        ListCustomTrainingJobOperator(task_id="list_trainings", filter='display_name="around"', **WHERE),
        DeleteCustomTrainingJobOperator(
            task_id="delete_training",
            training_pipeline_id="{{ dag_run.conf['training'] }}",
            custom_job_id="{{ dag_run.conf['job'] }}",
            **WHERE,
        ),
        # AutoML's trainings are training pipelines like these: a list shows them, and one that is gone is told apart
        ListAutoMLTrainingJobOperator(task_id="list_automl", filter='display_name="around"', **WHERE),
        DeleteAutoMLTrainingJobOperator(
            task_id="delete_automl", training_pipeline_id="{{ dag_run.conf['training'] }}", **WHERE
        ),
    )
