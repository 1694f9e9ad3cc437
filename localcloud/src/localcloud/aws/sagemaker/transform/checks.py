"""What SageMaker refuses when a batch transform job is created, and what cannot run here."""

from collections.abc import Mapping
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localcloud.aws.objects import ObjectStore
from localcloud.aws.sagemaker.constraints import check_constraints
from localcloud.aws.sagemaker.jobs.checks import check_source, unsupported
from localcloud.aws.sagemaker.jobs.execution import Request
from localcloud.aws.sagemaker.transform.paths import WHOLE, PathError, RecordPath
from localcloud.aws.sagemaker.transform.records import CSV, DEFAULT_PAYLOAD_MB, PROCESSED_TYPES, media_type

_PAYLOAD_LIMIT_MB = 100


def check_transform(request: Request, objects: ObjectStore, role: str, region: str) -> None:
    """Check a CreateTransformJob request."""
    check_constraints("CreateTransformJob", dict(request))
    source = request["TransformInput"]
    if source.get("SplitType", "None") not in {"None", "Line"}:
        unsupported(f"SplitType {source['SplitType']}")
    if request.get("DataCaptureConfig"):
        unsupported("DataCaptureConfig of a transform job")
    _check_payload(request)
    if request.get("BatchStrategy") == "SingleRecord" and source.get("SplitType", "None") == "None":
        message = "BatchStrategy SingleRecord requires SplitType Line, RecordIO or TFRecord"
        raise ValidationError(message)
    _check_processing(request.get("DataProcessing") or {}, source, request["TransformOutput"])
    check_source(source["DataSource"]["S3DataSource"], objects, role, region)


def _check_payload(request: Request) -> None:
    given = request.get("MaxPayloadInMB")
    payload = DEFAULT_PAYLOAD_MB if given is None else given
    concurrent = request.get("MaxConcurrentTransforms") or 1
    if payload > _PAYLOAD_LIMIT_MB or payload * concurrent > _PAYLOAD_LIMIT_MB:
        message = (
            f"MaxPayloadInMB ({payload}) and MaxPayloadInMB * MaxConcurrentTransforms ({payload * concurrent}) "
            f"must not exceed {_PAYLOAD_LIMIT_MB} MB"
        )
        raise ValidationError(message)


def _check_processing(selection: Mapping[str, Any], source: Mapping[str, Any], output: Mapping[str, Any]) -> None:
    """Refuse filters and joins that AWS documents as impossible."""
    kinds = {
        "InputFilter": media_type(source.get("ContentType") or ""),
        "OutputFilter": media_type(output.get("Accept") or ""),
    }
    paths = {field: _path(field, selection.get(field) or WHOLE) for field in kinds}
    joins = selection.get("JoinSource", "None") == "Input"
    if not joins and all(path.selects_all for path in paths.values()):
        return
    for field, given in (
        ("TransformInput.ContentType", kinds["InputFilter"]),
        ("TransformOutput.Accept", kinds["OutputFilter"]),
    ):
        if given not in PROCESSED_TYPES:
            message = (
                f"DataProcessing requires {field} to be one of {', '.join(PROCESSED_TYPES)}, not {given or 'unset'!r}"
            )
            raise ValidationError(message)
    for field, path in paths.items():
        if kinds[field] == CSV and path.by_name:
            message = f"{field} {path.expression!r} names attributes, but {CSV} has positions only"
            raise ValidationError(message)
    if joins and (kinds["InputFilter"] == CSV) != (kinds["OutputFilter"] == CSV):
        message = f"JoinSource Input requires ContentType and Accept to match, not {' and '.join(kinds.values())}"
        raise ValidationError(message)
    split, assemble = source.get("SplitType", "None"), output.get("AssembleWith", "None")
    if joins and split != assemble:
        message = f"JoinSource Input requires AssembleWith to match SplitType, not {assemble} and {split}"
        raise ValidationError(message)


def _path(field: str, expression: str) -> RecordPath:
    try:
        return RecordPath(expression)
    except PathError as error:
        message = f"{field}: {error}"
        raise ValidationError(message) from error
