"""What serves, waits or coordinates goes on after a SIGKILL of the server, or is closed with a reason."""

import pytest

from tests.contract.conftest import StartCloud
from tests.contract.inference import make_model
from tests.contract.local_cloud import until
from tests.contract.pipeline_steps import definition, start, steps_of, training_step
from tests.contract.test_endpoints import ECHO, ask, deploy, make_config, settled
from tests.contract.test_monitoring import HOURLY, batch, executed, executions, job, schedule
from tests.contract.test_persistence import restarted, without_metadata
from tests.contract.test_tuning import described as described_tuning
from tests.contract.test_tuning import tune

WAITS = "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n"
NOT_ANSWERING = "import time\ndef model_fn(folder):\n    time.sleep(600)\n"


@pytest.mark.executes("CreateEndpoint", "DescribeEndpoint", "UpdateEndpoint", "InvokeEndpoint")
def test_endpoints(start_cloud: StartCloud) -> None:
    """What was served is served again by new containers, also when an update was cut off; a first deployment failed."""
    cloud = start_cloud()
    good = make_config(cloud, "good", ("AllTraffic", make_model(cloud, "echo", ECHO), 1.0))
    never = make_config(cloud, "never", ("AllTraffic", make_model(cloud, "never", NOT_ANSWERING), 1.0))
    created = deploy(cloud, "serving", good)
    deploy(cloud, "updating", good)
    sagemaker = cloud.client("sagemaker")
    sagemaker.update_endpoint(EndpointName="updating", EndpointConfigName=never)
    sagemaker.create_endpoint(EndpointName="creating", EndpointConfigName=never)
    before = {name: ask(cloud, name)["pid"] for name in ("serving", "updating")}
    cloud = restarted(cloud, start_cloud)
    serving = settled(cloud, "serving")
    assert (serving["EndpointStatus"], serving["CreationTime"]) == ("InService", created["CreationTime"])
    updating, creating = settled(cloud, "updating"), settled(cloud, "creating")
    assert (updating["EndpointStatus"], updating["EndpointConfigName"]) == ("InService", "good")
    assert "the local cloud was stopped while the endpoint was Updating" in updating["FailureReason"]
    assert creating["EndpointStatus"] == "Failed"
    assert "the local cloud was stopped while the endpoint was Creating" in creating["FailureReason"]
    for name, pid in before.items():
        said = ask(cloud, name)
        assert said["factor"] == 2
        assert said["pid"] != pid


@pytest.mark.executes("StartPipelineExecution", "DescribePipelineExecution", "CreateHyperParameterTuningJob")
def test_what_coordinates_jobs(start_cloud: StartCloud) -> None:
    """An execution and a tuning job are Failed with the reason, and so are their jobs; a new execution runs."""
    cloud = start_cloud()
    execution = start(cloud, "interrupted", definition(training_step(cloud, "Train", WAITS)))
    tune(cloud, "tuned", WAITS)
    until(lambda: len([row for row in cloud.status()["jobs"] if row["status"] == "running"]) >= 2, "running jobs")
    cloud = restarted(cloud, start_cloud)
    found = cloud.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=execution)
    assert found["PipelineExecutionStatus"] == "Failed"
    assert "the local cloud was stopped" in found["FailureReason"]
    (step,) = steps_of(cloud, execution).values()
    assert step["StepStatus"] == "Failed"
    tuned = described_tuning(cloud, "tuned")
    assert tuned["HyperParameterTuningJobStatus"] == "Failed"
    assert "the local cloud was stopped" in tuned["FailureReason"]
    jobs = cloud.client("sagemaker").list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]
    assert jobs == []
    again = cloud.client("sagemaker").start_pipeline_execution(PipelineName="interrupted")["PipelineExecutionArn"]
    until(lambda: [row for row in cloud.status()["jobs"] if row["status"] == "running"], "the new execution's job")
    cloud.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=again, ClientRequestToken="s" * 32)


@pytest.mark.executes("CreateMonitoringSchedule", "ListMonitoringExecutions")
def test_schedules(start_cloud: StartCloud) -> None:
    """Schedules and their executions are as before; one that is to run now runs."""
    cloud = start_cloud()
    uri = cloud.put("watched/rows.csv", "age\n1\n2\n").rpartition("/")[0]
    for name in ("once", "hourly", "again"):
        job(cloud, name, batch(uri))
    schedule(cloud, "once")
    schedule(cloud, "hourly", HOURLY)
    ended = executed(cloud, "once")
    before = cloud.client("sagemaker").describe_monitoring_schedule(MonitoringScheduleName="hourly")
    cloud = restarted(cloud, start_cloud)
    after = cloud.client("sagemaker").describe_monitoring_schedule(MonitoringScheduleName="hourly")
    assert without_metadata(before) == without_metadata(after)
    assert executions(cloud, "once") == [ended]
    schedule(cloud, "again")
    assert executed(cloud, "again")["MonitoringExecutionStatus"] == "Completed"
    assert [key for key in cloud.keys("again/reports/") if key.endswith("/statistics.json")]
