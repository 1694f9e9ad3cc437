"""What a job can see and use of the machine: its own tree, and what its instance has."""

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import LocalCloud

SNOOPS = """
import os, pathlib, sys
given = pathlib.Path(sys.argv[-1])
print("exists", given.exists())
print("beside", sorted(path.name for path in given.parent.parent.iterdir()) if given.parent.parent.is_dir() else None)
print("own", sorted(os.listdir(os.environ["SM_MODEL_DIR"])), pathlib.Path(os.environ["HOME"]).is_dir())
"""
WAITS = """
import os, pathlib, time
pathlib.Path(os.environ["SM_MODEL_DIR"], "secret.txt").write_text("mine")
print("at", os.environ["HOME"], flush=True)
time.sleep(600)
"""


@pytest.mark.executes("CreateTrainingJob")
def test_another_job_cannot_be_reached(cloud: LocalCloud) -> None:
    """A job that is given the path of another running job's folder, or of the cloud's own, finds nothing there."""
    cloud.train("keeps-a-secret", WAITS)
    home = cloud.log_line("keeps-a-secret", "at ").removeprefix("at ")
    tree = home.removesuffix("/home")
    for name, path in (("snoops-1", f"{tree}/ml/model/secret.txt"), ("snoops-2", f"{cloud.root}/state.db")):
        cloud.finished("Training", cloud.train(name, SNOOPS, HyperParameters={"path": path}))
        said = cloud.log("Training", name)
        assert said[0] == "exists False"
        assert said[2] == "own [] True"
    cloud.client("sagemaker").stop_training_job(TrainingJobName="keeps-a-secret")
    cloud.finished("Training", "keeps-a-secret")


@pytest.mark.executes("CreateTrainingJob")
def test_an_instance_has_so_much_memory(cloud: LocalCloud) -> None:
    """A program cannot take more memory than its instance type has."""
    script = """
import resource
print(resource.getrlimit(resource.RLIMIT_AS)[0] >> 20, resource.getrlimit(resource.RLIMIT_CPU)[0])
try:
    bytearray(5 << 30)
except MemoryError:
    print("refused")
"""
    resources = {"InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 10}
    cloud.train("greedy", script, ResourceConfig=resources, StoppingCondition={"MaxRuntimeInSeconds": 50})
    job = cloud.finished("Training", "greedy")
    assert job["TrainingJobStatus"] == "Completed"
    # 4 GiB; two processors for 50 s and the 2 s of grace that this cloud grants, and one more
    assert cloud.log("Training", "greedy") == ["4096 105", "refused"]


@pytest.mark.refuses("CreateTrainingJob", "CreateProcessingJob")
def test_an_instance_type_that_does_not_exist(cloud: LocalCloud) -> None:
    """An unknown instance type is refused as AWS refuses it, for each kind of job by its own list."""
    resources = {"InstanceCount": 1, "InstanceType": "ml.m5.huge", "VolumeSizeInGB": 10}
    with pytest.raises(ClientError) as refusal:
        cloud.train("huge", "pass", ResourceConfig=resources)
    assert "Value 'ml.m5.huge' at 'resourceConfig.instanceType' failed to satisfy constraint" in str(refusal.value)
    with pytest.raises(ClientError) as processing:
        cloud.process_data("huge", "pass", ProcessingResources={"ClusterConfig": resources})
    assert "at 'processingResources.clusterConfig.instanceType'" in str(processing.value)


def isolated(cloud: LocalCloud) -> None:
    """Check that a job of this cloud has its own /opt/ml and host name."""
    cloud.train("ordinary", "import os, socket\nprint(os.path.isdir('/opt/ml/model'), socket.gethostname())\n")
    job = cloud.finished("Training", "ordinary")
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert cloud.log("Training", "ordinary") == ["True algo-1"]
    assert cloud.status()["isolation"] == "namespace"


@pytest.mark.executes("CreateTrainingJob")
def test_a_user_without_any_capability(start_cloud: StartCloud) -> None:
    """A cloud that runs without root's capabilities isolates its jobs just so."""
    isolated(start_cloud(within=["unshare", "--user", "--map-user=65534", "--map-group=65534"]))
