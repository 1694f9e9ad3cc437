"""flow_waiting and flow_deferrable: a team's way from a bucket to a tuned model in ten unmodified operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.google.cloud.operators.gcs import GCSCreateBucketOperator
from airflow.providers.google.cloud.operators.vertex_ai.batch_prediction_job import CreateBatchPredictionJobOperator
from airflow.providers.google.cloud.operators.vertex_ai.custom_job import (
    CreateCustomContainerTrainingJobOperator,
    CreateCustomTrainingJobOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.endpoint_service import (
    CreateEndpointOperator,
    DeployModelOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.hyperparameter_tuning_job import (
    CreateHyperparameterTuningJobOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.model_service import (
    AddVersionAliasesOnModelOperator,
    ListModelVersionsOperator,
)
from airflow.providers.google.cloud.transfers.local_to_gcs import LocalFilesystemToGCSOperator
from airflow.sdk import DAG, chain
from google.cloud.aiplatform.hyperparameter_tuning import DoubleParameterSpec

from tests.contract.vertex_operators.cases import (
    BUCKET,
    FITS,
    PROJECT,
    REGION,
    SKLEARN_SERVES,
    SKLEARN_TRAINS,
    TEAMS_IMAGE,
    flow_release,
)

if TYPE_CHECKING:
    from typing import Any

WHERE: dict[str, Any] = {"project_id": PROJECT, "region": REGION}
MODEL = "{{ ti.xcom_pull(task_ids='train')['name'] }}"
MODEL_ID = "{{ ti.xcom_pull(task_ids='train', key='model_id') }}"
MACHINE = {"machine_spec": {"machine_type": "n1-standard-2"}}

for wait in ("waiting", "deferrable"):
    bucket = f"flow-{wait}"
    address = f"gs://{bucket}"
    runs_job = {**WHERE, "deferrable": wait == "deferrable", "poll_interval": 1}
    trains = {
        **runs_job,
        "display_name": bucket,
        "model_display_name": bucket,
        "staging_bucket": address,
        "model_serving_container_image_uri": SKLEARN_SERVES,
        "machine_type": "n1-standard-4",
        "replica_count": 1,
    }
    data = f"--data={address}/data/rows.csv"
    # a job must not end before the scheduler knows that its task waits (cases.Case.release)
    after = {
        each: [f"--after=gs://{BUCKET}/{flow_release(each)}"] if wait == "deferrable" else []
        for each in ("train", "train_again", "tune")
    }
    with DAG(f"flow_{wait}", schedule=None):
        chain(
            GCSCreateBucketOperator(task_id="bucket", bucket_name=bucket, project_id=PROJECT),
            LocalFilesystemToGCSOperator(
                task_id="upload", src="{{ dag_run.conf['folder'] }}/rows.*", dst="data/", bucket=bucket
            ),
            CreateCustomTrainingJobOperator(
                task_id="train",
                script_path=str(FITS),
                container_uri=SKLEARN_TRAINS,
                requirements=[],
                base_output_dir=f"{address}/first",
                args=[data, *after["train"]],
                **trains,
            ),
            CreateCustomContainerTrainingJobOperator(
                task_id="train_again",
                container_uri=TEAMS_IMAGE,
                base_output_dir=f"{address}/second",
                args=[data, "--penalty=0.5", *after["train_again"]],
                parent_model=MODEL,
                is_default_version=False,
                model_version_aliases=["challenger"],
                **trains,
            ),
            ListModelVersionsOperator(task_id="versions", model_id=MODEL_ID, **WHERE),
            AddVersionAliasesOnModelOperator(
                task_id="promote", model_id=f"{MODEL_ID}@2", version_aliases=["default"], **WHERE
            ),
            CreateBatchPredictionJobOperator(
                task_id="predict",
                job_display_name=bucket,
                model_name=MODEL,
                gcs_source=f"{address}/data/rows.jsonl",
                gcs_destination_prefix=f"{address}/predictions",
                machine_type="n1-standard-2",
                **runs_job,
            ),
            CreateEndpointOperator(task_id="endpoint", endpoint={"display_name": bucket}, **WHERE),
            DeployModelOperator(
                task_id="deploy",
                endpoint_id="{{ ti.xcom_pull(task_ids='endpoint', key='endpoint_id') }}",
                traffic_split={"0": 100},
                deployed_model={
                    "model": MODEL,
                    "display_name": "line",
                    "dedicated_resources": {"machine_spec": MACHINE["machine_spec"], "min_replica_count": 1},
                },
                **WHERE,
            ),
            CreateHyperparameterTuningJobOperator(
                task_id="tune",
                display_name=bucket,
                staging_bucket=address,
                base_output_dir=f"{address}/tuning",
                worker_pool_specs=[
                    {
                        **MACHINE,
                        "replica_count": 1,
                        "container_spec": {"image_uri": TEAMS_IMAGE, "args": [data, *after["tune"]]},
                    }
                ],
                metric_spec={"mse": "minimize"},
                parameter_spec={"penalty": DoubleParameterSpec(min=0.01, max=0.3, scale="log")},
                max_trial_count=3,
                parallel_trial_count=1,
                **runs_job,
            ),
        )
