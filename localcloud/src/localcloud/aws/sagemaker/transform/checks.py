"""What SageMaker refuses when a batch transform job is created, and what cannot run here."""

from localcloud.aws.objects import ObjectStore
from localcloud.aws.sagemaker.jobs.checks import check_name, check_source, unsupported
from localcloud.aws.sagemaker.jobs.execution import Request


def check_transform(request: Request, objects: ObjectStore, role: str, region: str) -> None:
    """Check a CreateTransformJob request."""
    check_name("transformJobName", request["TransformJobName"])
    source = request["TransformInput"]
    if source.get("SplitType", "None") not in {"None", "Line"}:
        unsupported(f"SplitType {source['SplitType']}")
    selection = request.get("DataProcessing") or {}
    filtered = {selection.get("InputFilter", "$"), selection.get("OutputFilter", "$")} != {"$"}
    if filtered or selection.get("JoinSource", "None") != "None":
        unsupported("DataProcessing (filters and joins)")
    check_source(source["DataSource"]["S3DataSource"], objects, role, region)
