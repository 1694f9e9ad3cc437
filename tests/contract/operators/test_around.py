"""The provider's operators that wait for no job, and what of the provider the tests cover."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.local_cloud import until
from tests.contract.operators.cases import AROUND, Case
from tests.contract.operators.programs import prepare
from tests.contract.operators.resources import create, describe

if TYPE_CHECKING:
    from deploy.laptop.airflow_rest import TaskInstance
    from tests.contract.local_cloud import LocalCloud
    from tests.contract.operators.runs import Runs

PIPELINES = {
    "waiting": Case("pipeline", "halted", "stopped"),
    "deferrable": Case("pipeline", "deferred", "stopped"),
    "ended": Case("pipeline", "ended", "completed"),
}


def test_every_operator_and_sensor_is_in_a_dag() -> None:
    """What the provider offers for SageMaker's API is what the DAGs of these tests use; a new operator has to join.

    SageMaker Unified Studio's operators are not of it: they talk to DataZone.
    """
    # not before the test runs: the imports take seconds
    provider = [
        importlib.import_module(f"airflow.providers.amazon.aws.{part}.sagemaker") for part in ("operators", "sensors")
    ]
    dags = [importlib.import_module(f"tests.contract.operators.dags.{name}") for name in ("operators", "around")]
    offered = {
        name
        for module in provider
        for name, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == module.__name__ and hasattr(found, "task_type") and "Base" not in name
    }
    used = {
        name
        for module in dags
        for name, found in inspect.getmembers(module, inspect.isclass)
        if name.startswith("SageMaker")
    }
    assert offered == used


@pytest.fixture(scope="module")
def tasks(runs: Runs) -> dict[str, TaskInstance]:
    """The task instances of a run of operators_around."""
    prepare(runs.cloud, [*PIPELINES.values()])
    runs.cloud.put(f"{AROUND.name}/rows.csv", "y\n1\n")
    prepare_model(runs.cloud)
    executions = {name: create(runs.cloud, case) for name, case in PIPELINES.items()}
    until(lambda: describe(runs.cloud, PIPELINES["ended"])[0] == "Succeeded", "the pipeline to end")
    return runs.task_run("operators_around", executions)


def prepare_model(cloud: LocalCloud) -> None:
    """Store artifact and code of the model that the DAG creates."""
    prepare(cloud, [AROUND])
    sagemaker = cloud.client("sagemaker")
    sagemaker.delete_endpoint_config(EndpointConfigName=AROUND.name)
    sagemaker.delete_model(ModelName=AROUND.name)


@pytest.mark.verify
def test_states(tasks: dict[str, TaskInstance]) -> None:
    """All succeed but what is refused, what does not exist, and the strict stop of what has ended."""
    not_successful = {name: task.state for name, task in tasks.items() if task.state != "success"}
    assert {
        "automl": "failed",
        "automl_sensor": "failed",
        "large": "skipped",
        "stop_pipeline_strict": "failed",
    } == not_successful


@pytest.mark.verify
def test_endpoint_is_updated(runs: Runs, tasks: dict[str, TaskInstance]) -> None:
    """The second task finds the endpoint of the first and moves it to its own configuration."""
    assert "success" == tasks["endpoint_again"].state
    status, description = describe(runs.cloud, AROUND)
    assert ("InService", "second") == (status, description["EndpointConfigName"])
    answer = runs.cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=AROUND.name, Body=b"4", ContentType="text/csv", Accept="text/csv"
    )
    assert b"8.0" == answer["Body"].read()


@pytest.mark.verify
def test_what_the_others_leave(runs: Runs, tasks: dict[str, TaskInstance]) -> None:
    """Two versions in one group, an experiment, no temporary model, no notebook."""
    assert "success" == tasks["register_again"].state
    sagemaker = runs.cloud.client("sagemaker")
    packages: list[dict[str, Any]] = sagemaker.list_model_packages(ModelPackageGroupName="around")[
        "ModelPackageSummaryList"
    ]
    assert {(1, "PendingManualApproval"), (2, "PendingManualApproval")} == {
        (package["ModelPackageVersion"], package["ModelApprovalStatus"]) for package in packages
    }
    experiment = tasks["experiment"]
    assert sagemaker.describe_experiment(ExperimentName="around")["ExperimentArn"] == runs.airflow.rest.xcom(
        experiment.dag_id, experiment.run_id, experiment.task_id
    )
    assert "temporary" not in {model["ModelName"] for model in sagemaker.list_models()["Models"]}
    assert [] == sagemaker.list_notebook_instances(NameContains="around")["NotebookInstances"]


@pytest.mark.verify
@pytest.mark.parametrize("wait", ["waiting", "deferrable"])
def test_pipeline_is_stopped(runs: Runs, tasks: dict[str, TaskInstance], wait: str) -> None:
    """The task succeeds when the execution is Stopped, and hands that on."""
    task = tasks[f"stop_pipeline_{wait}"]
    assert ("success", "Stopped") == (
        task.state,
        runs.airflow.rest.xcom(task.dag_id, task.run_id, task.task_id),
    )
    assert "Stopped" == describe(runs.cloud, PIPELINES[wait])[0]


@pytest.mark.verify
def test_reasons(runs: Runs, tasks: dict[str, TaskInstance]) -> None:
    """The logs of the tasks that fail say why."""
    log = {name: runs.airflow.rest.log(tasks[name]) for name in ("automl", "automl_sensor", "stop_pipeline_strict")}
    assert "localcloud does not run AutoML (CreateAutoMLJob)" in log["automl"]
    assert "DescribeAutoMLJob" in log["automl_sensor"]
    assert "Only pipelines with 'Executing' status can be stopped" in log["stop_pipeline_strict"]
