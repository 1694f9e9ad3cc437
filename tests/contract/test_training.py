"""What a training job does on the local cloud, as a client and the job itself see it."""

import hashlib
import json
import os
import signal

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud, is_alive, unpacked

LEARNS = """
import json, os, sys
channel = os.environ["SM_CHANNEL_TRAIN"]
rows = open(os.path.join(channel, "part/a.csv")).read().split()
print("rows:", len(rows))
for loss in (0.5, 0.25):
    print(f"validation-loss={loss};")
seen = {
    "argv": sys.argv[1:],
    "rows": rows,
    "literal": sorted(os.listdir("/opt/ml/input/data")) if os.path.exists("/opt/ml/input/data") else None,
    "hyperparameters": json.load(open(os.path.join(os.environ["SM_INPUT_CONFIG_DIR"], "hyperparameters.json"))),
    "resourceconfig": json.load(open(os.path.join(os.environ["SM_INPUT_CONFIG_DIR"], "resourceconfig.json"))),
    "inputdataconfig": json.load(open(os.path.join(os.environ["SM_INPUT_CONFIG_DIR"], "inputdataconfig.json"))),
    "variables": dict(os.environ),
}
with open(os.path.join(os.environ["SM_MODEL_DIR"], "seen.json"), "w") as file:
    json.dump(seen, file)
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "note.txt"), "w") as file:
    file.write("kept")
"""
WAITS = """
import signal, sys, time, pathlib, os
def tidy(*_):
    pathlib.Path(os.environ["SM_MODEL_DIR"], "saved.txt").write_text("saved on stop")
    sys.exit(0)
signal.signal(signal.SIGTERM, tidy)
print("waiting")
time.sleep(600)
"""


def channel(uri: str, kind: str = "S3Prefix", name: str = "train") -> dict[str, object]:
    """Return an input channel."""
    source = {"S3DataType": kind, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "ContentType": "text/csv"}


def learn(cloud: LocalCloud, name: str) -> dict[str, object]:
    """Run the job that records all it sees; return that."""
    cloud.put(f"input/{name}/part/a.csv", "1\n2\n3\n")
    cloud.train(
        name,
        LEARNS,
        HyperParameters={
            "C": "1.0",
            "max_depth": "3",
            "objective": "binary:logistic",
            "sagemaker_program": '"train.py"',
        },
        AlgorithmSpecification={"MetricDefinitions": [{"Name": "validation:loss", "Regex": "validation-loss=(.*?);"}]},
        InputDataConfig=[channel(f"s3://{cloud.bucket}/input/{name}/")],
        Environment={"GREETING": "hello"},
    )
    job = cloud.finished("Training", name)
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    seen: dict[str, object] = json.loads(unpacked(cloud.get(f"models/{name}/output/model.tar.gz"))["seen.json"])
    return seen


@pytest.mark.executes("CreateTrainingJob", "DescribeTrainingJob")
def test_life_of_a_training_job(cloud: LocalCloud) -> None:
    """A job that succeeds leaves its artifacts, log, metrics and transitions, all there when it is Completed."""
    learn(cloud, "life")
    job = cloud.describe("Training", "life")
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": "s3://data/models/life/output/model.tar.gz"}
    assert unpacked(cloud.get("models/life/output/output.tar.gz")) == {"note.txt": b"kept"}
    assert cloud.log("Training", "life") == ["rows: 3", "validation-loss=0.5;", "validation-loss=0.25;"]
    metrics = [(item["MetricName"], item["Value"]) for item in job["FinalMetricDataList"]]
    assert metrics == [("validation:loss", 0.25)]
    transitions = job["SecondaryStatusTransitions"]
    assert [item["Status"] for item in transitions] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(item["StartTime"] <= item["EndTime"] for item in transitions)
    assert job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["BillableTimeInSeconds"] >= 1
    assert job["Environment"] == {"GREETING": "hello"}
    points = cloud.client("cloudwatch").list_metrics(Namespace="/aws/sagemaker/TrainingJobs")["Metrics"]
    assert "validation:loss" in [point["MetricName"] for point in points]


