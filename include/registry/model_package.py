"""The SageMaker model registry as a mirror of the promotion records: one model package for each record.

How it works: the package carries the record's version in its customer metadata; a record that has its package already
is left alone, so mirroring twice changes nothing.

What it does not do: decide or read anything back; the promotion record stays the truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

    from include.core.promotion import PromotionRecord

_VERSION_KEY = "promotion_record"


def package_group_name(model: str) -> str:
    """Return the name of a model's package group: SageMaker allows no underscores."""
    return model.replace("_", "-")


def mirror(client: SageMakerClient, record: PromotionRecord) -> str:
    """Make the record's model package exist and return its ARN."""
    group = package_group_name(record.model)
    _ensure_group(client, group, record.model)
    existing = _find_package(client, group, record.version)
    if existing is not None:
        return existing
    metrics = record.metrics.model_dump()
    created = client.create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription=record.reason[:1024],
        ModelApprovalStatus="Approved" if record.promoted else "Rejected",
        InferenceSpecification={
            "Containers": [{"Image": record.image, "ModelDataUrl": record.artifact}],
            "SupportedContentTypes": ["application/x-parquet", "text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        ModelMetrics={
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": record.evaluation}},
        },
        CustomerMetadataProperties={
            _VERSION_KEY: str(record.version),
            "holdout_month": record.holdout_month,
            "trained_on": ",".join(record.trained_on)[:256],
            "artifact_sha256": record.artifact_sha256,
            **{name: repr(value) for name, value in metrics.items()},
        },
    )
    return created["ModelPackageArn"]


def _ensure_group(client: SageMakerClient, group: str, model: str) -> None:
    pages = client.get_paginator("list_model_package_groups").paginate(NameContains=group)
    names = {entry["ModelPackageGroupName"] for page in pages for entry in page["ModelPackageGroupSummaryList"]}
    if group not in names:
        client.create_model_package_group(
            ModelPackageGroupName=group, ModelPackageGroupDescription=f"Promotion records of {model}"
        )


def _find_package(client: SageMakerClient, group: str, version: int) -> str | None:
    for page in client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group):
        for summary in page["ModelPackageSummaryList"]:
            arn = summary["ModelPackageArn"]
            properties = client.describe_model_package(ModelPackageName=arn).get("CustomerMetadataProperties", {})
            if properties.get(_VERSION_KEY) == str(version):
                return arn
    return None
