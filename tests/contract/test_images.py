"""Images that a user maps, and the interpreter that a job gets for its image."""

import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import StartCloud
from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud
from tests.contract.test_processing import s3_output

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"
CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
MAP = """
images:
  - name: mine
    address: 123456789012.dkr.ecr.*.amazonaws.com/mine:*
    packages: [iniconfig==2.1.0]
    entrypoint: [python, -c, "import iniconfig, os, sys; print(sys.argv[1:], 'PIP_INDEX_URL' in os.environ)"]
"""
# installs a package into its own interpreter, as the drivers of SageMaker's SDK do
INSTALLS = """
import importlib.util, os, pathlib, subprocess, sys
before = importlib.util.find_spec("iniconfig") is not None
subprocess.run([sys.executable, "-m", "pip", "install", "iniconfig==2.1.0"], check=True)
show = "from importlib.metadata import version; print(version('iniconfig'))"
value = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True).stdout
leaked = sorted(name for name in os.environ if name.startswith(("PIP_", "UV_")))
pathlib.Path("/opt/ml/processing/output/found").write_text(f"{before} {value.strip()} {leaked}")
"""


@pytest.mark.executes("CreateTrainingJob", "CreateProcessingJob")
def test_a_mapped_image(start_cloud: StartCloud, tmp_path: Path) -> None:
    """A user's file maps an image: its packages are there, and its own entry point runs, with `train` for training."""
    file = tmp_path / "images.yaml"
    file.write_text(MAP)
    cloud = start_cloud("--images", str(file))
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_training_job(
        TrainingJobName="mapped",
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        OutputDataConfig={"S3OutputPath": "s3://data/models/"},
        ResourceConfig=CLUSTER,
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    sagemaker.create_processing_job(
        ProcessingJobName="mapped",
        ProcessingResources={"ClusterConfig": CLUSTER},
        AppSpecification={"ImageUri": IMAGE, "ContainerArguments": ["--month", "1"]},
        RoleArn=ROLE,
    )
    for kind in ("Training", "Processing"):
        job = cloud.finished(kind, "mapped")
        assert (job[f"{kind}JobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert cloud.log("Training", "mapped") == ["['train'] False"]
    assert cloud.log("Processing", "mapped") == ["['--month', '1'] False"]
    assert [image["name"] for image in cloud.status()["images"]][:2] == ["mine", "sagemaker-xgboost"]


@pytest.mark.refuses("CreateProcessingJob")
def test_an_image_without_an_entry_point(cloud: LocalCloud) -> None:
    """A job that names no command needs an image with an entry point; an unmapped image is refused with the remedy."""
    with pytest.raises(ClientError, match="the own entry point of sagemaker-xgboost"):
        cloud.client("sagemaker").create_processing_job(
            ProcessingJobName="no-entry-point",
            ProcessingResources={"ClusterConfig": CLUSTER},
            AppSpecification={"ImageUri": XGBOOST_IMAGE},
            RoleArn=ROLE,
        )
    with pytest.raises(ClientError, match=r"no environment for the image .*/mine:1'.* start the cloud with `--images"):
        cloud.process_data("no-image", "pass", AppSpecification={"ImageUri": IMAGE})


def test_a_wrong_map_ends_the_start(tmp_path: Path) -> None:
    """A map that breaks a rule is told at once, in one line, before anything is written."""
    file = tmp_path / "images.yaml"
    file.write_text("images: [{name: a}]")
    command = [sys.executable, "-m", "localcloud.cli", "up", "--root", str(tmp_path / "root"), "--images", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"localcloud: images file {file}: images[0].address is needed")
    assert not (tmp_path / "root").exists()


@pytest.mark.executes("CreateProcessingJob")
def test_what_a_job_installs_is_its_own(cloud: LocalCloud) -> None:
    """A job's pip installs for it alone, from where the server does; neither its variables nor its log tell where."""
    for name in ("installs-1", "installs-2"):
        cloud.process_data(name, INSTALLS, ProcessingOutputConfig=s3_output(f"s3://data/{name}"))
        job = cloud.finished("Processing", name)
        assert (job["ProcessingJobStatus"], job.get("FailureReason")) == ("Completed", None)
        assert cloud.get(f"{name}/found") == b"False 2.1.0 []"
        log = cloud.log("Processing", name)
        assert any("Successfully installed iniconfig-2.1.0" in line for line in log)
        assert [line for line in log if line.startswith("Looking in")] == []


FRAMEWORKS = {
    "sagemaker-xgboost:3.0-5": {"xgboost": "3.0.5"},
    "sagemaker-xgboost:1.7-1": {"xgboost": "1.7.6"},
    "sagemaker-scikit-learn:1.4-2-cpu-py3": {"scikit-learn": "1.4.2"},
    "sagemaker-scikit-learn:1.2-1-cpu-py3": {"scikit-learn": "1.2.2" if sys.version_info < (3, 12) else "1.3.2"},
}
FITS = """
import sys
import numpy, pandas, pyarrow, sklearn.linear_model
rows, labels = pandas.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]}), numpy.array([0, 0, 1, 1])
if "xgboost" in sys.argv:
    import xgboost
    print("xgboost", xgboost.__version__)
    model = xgboost.XGBClassifier(n_estimators=3).fit(rows, labels)
else:
    print("scikit-learn", sklearn.__version__)
    model = sklearn.linear_model.LogisticRegression().fit(rows, labels)
print(len(model.predict(rows)))
"""


@pytest.mark.verify
@pytest.mark.executes("CreateTrainingJob")
@pytest.mark.parametrize("image", FRAMEWORKS)
def test_framework_images(cloud: LocalCloud, image: str) -> None:
    """Each version of AWS's framework images fits a model with the packages that stand in for it."""
    address = f"{XGBOOST_IMAGE.partition('/')[0]}/{image}"
    ((package, version),) = FRAMEWORKS[image].items()
    name = image.replace(":", "-").replace(".", "-")
    cloud.train(
        name, FITS, AlgorithmSpecification={"TrainingImage": address}, HyperParameters={"package": f'"{package}"'}
    )
    job = cloud.finished("Training", name)
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert cloud.log("Training", name)[-2:] == [f"{package} {version}", "4"]