def test_what_the_script_meets(cloud: LocalCloud) -> None:
    """The script gets AWS's folders, files, arguments and variables, and nothing of the server's environment."""
    seen = learn(cloud, "meets")
    assert seen["argv"] == ["-C", "1.0", "--max_depth", "3", "--objective", "binary:logistic"]
    assert seen["rows"] == ["1", "2", "3"]
    assert seen["literal"] == ["train"]
    assert seen["hyperparameters"]["max_depth"] == "3"  # type: ignore[index]
    assert seen["resourceconfig"]["current_host"] == "algo-1"  # type: ignore[index]
    assert seen["inputdataconfig"]["train"]["ContentType"] == "text/csv"  # type: ignore[index]
    variables = seen["variables"]
    assert isinstance(variables, dict)
    expected = {
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
        "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config",
        "SM_CHANNELS": '["train"]',
        "SM_CHANNEL_TRAIN": "/opt/ml/input/data/train",
        "SM_HP_MAX_DEPTH": "3",
        "SM_HP_C": "1.0",
        "SM_HPS": '{"C":1.0,"max_depth":3,"objective":"binary:logistic"}',
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        "SM_NUM_GPUS": "0",
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_USER_ARGS": '["-C","1.0","--max_depth","3","--objective","binary:logistic"]',
        "TRAINING_JOB_NAME": "meets",
        "GREETING": "hello",
        "OMP_NUM_THREADS": "1",
        "AWS_ENDPOINT_URL": cloud.endpoint,
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert [name for name in variables if name.startswith(("AIRFLOW", "UV_", "PIP_", "LOCALCLOUD_ENV"))] == []
    assert variables["HOME"] != os.environ.get("HOME")


@pytest.mark.executes("CreateTrainingJob", "DescribeTrainingJob")
def test_failing_script(cloud: LocalCloud) -> None:
    """The reason of a failed script holds exit code, command and the end of its traceback in 1024 characters."""
    script = "def deep(n):\n    if n == 0:\n        raise ValueError('x' * 900 + ' the very end')\n    deep(n - 1)\n"
    script += "deep(30)\n"
    job = cloud.finished("Training", cloud.train("fails", script, HyperParameters={"depth": "2"}))
    reason = job["FailureReason"]
    assert job["TrainingJobStatus"] == "Failed"
    assert reason.startswith('AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "')
    assert reason.endswith(' the very end"\nCommand "python3 train.py --depth 2"')
    assert len(reason) <= 1024
    assert cloud.keys("models/fails/") == []
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]][-1] == "Failed"


def test_script_without_artifact(cloud: LocalCloud) -> None:
    """A script that writes nothing completes, AWS names the artifact all the same, and there is no object."""
    job = cloud.finished("Training", cloud.train("empty", "print('done')"))
    assert job["TrainingJobStatus"] == "Completed"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://data/models/empty/output/model.tar.gz"
    assert cloud.keys("models/empty/") == []


def test_killed_program(cloud: LocalCloud) -> None:
    """A program that is killed fails its job, and the reason names the signal."""
    cloud.train("killed", WAITS)
    cloud.said("Training", "killed", "waiting")
    os.kill(cloud.pid("killed"), signal.SIGKILL)
    job = cloud.finished("Training", "killed")
    assert job["TrainingJobStatus"] == "Failed"
    assert "ExitCode 137" in job["FailureReason"]
    assert "killed by SIGKILL" in job["FailureReason"]
    assert cloud.row("killed")["status"] == "failed"


@pytest.mark.executes("StopTrainingJob")
def test_stop(cloud: LocalCloud) -> None:
    """A stopped job gets SIGTERM, may tidy up, and keeps what it wrote; a second stop is refused in AWS's words."""
    cloud.train("stopped", WAITS)
    cloud.said("Training", "stopped", "waiting")
    pid = cloud.pid("stopped")
    cloud.client("sagemaker").stop_training_job(TrainingJobName="stopped")
    job = cloud.finished("Training", "stopped")
    assert job["TrainingJobStatus"] == "Stopped"
    assert job["SecondaryStatus"] == "Stopped"
    assert unpacked(cloud.get("models/stopped/output/model.tar.gz")) == {"saved.txt": b"saved on stop"}
    assert not is_alive(pid)
    with pytest.raises(ClientError) as refusal:
        cloud.client("sagemaker").stop_training_job(TrainingJobName="stopped")
    assert refusal.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "The request was rejected because the training job is in status Stopped.",
    }


