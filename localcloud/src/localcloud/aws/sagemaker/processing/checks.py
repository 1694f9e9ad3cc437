"""What SageMaker refuses when a processing job is created, and what cannot run here."""

from collections.abc import Sequence

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.jobs.checks import check_image, check_name, check_unique, unsupported
from localcloud.aws.sagemaker.jobs.cluster import check_cluster
from localcloud.aws.sagemaker.jobs.execution import Request
from localcloud.engine.tree import JOB_BASE
from localcloud.images import Image

_PROCESSING_BASE = f"{JOB_BASE}/processing"


def check_processing(request: Request) -> Image:
    """Check a CreateProcessingJob request; return its image."""
    check_name("processingJobName", request["ProcessingJobName"])
    application = request["AppSpecification"]
    image = check_image(application.get("ImageUri", ""))
    if not application.get("ContainerEntrypoint") and not image.entrypoint:
        unsupported(f"the own entry point of {image.name} (AppSpecification.ContainerEntrypoint is not given)")
    check_cluster(request["ProcessingResources"]["ClusterConfig"], "clusterConfig", "ProcessingInstanceType")
    if request["ProcessingResources"]["ClusterConfig"].get("InstancePreferences"):
        unsupported("ClusterConfig.InstancePreferences")
    inputs = request.get("ProcessingInputs") or []
    outputs = (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    check_unique("InputName", [item["InputName"] for item in inputs])
    check_unique("OutputName", [item["OutputName"] for item in outputs])
    _check_places(inputs, outputs)
    for item in inputs:
        if not item.get("AppManaged"):
            _check_input(item)
    return image


def _check_places(inputs: Sequence[Request], outputs: Sequence[Request]) -> None:
    for field, items in (("S3Input", inputs), ("S3Output", outputs)):
        for item in items:
            name = item.get("InputName") or item.get("OutputName")
            if field not in item:
                unsupported(f"an input or output other than {field} ({name})")
            if item.get("AppManaged"):  # the program moves the data itself
                continue
            path = item[field].get("LocalPath", "")
            if not f"{path}/".startswith(f"{_PROCESSING_BASE}/") or ".." in path:
                message = f"LocalPath {path!r} of {name!r} must start with {_PROCESSING_BASE}"
                raise ValidationError(message)


def _check_input(item: Request) -> None:
    source = item["S3Input"]
    if source["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        unsupported(f"S3DataType {source['S3DataType']} (input {item['InputName']})")
    if source.get("S3InputMode", "File") == "Pipe":
        unsupported(f"S3InputMode Pipe (input {item['InputName']})")
    if source.get("S3CompressionType", "None") != "None":
        unsupported(f"S3CompressionType {source['S3CompressionType']} (input {item['InputName']})")
