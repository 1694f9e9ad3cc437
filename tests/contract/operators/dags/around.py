"""operators_around: the operators that wait for no job, and those that meet what exists, has ended or is refused."""

from __future__ import annotations

from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerAutoMLOperator,
    SageMakerConditionOperator,
    SageMakerCreateExperimentOperator,
    SageMakerCreateNotebookOperator,
    SageMakerDeleteModelOperator,
    SageMakerDeleteNotebookOperator,
    SageMakerEndpointConfigOperator,
    SageMakerEndpointOperator,
    SageMakerModelOperator,
    SageMakerRegisterModelVersionOperator,
    SageMakerStartNoteBookOperator,
    SageMakerStopNotebookOperator,
    SageMakerStopPipelineOperator,
)
from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerAutoMLSensor
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE
from tests.contract.operators.cases import AROUND, BUCKET, endpoint_config_request, model_request

NOTEBOOK = "around"
ARTIFACT = f"s3://{BUCKET}/{AROUND.name}/model.tar.gz"

with DAG("operators_around", schedule=None):
    model = SageMakerModelOperator(task_id="model", config=model_request(AROUND))
    endpoint_config = SageMakerEndpointConfigOperator(task_id="endpoint_config", config=endpoint_config_request(AROUND))
    endpoint = SageMakerEndpointOperator(
        task_id="endpoint",
        config={"EndpointName": AROUND.name, "EndpointConfigName": AROUND.name},
        check_interval=1,
    )
    # the operator takes AWS's words for an existing endpoint as the reason to update it
    endpoint_again = SageMakerEndpointOperator(
        task_id="endpoint_again",
        config={
            "EndpointConfig": {**endpoint_config_request(AROUND), "EndpointConfigName": "second"},
            "Endpoint": {"EndpointName": AROUND.name, "EndpointConfigName": "second"},
        },
        check_interval=1,
    )
    model >> endpoint_config >> endpoint >> endpoint_again

    temporary = SageMakerModelOperator(task_id="temporary", config={**model_request(AROUND), "ModelName": "temporary"})
    temporary >> SageMakerDeleteModelOperator(task_id="delete_model", config={"ModelName": "temporary"})

    registered = [
        # the second finds the group of the first, and knows it by AWS's words
        SageMakerRegisterModelVersionOperator(
            task_id=task_id, image_uri=XGBOOST_IMAGE, model_url=ARTIFACT, package_group_name="around"
        )
        for task_id in ("register", "register_again")
    ]
    registered[0] >> registered[1]

    SageMakerCreateExperimentOperator(task_id="experiment", name="around", description="of the operators' tests")

    create_notebook = SageMakerCreateNotebookOperator(
        task_id="create_notebook", instance_name=NOTEBOOK, instance_type="ml.t3.medium", role_arn=ROLE
    )
    stop_notebook = SageMakerStopNotebookOperator(task_id="stop_notebook", instance_name=NOTEBOOK)
    start_notebook = SageMakerStartNoteBookOperator(task_id="start_notebook", instance_name=NOTEBOOK)
    stop_notebook_again = SageMakerStopNotebookOperator(task_id="stop_notebook_again", instance_name=NOTEBOOK)
    delete_notebook = SageMakerDeleteNotebookOperator(task_id="delete_notebook", instance_name=NOTEBOOK)
    create_notebook >> stop_notebook >> start_notebook >> stop_notebook_again >> delete_notebook

    condition = SageMakerConditionOperator(
        task_id="condition",
        condition_type="LessThan",
        left_value="0.2",
        right_value="0.3",
        if_task_ids="small",
        else_task_ids="large",
    )
    condition >> [EmptyOperator(task_id="small"), EmptyOperator(task_id="large")]

    SageMakerAutoMLOperator(
        task_id="automl",
        job_name="around",
        s3_input=f"s3://{BUCKET}/{AROUND.name}/rows.csv",
        target_attribute="y",
        s3_output=f"s3://{BUCKET}/{AROUND.name}/automl",
        role_arn=ROLE,
    )
    SageMakerAutoMLSensor(task_id="automl_sensor", job_name="around", poke_interval=1)

    for wait in ("waiting", "deferrable"):
        SageMakerStopPipelineOperator(
            task_id=f"stop_pipeline_{wait}",
            pipeline_exec_arn=f"{{{{ dag_run.conf['{wait}'] }}}}",
            wait_for_completion=True,
            check_interval=1,
            deferrable=wait == "deferrable",
        )
    # it takes AWS's words for an execution that has ended as no reason to fail
    SageMakerStopPipelineOperator(task_id="stop_pipeline_ended", pipeline_exec_arn="{{ dag_run.conf['ended'] }}")
    SageMakerStopPipelineOperator(
        task_id="stop_pipeline_strict", pipeline_exec_arn="{{ dag_run.conf['ended'] }}", fail_if_not_running=True
    )