@pytest.mark.executes("StopTrainingJob")
def test_stop_of_a_program_that_ignores_it(cloud: LocalCloud) -> None:
    """A program that ignores SIGTERM, and its children, are gone after the grace time."""
    script = (
        "import signal, subprocess, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=False)\nprint('child', child.pid)\n"
        "print('waiting')\ntime.sleep(600)\n"
    )
    cloud.train("deaf", script)
    cloud.said("Training", "deaf", "waiting")
    child = int(cloud.log("Training", "deaf")[0].split()[1])
    cloud.client("sagemaker").stop_training_job(TrainingJobName="deaf")
    assert cloud.finished("Training", "deaf")["TrainingJobStatus"] == "Stopped"
    assert (is_alive(cloud.pid("deaf")), is_alive(child)) == (False, False)


def test_time_limit(cloud: LocalCloud) -> None:
    """A job that exceeds MaxRuntimeInSeconds is Stopped, and its secondary status says why."""
    cloud.train("slow", WAITS, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = cloud.finished("Training", "slow")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


@pytest.mark.refuses("CreateTrainingJob")
def test_name_in_use(cloud: LocalCloud) -> None:
    """A second job of the same name is refused with ResourceInUse."""
    cloud.finished("Training", cloud.train("twice", "pass"))
    with pytest.raises(ClientError) as refusal:
        cloud.train("twice", "pass")
    assert refusal.value.response["Error"]["Code"] == "ResourceInUse"
    assert "already exists (arn:aws:sagemaker:us-east-1:123456789012:training-job/twice)" in str(refusal.value)


@pytest.mark.refuses("CreateTrainingJob")
def test_missing_data(cloud: LocalCloud) -> None:
    """Input that does not exist is refused at creation, and no job is left behind."""
    with pytest.raises(ClientError) as refusal:
        cloud.train("nodata", "pass", InputDataConfig=[channel("s3://data/nothing/here")])
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert 'No S3 objects found under S3 URL "s3://data/nothing/here"' in str(refusal.value)
    with pytest.raises(ClientError) as unknown:
        cloud.describe("Training", "nodata")
    assert unknown.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Requested resource not found.",
    }


def test_manifest_channel(cloud: LocalCloud) -> None:
    """A manifest's objects keep their path relative to its prefix; what it does not list stays away."""
    for key in ("year=2013/month=1/a.csv", "year=2013/month=2/b.csv", "year=2013/month=3/c.csv"):
        cloud.put(f"lake/{key}", key)
    manifest = [{"prefix": "s3://data/lake/"}, "year=2013/month=1/a.csv", "year=2013/month=2/b.csv"]
    uri = cloud.put("manifests/two.json", json.dumps(manifest))
    script = (
        "import os, pathlib\nbase = pathlib.Path(os.environ['SM_CHANNEL_TRAIN'])\n"
        "for path in sorted(base.rglob('*.csv')):\n    print(path.relative_to(base), path.read_text())\n"
    )
    job = cloud.finished("Training", cloud.train("listed", script, InputDataConfig=[channel(uri, "ManifestFile")]))
    assert job["TrainingJobStatus"] == "Completed"
    assert cloud.log("Training", "listed") == [
        "year=2013/month=1/a.csv year=2013/month=1/a.csv",
        "year=2013/month=2/b.csv year=2013/month=2/b.csv",
    ]


