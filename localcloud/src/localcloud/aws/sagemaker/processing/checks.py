"""What SageMaker refuses when a processing job is created, and what cannot run here."""

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.sagemaker.jobs.checks import check_image, check_name, check_one_host, unsupported
from localcloud.aws.sagemaker.jobs.execution import Request
from localcloud.aws.sagemaker.jobs.images import Image
from localcloud.engine.tree import JOB_BASE

_PROCESSING_BASE = f"{JOB_BASE}/processing"


def check_processing(request: Request) -> Image:
    """Check a CreateProcessingJob request; return its image."""
    check_name("processingJobName", request["ProcessingJobName"])
    application = request["AppSpecification"]
    image = check_image(application.get("ImageUri", ""))
    if not application.get("ContainerEntrypoint"):
        unsupported("an image's own entry point (AppSpecification.ContainerEntrypoint is not given)")
    check_one_host((request.get("ProcessingResources") or {}).get("ClusterConfig") or {})
    outputs = (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    for field, items in (("S3Input", request.get("ProcessingInputs") or []), ("S3Output", outputs)):
        for item in items:
            name = item.get("InputName") or item.get("OutputName")
            if field not in item:
                unsupported(f"an input or output other than {field} ({name})")
            path = item[field].get("LocalPath", "")
            if not f"{path}/".startswith(f"{_PROCESSING_BASE}/") or ".." in path:
                message = f"LocalPath {path!r} of {name!r} must start with {_PROCESSING_BASE}"
                raise ValidationError(message)
    for item in outputs:
        if item["S3Output"].get("S3UploadMode", "EndOfJob") != "EndOfJob":
            unsupported(f"S3UploadMode Continuous (output {item.get('OutputName')})")
    return image
