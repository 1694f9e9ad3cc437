"""vertex_refused: one operator of each service that is refused; each task has to fail, and its log to say what."""

from __future__ import annotations

from airflow.providers.google.cloud.operators.vertex_ai.auto_ml import CreateAutoMLTabularTrainingJobOperator
from airflow.providers.google.cloud.operators.vertex_ai.dataset import ExportDataOperator, ImportDataOperator
from airflow.providers.google.cloud.operators.vertex_ai.feature_store import GetFeatureOnlineStoreOperator
from airflow.providers.google.cloud.operators.vertex_ai.pipeline_job import GetPipelineJobOperator
from airflow.sdk import DAG

from tests.contract.vertex_operators.cases import BUCKET, PROJECT, REGION

WHERE = {"project_id": PROJECT, "region": REGION}
DATASET = "{{ dag_run.conf['dataset'] }}"

with DAG("vertex_refused", schedule=None):
    ExportDataOperator(
        task_id="ExportData",
        dataset_id=DATASET,
        export_config={"gcs_destination": {"output_uri_prefix": f"gs://{BUCKET}/data"}},
        **WHERE,
    )
    ImportDataOperator(
        task_id="ImportData",
        dataset_id=DATASET,
        import_configs=[{"gcs_source": {"uris": [f"gs://{BUCKET}/table.csv"]}}],
        **WHERE,
    )
    GetFeatureOnlineStoreOperator(
        task_id="GetFeatureOnlineStore",
        project_id=PROJECT,
        location=REGION,
        feature_online_store_id="store",
    )
    GetPipelineJobOperator(task_id="PipelineJob", pipeline_job_id="job", **WHERE)
    CreateAutoMLTabularTrainingJobOperator(
        task_id="automl",
        display_name="automl",
        dataset_id=DATASET,
        target_column="y",
        optimization_prediction_type="regression",
        **WHERE,
    )
