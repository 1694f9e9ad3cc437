"""`make requests`: what it writes, what changes it, and that the SageMaker SDK itself sends the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from include.core.lake import Lake
from include.core.model_spec import MODELS_FOLDER, load_model
from include.jobs import requests
from include.jobs.code_package import CodePackage
from include.jobs.compiled import PURPOSES
from tests.contract.local_cloud import archive
from tests.contract.sdk.conftest import PROJECT, PYTHON, SECONDS, Sdk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contract.local_cloud import LocalCloud

    Compile = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.verify
SECOND_MODELS = PROJECT / "tests" / "pipeline" / "second_model" / "models"
# settings of a machine and of its user, which have to leave the compiled requests alone
FOREIGN_SDK_DEFAULTS = """
SchemaVersion: '1.0'
SageMaker:
  TrainingJob: {Tags: [{Key: owner, Value: me}], Environment: {MINE: '1'}, EnableNetworkIsolation: true}
  ProcessingJob: {Tags: [{Key: owner, Value: me}], Environment: {MINE: '1'}}
  TransformJob: {Tags: [{Key: owner, Value: me}], Environment: {MINE: '1'}}
  Model: {EnableNetworkIsolation: true}
"""
FOREIGN_SETTINGS = {
    "AWS_DEFAULT_REGION": "eu-west-3",
    "AWS_REGION": "eu-west-3",
    "AWS_PROFILE": "mine",
    "TZ": "Asia/Tokyo",
}


@pytest.fixture
def compile_requests(tmp_path: Path) -> Compile:
    """Return a function that runs the program of `make requests` on a folder of models, on a machine with settings."""
    if not PYTHON.exists():
        pytest.fail(f"{PYTHON} is missing. Remedy: make .local/sagemaker-sdk.stamp")
    defaults = tmp_path / "home" / ".config" / "sagemaker" / "config.yaml"
    defaults.parent.mkdir(parents=True)
    defaults.write_text(FOREIGN_SDK_DEFAULTS)

    def run(models: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON, PROJECT / "envs" / "sagemaker-sdk" / "compile_requests.py", "--models", models],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path / "home"),
                "PYTHONPATH": str(PROJECT),
                **FOREIGN_SETTINGS,
            },
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


def copied(models: Path, target: Path) -> Path:
    """Copy models without their compiled requests."""
    return Path(shutil.copytree(models, target, ignore=shutil.ignore_patterns("requests", "__pycache__")))


def compiled(models: Path) -> dict[str, bytes]:
    """Return the content of each compiled request below a folder of models."""
    return {str(path.relative_to(models)): path.read_bytes() for path in sorted(models.glob("*/requests/*"))}


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of everything in a JSON document that is no container."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, f"{path}.{key}")
    else:
        yield path.removeprefix("."), node


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Return, by file and path, the values that differ, but for the digests of model.yaml."""
    assert before.keys() == after.keys()
    found = {}
    for file, content in before.items():
        old, new = dict(leaves(json.loads(content))), dict(leaves(json.loads(after[file])))
        found[file] = {
            path: (old.get(path), new.get(path))
            for path in old.keys() | new.keys()
            if old.get(path) != new.get(path) and path != "model_yaml"
        }
    return {file: differences for file, differences in found.items() if differences}


@pytest.mark.parametrize("models", [MODELS_FOLDER, SECOND_MODELS], ids=["project", "second model"])
def test_what_is_committed_is_what_it_writes(compile_requests: Compile, tmp_path: Path, models: Path) -> None:
    """The committed files, byte for byte, whatever the machine's settings are; a second run writes none again."""
    target = copied(models, tmp_path / "models")
    first = compile_requests(target)
    assert (0, "") == (first.returncode, first.stderr)
    assert compiled(models) == compiled(target)
    assert {
        f"{path.parent.name}/requests/{purpose}.json" for path in models.glob("*/model.yaml") for purpose in PURPOSES
    } == set(compiled(target))
    written = {path: path.stat().st_mtime_ns for path in target.rglob("*.json")}
    assert 0 == compile_requests(target).returncode
    assert written == {path: path.stat().st_mtime_ns for path in target.rglob("*.json")}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("training", {"train": "request.ResourceConfig.InstanceType"}),
        (
            "evaluation",
            dict.fromkeys(("evaluate", "plot"), "request.ProcessingResources.ClusterConfig.InstanceType"),
        ),
        ("scoring", {"transform": "request.TransformResources.InstanceType"}),
    ],
)
def test_an_instance_type_changes_exactly_its_path(
    compile_requests: Compile, tmp_path: Path, section: str, expected: dict[str, str]
) -> None:
    """Another machine in model.yaml changes one path of each request that runs on it, and nothing else."""
    target = copied(MODELS_FOLDER, tmp_path / "models")
    model_yaml = target / "flight_delay" / "model.yaml"
    content = yaml.safe_load(model_yaml.read_text())
    was, content[section]["instance_type"] = content[section]["instance_type"], "ml.c5.2xlarge"
    model_yaml.write_text(yaml.safe_dump(content, sort_keys=False))
    ended = compile_requests(target)
    assert (0, "") == (ended.returncode, ended.stderr)
    assert {
        f"flight_delay/requests/{purpose}.json": {path: (was, "ml.c5.2xlarge")} for purpose, path in expected.items()
    } == changed(compiled(MODELS_FOLDER), compiled(target))


