"""What the resources of the cases run: programs that do their work, fail, or wait until they are released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.local_cloud import LocalCloud, archive
from tests.contract.operators.cases import Case, endpoint_config_request, model_request, request

if TYPE_CHECKING:
    from collections.abc import Iterable

# a program's own way to see an object, without a client: one that everybody may read
WAITS = """
import time, urllib.error, urllib.request
def act():
    print("waiting", flush=True)
    while True:
        try:
            urllib.request.urlopen("{address}").read()
            return
        except urllib.error.HTTPError:
            time.sleep(0.2)
"""
FAILS = "def act():\n    raise ValueError('a planted failure')\n"
WORKS = "def act():\n    pass\n"
TRAINS = """
import os
act()
print("loss=1.0;")
open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w").write("trained")
"""
PROCESSES = """
act()
open("/opt/ml/processing/out/rows.csv", "w").write("processed")
"""
# a transform fails by its records, an endpoint by its model
SERVES = """
import json, os
def model_fn(folder):
    if {at_load}: act()
    return 2
def input_fn(body, content_type):
    return [float(line) for line in (body if isinstance(body, str) else body.decode()).split()]
def predict_fn(numbers, factor):
    if not {at_load}: act()
    return [number * factor for number in numbers]
def output_fn(numbers, accept):
    return ",".join(map(str, numbers)), accept
"""


def prepare(cloud: LocalCloud, cases: Iterable[Case]) -> None:
    """Make what the tasks of the cases find: programs, data, models, configurations, pipelines."""
    sagemaker = cloud.client("sagemaker")
    for case in cases:
        act = _act(cloud, case)
        serves = SERVES.format(at_load=case.kind == "endpoint")
        cloud.put(f"{case.name}/code.tar.gz", archive({"train.py": act + TRAINS, "inference.py": act + serves}))
        cloud.put(f"{case.name}/process.py", act + PROCESSES)
        cloud.put(f"{case.name}/rows.csv", "1\n2\n")
        if case.kind in {"transform", "endpoint"}:
            cloud.put(f"{case.name}/model.tar.gz", archive({"factor": "2"}))
            sagemaker.create_model(**model_request(case))
        if case.kind == "endpoint":
            sagemaker.create_endpoint_config(**endpoint_config_request(case))
        if case.kind == "pipeline":
            sagemaker.create_pipeline(**request(case))


def release(cloud: LocalCloud, case: Case) -> None:
    """Let the program of a case go on."""
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key=f"{case.name}/released", Body=b"", ACL="public-read")


def _act(cloud: LocalCloud, case: Case) -> str:
    if case.waits_for_release:
        return WAITS.format(address=f"{cloud.endpoint}/{cloud.bucket}/{case.name}/released")
    return FAILS if case.outcome == "failed" else WORKS
