"""What becomes of tuning jobs and pipeline executions that ran when the local cloud was stopped."""

import pickle
from types import SimpleNamespace
from typing import Any

from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.pipelines import api as pipelines
from localcloud.aws.sagemaker.pipelines.records import ExecutionRecord
from localcloud.aws.sagemaker.tuning import api as tuning

RUNNING: Any = SimpleNamespace()


def restored(backend: Any) -> Any:
    """Return a backend as a later server finds it."""
    return pickle.loads(pickle.dumps(backend))  # noqa: S301 - our own


def test_tuning_jobs() -> None:
    """A tuning job in progress becomes Failed and says why; one that has ended stays as it was."""
    backend: Any = SageMakerModelBackend("us-east-1", "123456789012")
    for name, status in (("running", "InProgress"), ("ended", "Completed")):
        backend.create_hyper_parameter_tuning_job(
            hyper_parameter_tuning_job_name=name,
            hyper_parameter_tuning_job_config={},
            training_job_definition=None,
            training_job_definitions=None,
            warm_start_config=None,
            tags=None,
            autotune=None,
        )
        stored = backend.hyper_parameter_tuning_jobs[name]
        stored.hyper_parameter_tuning_job_status = status
        # what telling of the change describes
        stored.launched = {}
        stored.hyper_parameter_tuning_job_config = {
            "Strategy": "Random",
            "ResourceLimits": {},
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        }
    tuning.resume(found := restored(backend), RUNNING)
    jobs = found.hyper_parameter_tuning_jobs
    assert jobs["running"].hyper_parameter_tuning_job_status == "Failed"
    assert "the local cloud was stopped" in jobs["running"].failure_reason
    assert jobs["running"].hyper_parameter_tuning_end_time >= jobs["running"].creation_time
    assert jobs["ended"].hyper_parameter_tuning_job_status == "Completed"


def test_pipeline_executions() -> None:
    """An execution becomes Failed with the steps that ran; the steps that had ended stay as they were."""
    backend: Any = SageMakerModelBackend("us-east-1", "123456789012")
    backend.create_pipeline("p", None, "{}", None, None, "role", [], None)
    arn = backend.start_pipeline_execution("p", "e", [], None, None, "token")["PipelineExecutionArn"]
    record = ExecutionRecord(backend.pipelines["p"].pipeline_executions[arn])
    record.begin()
    record.set_step("Ended", "Training", StepStatus="Executing")
    record.end_step("Ended", "Training", "Succeeded")
    record.set_step("Running", "Training", StepStatus="Executing")
    pipelines.resume(found := restored(backend), RUNNING)
    execution = found.pipelines["p"].pipeline_executions[arn]
    assert execution.pipeline_execution_status == "Failed"
    assert (
        "the local cloud was stopped while the execution was Executing" in execution.pipeline_execution_failure_reason
    )
    ended, running = execution.step_records
    assert (ended["StepStatus"], running["StepStatus"]) == ("Succeeded", "Failed")
    assert "the local cloud was stopped" in running["FailureReason"]