def test_each_job_has_the_image_of_its_machine(compile_requests: Compile, tmp_path: Path) -> None:
    """Of a framework with an image for each task and processor, each request has its own."""
    target = copied(MODELS_FOLDER, tmp_path / "models")
    model_yaml = target / "flight_delay" / "model.yaml"
    content = yaml.safe_load(model_yaml.read_text())
    content["image"] = {"framework": "pytorch", "version": "2.5.1", "py_version": "py311", "region": "eu-west-1"}
    content["training"]["instance_type"] = "ml.g5.xlarge"
    model_yaml.write_text(yaml.safe_dump(content, sort_keys=False))
    ended = compile_requests(target)
    assert (0, "") == (ended.returncode, ended.stderr)
    registry = "763104351884.dkr.ecr.eu-west-1.amazonaws.com"
    found = {
        path: value
        for file in compiled(target).values()
        for path, value in leaves(json.loads(file))
        if "Image" in path.rpartition(".")[2]
    }
    assert {
        "request.AlgorithmSpecification.TrainingImage": f"{registry}/pytorch-training:2.5.1-gpu-py311",
        "request.AppSpecification.ImageUri": f"{registry}/pytorch-training:2.5.1-cpu-py311",
        "request.PrimaryContainer.Image": f"{registry}/pytorch-inference:2.5.1-cpu-py311",
    } == found


@pytest.mark.parametrize(
    ("image", "what"),
    [
        ({"framework": "xgboost", "version": "3.0-99", "region": "us-east-1"}, "Unsupported xgboost version: 3.0-99"),
        ({"framework": "wishful", "version": "1", "region": "us-east-1"}, "wishful"),
        ({"framework": "xgboost", "version": "3.0-5", "region": "us-moon-1"}, "us-moon-1"),
    ],
)
def test_an_image_that_the_sdk_does_not_know_is_refused(
    compile_requests: Compile, tmp_path: Path, image: dict[str, str], what: str
) -> None:
    """The error names file, value, the SDK's reason and the remedy, and nothing is written."""
    target = copied(MODELS_FOLDER, tmp_path / "models")
    model_yaml = target / "flight_delay" / "model.yaml"
    content = yaml.safe_load(model_yaml.read_text()) | {"image": image}
    model_yaml.write_text(yaml.safe_dump(content, sort_keys=False))
    ended = compile_requests(target)
    assert 1 == ended.returncode
    assert ended.stderr.startswith("flight_delay/model.yaml: image = {")
    assert what in ended.stderr
    assert ended.stderr.endswith("Remedy: correct image, or give the address of an image as image.\n")
    assert {} == compiled(target)


def test_a_value_that_looks_like_a_placeholder_is_refused(compile_requests: Compile, tmp_path: Path) -> None:
    """No task could fill it."""
    target = copied(MODELS_FOLDER, tmp_path / "models")
    model_yaml = target / "flight_delay" / "model.yaml"
    content = yaml.safe_load(model_yaml.read_text())
    content["training"]["hyperparameters"]["note"] = "${features}"
    model_yaml.write_text(yaml.safe_dump(content, sort_keys=False))
    ended = compile_requests(target)
    assert (1, {}) == (ended.returncode, compiled(target))
    assert "Remedy: write the value without it." in ended.stderr


@pytest.mark.executes("CreateTrainingJob", "CreateProcessingJob", "CreateModel", "CreateTransformJob")
def test_the_sdk_itself_sends_the_same(sdk: Sdk, cloud: LocalCloud) -> None:
    """What the SDK's classes put on the wire for the same inputs is what a task fills in, all of it but one name.

    Nothing that the SDK adds is left out. The training job's name alone differs: the SDK adds the time to the prefix,
    so that each try would be another job; the operator adds what makes a task's job the same one at each try.
    """
    lake = Lake(cloud.client("s3"), f"s3://{cloud.bucket}/lake")
    code = CodePackage(uri=lake.uri("code"))
    rows = cloud.put("lake/rows/features.parquet", "rows")
    at = {
        "features": cloud.put(
            "lake/features.manifest", json.dumps([{"prefix": f"{lake.root}/"}, "rows/features.parquet"])
        ),
        "labels": cloud.put("lake/labels.manifest", json.dumps([{"prefix": f"{lake.root}/"}, "rows/features.parquet"])),
        "artifact": cloud.put("lake/model.tar.gz", archive({"model": "none"})),
    }
    cloud.put("lake/code/files/evaluate.py", "")
    cloud.put("lake/code/sourcedir.tar.gz", archive({"train.py": "", "serve.py": ""}))
    given = at | {
        "model_yaml": str(MODELS_FOLDER / "flight_delay" / "model.yaml"),
        "lake": lake.root,
        "code": code.uri,
        "rows": rows,
    }
    sent = sdk.run("flight_delay", json.dumps(given))

    spec = load_model("flight_delay")
    channels = {name: at[name] for name in ("features", "labels")}
    model = (at["artifact"], code)
    filled = {
        "CreateTrainingJob": [requests.training_request(spec, lake, code, channels, sdk.role)],
        "CreateProcessingJob": [
            requests.evaluation_request(spec, lake, "2013-03", channels, model, {"champion": model}, sdk.role),
            requests.plot_request(spec, lake, code, at["features"], sdk.role),
        ],
        "CreateModel": [requests.model_request(spec, requests.serving_image(spec), at["artifact"], code, sdk.role)],
        "CreateTransformJob": [
            requests.transform_request(spec, rows, requests.scoring_output(spec, lake), "flight-delay-model")
        ],
    }
    (training,) = sent["CreateTrainingJob"]
    name = training["TrainingJobName"]
    assert name.startswith("flight-delay-train-")
    training["TrainingJobName"] = "flight-delay-train"
    assert filled == sent
    assert cloud.describe("Training", name)["HyperParameters"] == training["HyperParameters"]
    for kind, job in (("Processing", "flight-delay-evaluate"), ("Transform", "flight-delay-score")):
        assert job == cloud.describe(kind, job)[f"{kind}JobName"]