def test_requirements_of_the_source(cloud: LocalCloud) -> None:
    """The source's requirements.txt is installed over the image's packages, in an environment the status page names."""
    script = "import iniconfig, xgboost\nprint('imported', iniconfig.__name__)\n"
    cloud.train("requires", script, {"requirements.txt": "iniconfig==2.1.0\n"})
    job = cloud.finished("Training", "requires")
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert cloud.log("Training", "requires")[-1] == "imported iniconfig"
    digest = hashlib.sha256(b"iniconfig==2.1.0\n").hexdigest()
    found = [item for item in cloud.status()["environments"] if item["requirements_sha256"] == digest]
    # the image's environments of other days have the same source
    assert {item["image"] for item in found} == {"sagemaker-xgboost"}
    assert os.access(found[0]["python"], os.X_OK)


def test_requirements_that_cannot_be_installed(cloud: LocalCloud) -> None:
    """A requirement that does not exist fails the job with the installer's own words."""
    cloud.train("unmet", "pass", {"requirements.txt": "iniconfig==99999.0\n"})
    job = cloud.finished("Training", "unmet")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: InstallRequirementsError:")
    assert "iniconfig==99999.0" in job["FailureReason"]


def test_own_entry_point(cloud: LocalCloud) -> None:
    """A container's own entry point runs with its arguments, without the toolkit's SM_* variables."""
    command = ["python", "-c", "import os, sys; print(sys.argv[1:], 'SM_MODEL_DIR' in os.environ)", "a", "b"]
    cloud.client("sagemaker").create_training_job(
        TrainingJobName="entry",
        AlgorithmSpecification={
            "TrainingImage": XGBOOST_IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": command[:1],
            "ContainerArguments": command[1:],
        },
        RoleArn=ROLE,
        OutputDataConfig={"S3OutputPath": "s3://data/models"},
        ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    assert cloud.finished("Training", "entry")["TrainingJobStatus"] == "Completed"
    assert cloud.log("Training", "entry") == ["['a', 'b'] False"]


@pytest.mark.refuses("CreateTrainingJob")
def test_unknown_image(cloud: LocalCloud) -> None:
    """An image without a stand-in is refused at creation, with how to map it."""
    with pytest.raises(ClientError) as refusal:
        cloud.train("image", "pass", AlgorithmSpecification={"TrainingImage": "docker.io/somebody/something:1"})
    error = refusal.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert "docker.io/somebody/something:1" in error["Message"]
    assert "add its address pattern and packages to a YAML file" in error["Message"]


def test_more_jobs_than_slots(cloud: LocalCloud) -> None:
    """A job beyond the slots waits as InProgress; stopped while it waits, it never runs."""
    for name in ("first", "second", "third"):
        cloud.train(f"slot-{name}", WAITS)
    cloud.said("Training", "slot-first", "waiting")
    cloud.said("Training", "slot-second", "waiting")
    assert cloud.row("slot-third")["status"] == "queued"
    assert cloud.describe("Training", "slot-third")["TrainingJobStatus"] == "InProgress"
    for name in ("third", "first", "second"):
        cloud.client("sagemaker").stop_training_job(TrainingJobName=f"slot-{name}")
    for name in ("first", "second", "third"):
        assert cloud.finished("Training", f"slot-{name}")["TrainingJobStatus"] == "Stopped"
    assert cloud.row("slot-third")["pid"] is None


def test_fallback_isolation(start_cloud: StartCloud) -> None:
    """Without namespaces the same job does the same: its /opt/ml is spelled as the real path of its tree."""
    cloud = start_cloud("--isolation", "paths")
    seen = learn(cloud, "paths")
    assert seen["rows"] == ["1", "2", "3"]
    assert seen["variables"]["SM_MODEL_DIR"].startswith(str(cloud.root))  # type: ignore[index]
    assert cloud.status()["isolation"] == "paths"


def test_a_machine_without_user_namespaces(start_cloud: StartCloud) -> None:
    """Where the kernel allows no further user namespace, the cloud notices by itself and the same job does the same."""
    forbidding = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" "$@"'
    cloud = start_cloud(within=("unshare", "-Ur", "sh", "-c", forbidding))
    seen = learn(cloud, "forbidden")
    assert seen["rows"] == ["1", "2", "3"]
    assert cloud.status()["isolation"] == "paths"
