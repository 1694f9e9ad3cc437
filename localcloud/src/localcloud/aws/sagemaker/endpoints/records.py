"""moto's record of an endpoint, made to follow the endpoint's life.

All that the record holds is plain data: what is deployed, so that it can be started again after a restart, what is
being deployed, and what the API tells of the variants.
"""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.aws.persistence.reached import changing
from localcloud.aws.sagemaker.changes import endpoint_changed
from localcloud.aws.sagemaker.jobs.records import utc_now

CREATING, UPDATING, SYSTEM_UPDATING = "Creating", "Updating", "SystemUpdating"
ROLLING_BACK, IN_SERVICE, DELETING, FAILED = "RollingBack", "InService", "Deleting", "Failed"
CHANGING = frozenset({CREATING, UPDATING, SYSTEM_UPDATING, ROLLING_BACK, DELETING})


class EndpointRecord:
    """One endpoint's record."""

    def __init__(self, stored: Any) -> None:
        """Wrap what moto has stored."""
        self._stored = stored

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return str(self._stored.endpoint_name)

    @property
    def arn(self) -> str:
        """The endpoint's ARN."""
        return str(self._stored.arn)

    @property
    def status(self) -> str:
        """The endpoint's status."""
        return str(self._stored.endpoint_status)

    @property
    def deployed(self) -> dict[str, Any] | None:
        """What serves, as `deployment_of` returns it; None before anything does."""
        found: dict[str, Any] | None = getattr(self._stored, "deployed", None)
        return found

    def begin(self, status: str, pending: Mapping[str, Any] | None = None) -> None:
        """Enter a state that something follows; `pending` is what is being deployed."""
        self._set(pending=pending, pending_since=utc_now(), endpoint_status=status)

    def serve(self, deployment: Mapping[str, Any], reason: str | None = None) -> None:
        """Note that a deployment serves; `reason` says why another one does not."""
        self._set(
            deployed=deployment,
            endpoint_config_name=deployment["config"],
            production_variants=[summary(variant) for variant in deployment["variants"]],
            data_capture_config=deployment["kept"].get("DataCaptureConfig") or {},
            pending=None,
            failure_reason=reason,
            endpoint_status=IN_SERVICE,
        )

    def fail(self, reason: str) -> None:
        """Note that nothing serves, and why."""
        self._set(pending=None, failure_reason=reason, endpoint_status=FAILED)

    def instances(self) -> Counter[str]:
        """Return how many instances it has, and is about to have, by type."""
        held: Counter[str] = Counter()
        for deployment in (self.deployed, getattr(self._stored, "pending", None)):
            if deployment is not None and self.status != FAILED:
                held += instances_of(deployment["variants"])
        return held

    def description(self) -> dict[str, Any]:
        """Return DescribeEndpoint's answer."""
        stored = self._stored
        deployed, pending = self.deployed, getattr(stored, "pending", None)
        shown: dict[str, Any] = {
            "EndpointName": stored.endpoint_name,
            "EndpointArn": stored.arn,
            "EndpointConfigName": stored.endpoint_config_name,
            "EndpointStatus": stored.endpoint_status,
            "FailureReason": stored.failure_reason,
            "CreationTime": stored.creation_time,
            "LastModifiedTime": stored.last_modified_time,
        }
        # what CloudFormation made at moto is in service without being deployed
        if deployed is not None or self.status == IN_SERVICE:
            shown["ProductionVariants"] = stored.production_variants
        if deployed is not None:
            shown["AsyncInferenceConfig"] = deployed["kept"].get("AsyncInferenceConfig")
            shown["DataCaptureConfig"] = _capture_summary(deployed["kept"].get("DataCaptureConfig"))
        if deployed is not None and pending is not None:
            shown["PendingDeploymentSummary"] = {
                "EndpointConfigName": pending["config"],
                "ProductionVariants": [_pending_summary(variant) for variant in pending["variants"]],
                "StartTime": stored.pending_since,
            }
        return {field: value for field, value in shown.items() if value is not None}

    def _set(self, **fields: object) -> None:
        # the status comes last: whoever sees it sees what belongs to it
        before = getattr(self._stored, "told_status", None)
        with changing(self._stored):
            for field, value in fields.items():
                setattr(self._stored, field, value)
            self._stored.last_modified_time = utc_now()
        if self.status != before:
            self._stored.told_status = self.status
            endpoint_changed(self.arn, self.description(), self._stored.tags)


def deployment_of(
    config: str, variants: Sequence[Mapping[str, Any]], kept: Mapping[str, Any], containers: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that is needed to serve a configuration, as plain data.

    Args:
        config: The configuration's name.
        variants: The API's ProductionVariants.
        kept: What else the configuration asks for, by the API's fields.
        containers: The containers of each variant's model, by the model's name.
    """
    return copy.deepcopy(
        {
            "config": config,
            "variants": [{**variant, "Containers": containers[variant["ModelName"]]} for variant in variants],
            "kept": dict(kept),
        }
    )


def instances_of(variants: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Return how many instances variants ask for, by type; serverless ones ask for none."""
    asked: Counter[str] = Counter()
    for variant in variants:
        if "InstanceType" in variant:
            asked[variant["InstanceType"]] += variant["InitialInstanceCount"]
    return asked


def summary(variant: Mapping[str, Any]) -> dict[str, Any]:
    """Return the API's ProductionVariantSummary of a deployed variant."""
    images = [
        {"SpecifiedImage": item["Image"], "ResolvedImage": item["Image"], "ResolutionTime": utc_now()}
        for item in variant["Containers"]
    ]
    weight = variant["InitialVariantWeight"]
    shown: dict[str, Any] = {
        "VariantName": variant["VariantName"],
        "DeployedImages": images,
        "CurrentWeight": weight,
        "DesiredWeight": weight,
    }
    if variant.get("ServerlessConfig"):
        shown["CurrentServerlessConfig"] = shown["DesiredServerlessConfig"] = variant["ServerlessConfig"]
        shown["CurrentInstanceCount"] = 0
    else:
        shown["CurrentInstanceCount"] = shown["DesiredInstanceCount"] = variant["InitialInstanceCount"]
    if variant.get("RoutingConfig"):
        shown["RoutingConfig"] = variant["RoutingConfig"]
    return shown


def _pending_summary(variant: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "VariantName": variant["VariantName"],
        "CurrentWeight": 0.0,
        "DesiredWeight": variant["InitialVariantWeight"],
        "CurrentInstanceCount": 0,
        "DesiredInstanceCount": variant.get("InitialInstanceCount", 0),
    }


def _capture_summary(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not config:
        return None
    enabled = config.get("EnableCapture", False)
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }
