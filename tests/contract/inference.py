"""Models that the tests of transforms and endpoints serve, and how they are created."""

from typing import Any

from tests.contract.local_cloud import ROLE, XGBOOST_IMAGE, LocalCloud, archive

# doubles the numbers it gets; its answers tell how many records came in one request
DOUBLES = """
import json, os, time
def model_fn(model_dir):
    with open(os.path.join(model_dir, "factor.json")) as file:
        return json.load(file)["factor"]
def input_fn(body, content_type):
    assert content_type == "text/csv", content_type
    return [float(line) for line in body.split()]
def predict_fn(numbers, factor):
    if any(number < 0 for number in numbers):
        raise ValueError("negative number: " + str(numbers))
    if 99.0 in numbers:
        print("waiting", flush=True)
        time.sleep(600)
    return [number * factor for number in numbers]
def output_fn(numbers, accept):
    return ",".join(str(number) for number in numbers), accept
"""


def container(
    cloud: LocalCloud, name: str, script: str = DOUBLES, files: dict[str, str] | None = None, factor: int = 2
) -> dict[str, Any]:
    """Store artifact and script; return the ContainerDefinition that serves them."""
    artifact = cloud.put(f"artifacts/{name}/model.tar.gz", archive({"factor.json": f'{{"factor": {factor}}}'}))
    code = cloud.put(f"artifacts/{name}/code.tar.gz", archive({"inference.py": script, **(files or {})}))
    return {
        "Image": XGBOOST_IMAGE,
        "ModelDataUrl": artifact,
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": code},
    }


def make_model(cloud: LocalCloud, name: str, script: str = DOUBLES, **container_options: Any) -> str:
    """Create a model with its own inference script; return its name."""
    cloud.client("sagemaker").create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container(cloud, name, script, **container_options)
    )
    return name
