"""Make the Python environments of the models' jobs before a job needs them, so that no job has to wait for its own.

How it works: a local cloud of its own runs, for each model, the smallest training job (image and requirements.txt) and
the smallest processing job (image alone); the environments that it makes for them stay in the shared cache.

What it does not do: run any of the models' code.
"""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from deploy.laptop.cloud import LocalCloud, s3_client
from deploy.laptop.errors import ServiceFailed
from include.core.errors import FlightdeckError
from include.core.model_spec import MODELS_FOLDER, load_models
from include.jobs.requests import processing_image, training_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_sagemaker.client import SageMakerClient

    from include.core.model_spec import ModelSpec

_BUCKET = "flightdeck-lake"
_ROLE = "arn:aws:iam::123456789012:role/flightdeck-jobs"
_PROGRAM = b'print("the environment is ready")'
_SECONDS = 900.0
_POLL_SECONDS = 0.2
_CLUSTER: Any = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}


def main() -> int:
    """Make every model's environments; return the exit code."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="flightdeck-warm-") as folder,
            LocalCloud(Path(folder, "cloud")) as cloud,
        ):
            client = _sagemaker(cloud.environment)
            s3 = s3_client(cloud.environment)
            deadline = time.monotonic() + _SECONDS
            for spec in load_models():
                requirements = (MODELS_FOLDER / spec.name / "requirements.txt").read_bytes()
                archive = _archive({"warm.py": _PROGRAM, "requirements.txt": requirements})
                s3.put_object(Bucket=_BUCKET, Key=f"warm/{spec.name}.tar.gz", Body=archive)
                _train(client, spec, deadline)
                _process(client, spec, deadline)
    except FlightdeckError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _train(client: SageMakerClient, spec: ModelSpec, deadline: float) -> None:
    name = f"warm-{spec.name.replace('_', '-')}"
    client.create_training_job(
        TrainingJobName=name,
        RoleArn=_ROLE,
        AlgorithmSpecification={"TrainingImage": training_image(spec), "TrainingInputMode": "File"},
        HyperParameters={
            "sagemaker_program": "warm.py",
            "sagemaker_submit_directory": f"s3://{_BUCKET}/warm/{spec.name}.tar.gz",
        },
        OutputDataConfig={"S3OutputPath": f"s3://{_BUCKET}/warm"},
        ResourceConfig=_CLUSTER,
        StoppingCondition={"MaxRuntimeInSeconds": int(_SECONDS)},
    )
    _wait(
        f"training job {name}",
        "TrainingJobStatus",
        lambda: client.describe_training_job(TrainingJobName=name),
        deadline,
    )


def _process(client: SageMakerClient, spec: ModelSpec, deadline: float) -> None:
    name = f"warm-{spec.name.replace('_', '-')}"
    client.create_processing_job(
        ProcessingJobName=name,
        RoleArn=_ROLE,
        AppSpecification={
            "ImageUri": processing_image(spec),
            "ContainerEntrypoint": ["python3", "-c", _PROGRAM.decode()],
        },
        ProcessingResources={"ClusterConfig": _CLUSTER},
        StoppingCondition={"MaxRuntimeInSeconds": int(_SECONDS)},
    )
    _wait(
        f"processing job {name}",
        "ProcessingJobStatus",
        lambda: client.describe_processing_job(ProcessingJobName=name),
        deadline,
    )


def _wait(job: str, key: str, describe: Callable[[], Mapping[str, Any]], deadline: float) -> None:
    while True:
        description = describe()
        status = description[key]
        if status == "Completed":
            return
        if status in {"Failed", "Stopped"} or time.monotonic() > deadline:
            raise ServiceFailed(
                job,
                f"{status}: {description.get('FailureReason', f'not completed within {_SECONDS:.0f} s')}",
                rule="the packages of a model's requirements.txt can be installed over its image's",
                remedy="correct requirements.txt, or the settings of the package index",
            )
        time.sleep(_POLL_SECONDS)


def _archive(contents: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _sagemaker(environment: Mapping[str, str]) -> SageMakerClient:
    return boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    ).client("sagemaker", endpoint_url=environment["AWS_ENDPOINT_URL"])


if __name__ == "__main__":
    sys.exit(main())
