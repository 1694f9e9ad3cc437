"""The operations of endpoints: create, describe, update, scale, delete, list.

How it works: an operation checks, puts the record into the state that AWS shows meanwhile, and leaves the rest to a
thread. The fleet that serves stays until another one can take over, so an update that fails changes nothing.

What it does not do: canary, linear and rolling deployments, rollback by alarms, inference components, autoscaling.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.constraints import check_constraints
from localcloud.aws.sagemaker.endpoints.checks import check_deployment, check_unique
from localcloud.aws.sagemaker.endpoints.configs import EndpointConfigs, completed, kept
from localcloud.aws.sagemaker.endpoints.records import (
    CHANGING,
    CREATING,
    DELETING,
    FAILED,
    IN_SERVICE,
    SYSTEM_UPDATING,
    UPDATING,
    EndpointRecord,
    deployment_of,
    instances_of,
    summary,
)
from localcloud.aws.sagemaker.front import RunningJobs, refuse_over_quota
from localcloud.aws.sagemaker.jobs.checks import check_image, unsupported
from localcloud.aws.sagemaker.jobs.execution import Surroundings
from localcloud.aws.sagemaker.jobs.failures import REASON_LIMIT, JobStoppedError, keep_end
from localcloud.aws.sagemaker.pages import listed


class Endpoints(EndpointConfigs):
    """Create, describe, update, scale, delete, list."""

    def create_endpoint(self) -> ActionResult:
        """Store an endpoint and start what serves it."""
        request = self.request_body()
        name = request["EndpointName"]
        check_constraints("CreateEndpoint", request)
        check_deployment(request)
        deployment = self._deployment(request["EndpointConfigName"])
        with self.running.creating:
            if name in self._endpoints:
                message = f'Cannot create already existing endpoint "{self._endpoints[name].arn}".'
                raise ValidationError(message)
            self._check_quota(instances_of(deployment["variants"]))
            answer = super().create_endpoint()
            record = EndpointRecord(self._endpoints[name])
            record.begin(CREATING, deployment)
        _follow(record, lambda: _deploy(self.running, self.surroundings(), record, deployment))
        return answer

    def describe_endpoint(self) -> ActionResult:
        """Describe an endpoint."""
        return ActionResult(self._known(self._get_param("EndpointName")).description())

    def update_endpoint(self) -> ActionResult:
        """Start what another configuration asks for and let it take over (absent from moto)."""
        request = self.request_body()
        check_constraints("UpdateEndpoint", request)
        check_deployment(request)
        if request.get("RetainDeploymentConfig"):
            unsupported("RetainDeploymentConfig")
        deployment = self._deployment(request["EndpointConfigName"])
        with self.running.creating:
            record = self._changeable(request["EndpointName"])
            if request.get("RetainAllVariantProperties"):
                excluded = {
                    item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties") or []
                }
                _retain(record, deployment, excluded)
            self._check_quota(instances_of(deployment["variants"]))
            record.begin(UPDATING, deployment)
        _follow(record, lambda: _deploy(self.running, self.surroundings(), record, deployment))
        return ActionResult({"EndpointArn": record.arn})

    def update_endpoint_weights_and_capacities(self) -> ActionResult:
        """Change the weights and the numbers of instances of variants."""
        request = self.request_body()
        check_constraints("UpdateEndpointWeightsAndCapacities", request)
        wanted: list[dict[str, Any]] = request["DesiredWeightsAndCapacities"]
        check_unique([item["VariantName"] for item in wanted])
        with self.running.creating:
            record = self._changeable(request["EndpointName"])
            deployed = record.deployed or {"config": "", "variants": []}
            _check_scaling(deployed, wanted)
            self._check_quota(_added(deployed, wanted))
            record.begin(UPDATING)
        _follow(record, lambda: _scale(self.running, record, wanted))
        return ActionResult({"EndpointArn": record.arn})

    def delete_endpoint(self) -> EmptyResult:
        """End what serves an endpoint, then forget it."""
        name = self._get_param("EndpointName")
        endpoints = self._endpoints
        with self.running.creating:
            record = self._known(name)
            self._refuse_change(record)
            record.begin(DELETING)
        stored = endpoints[name]

        def delete() -> None:
            fleet = self.running.endpoints.withdraw(record.arn)
            if fleet is not None:
                self.running.endpoints.retire(fleet)
            if endpoints.get(name) is stored:
                del endpoints[name]

        _follow(record, delete)
        return EmptyResult()

    def list_endpoints(self) -> ActionResult:
        """List endpoints (moto sorts ascending)."""
        request = self.request_body()
        check_constraints("ListEndpoints", request)
        found, token = listed(
            self._endpoints.values(),
            request,
            lambda endpoint: str(endpoint.endpoint_name),
            status=lambda endpoint: str(endpoint.endpoint_status),
        )
        return ActionResult({"Endpoints": [endpoint.summary() for endpoint in found], "NextToken": token})

    @property
    def _endpoints(self) -> dict[str, Any]:
        endpoints: dict[str, Any] = self.sagemaker_backend.endpoints
        return endpoints

    def _known(self, name: str) -> EndpointRecord:
        if name not in self._endpoints:
            message = f'Could not find endpoint "{self.arn_of("endpoint", name)}".'
            raise ValidationError(message)
        return EndpointRecord(self._endpoints[name])

    def _changeable(self, name: str) -> EndpointRecord:
        record = self._known(name)
        self._refuse_change(record)
        if record.status == FAILED:
            message = f'Cannot update endpoint "{record.arn}" in status Failed. Delete it and create it again.'
            raise ValidationError(message)
        return record

    @staticmethod
    def _refuse_change(record: EndpointRecord) -> None:
        if record.status in CHANGING:
            message = f'Cannot update in-progress endpoint "{record.arn}".'
            raise ValidationError(message)

    def _check_quota(self, wanted: Mapping[str, int]) -> None:
        """Refuse instances beyond the quota; an update needs the new ones beside the old ones, as on AWS."""
        used: Counter[str] = Counter()
        for stored in self._endpoints.values():
            used += EndpointRecord(stored).instances()
        refuse_over_quota(self.running.conditions.quotas.get("endpoint", {}), used, wanted, "endpoint usage")

    def _deployment(self, config: str) -> dict[str, Any]:
        """Return all that a configuration deploys; refuse it when a model or an image is not known."""
        stored = self.known_config(config)
        variants = [completed(variant) for variant in stored.production_variants]
        containers = {}
        for variant in variants:
            containers[variant["ModelName"]], _ = self.model_containers(variant["ModelName"])
            for container in containers[variant["ModelName"]]:
                check_image(container.get("Image", ""))
        return deployment_of(config, variants, kept(stored), containers)


def resume(backend: SageMakerModelBackend, running: RunningJobs) -> None:
    """After a restart: serve what was served again, as a maintenance of the system.

    An endpoint whose first deployment was interrupted has Failed; one whose update was interrupted serves what it
    served before the update, and says so; one that was being deleted is gone.
    """
    surroundings = running.surroundings(backend.region_name)
    for name, stored in list(backend.endpoints.items()):
        record = EndpointRecord(stored)
        status, deployed = record.status, record.deployed
        if status == DELETING:
            del backend.endpoints[name]
        elif status in CHANGING or status == IN_SERVICE:
            interrupted = f"the local cloud was stopped while the endpoint was {status}"
            if deployed is None:
                record.fail(interrupted)
                continue
            reason = interrupted if status == UPDATING else None
            record.begin(SYSTEM_UPDATING)
            _resume_one(running, surroundings, record, deployed, reason)


def _resume_one(
    running: RunningJobs,
    surroundings: Surroundings,
    record: EndpointRecord,
    deployed: Mapping[str, Any],
    reason: str | None,
) -> None:
    _follow(record, lambda: _deploy(running, surroundings, record, deployed, note=reason))


def _follow(record: EndpointRecord, change: Callable[[], None]) -> None:
    threading.Thread(target=change, name=f"endpoint-{record.name}", daemon=True).start()


def _deploy(
    running: RunningJobs,
    surroundings: Surroundings,
    record: EndpointRecord,
    deployment: Mapping[str, Any],
    *,
    note: str | None = None,
) -> None:
    """Start a deployment and let it serve; when it cannot, what served before goes on."""
    endpoints = running.endpoints
    try:
        fleet = endpoints.start(surroundings, record.name, deployment["variants"])
    except JobStoppedError:  # the records were reset, or the server ends
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, the endpoint must not stay in between for ever
        reason = keep_end(str(error), REASON_LIMIT)
        if record.deployed is not None and endpoints.find(record.arn) is not None:
            record.serve(record.deployed, reason)
        else:
            record.fail(reason)
        return
    before = endpoints.serve(record.arn, fleet)
    record.serve(deployment, note)
    if before is not None:
        endpoints.retire(before)


def _scale(running: RunningJobs, record: EndpointRecord, wanted: Sequence[Mapping[str, Any]]) -> None:
    fleet, deployed = running.endpoints.find(record.arn), record.deployed
    if fleet is None or deployed is None:  # reset
        return
    variants = {variant["VariantName"]: dict(variant) for variant in deployed["variants"]}
    reason = None
    try:
        for item in wanted:
            variant = variants[item["VariantName"]]
            if item.get("DesiredInstanceCount") is not None:
                fleet.variants[item["VariantName"]].scale(item["DesiredInstanceCount"])
                variant["InitialInstanceCount"] = item["DesiredInstanceCount"]
            if item.get("DesiredWeight") is not None:
                fleet.variants[item["VariantName"]].weight = item["DesiredWeight"]
                variant["InitialVariantWeight"] = item["DesiredWeight"]
    except JobStoppedError:
        return
    except Exception as error:  # noqa: BLE001 - as in _deploy
        reason = keep_end(str(error), REASON_LIMIT)
    record.serve({**deployed, "variants": list(variants.values())}, reason)


def _check_scaling(deployed: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]]) -> None:
    known = {variant["VariantName"]: variant for variant in deployed["variants"]}
    for item in wanted:
        name = item["VariantName"]
        if name not in known:
            message = (
                f'The variant name(s) "{name}" is/are not present within endpoint configuration "{deployed["config"]}".'
            )
            raise ValidationError(message)
        if item.get("ServerlessUpdateConfig"):
            unsupported("ServerlessUpdateConfig")
        count = item.get("DesiredInstanceCount")
        if count is not None and (count < 1 or known[name].get("ServerlessConfig")):
            message = f'The variant "{name}" cannot have {count} instances.'
            raise ValidationError(message)


def _added(deployed: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Return how many instances are asked for beyond those that there are, by type."""
    known = {variant["VariantName"]: variant for variant in deployed["variants"]}
    added: Counter[str] = Counter()
    for item in wanted:
        variant = known[item["VariantName"]]
        if item.get("DesiredInstanceCount") is not None:
            added[variant["InstanceType"]] += item["DesiredInstanceCount"] - variant["InitialInstanceCount"]
    return +added


def _retain(record: EndpointRecord, deployment: dict[str, Any], excluded: set[str]) -> None:
    """Let variants of the same name keep their weight and number of instances."""
    current = {
        variant["VariantName"]: summary(variant) for variant in (record.deployed or {"variants": []})["variants"]
    }
    for variant in deployment["variants"]:
        before = current.get(variant["VariantName"])
        if before is None:
            continue
        if "DesiredWeight" not in excluded:
            variant["InitialVariantWeight"] = before["DesiredWeight"]
        if "DesiredInstanceCount" not in excluded and "DesiredInstanceCount" in before:
            variant["InitialInstanceCount"] = before["DesiredInstanceCount"]
    if "DataCaptureConfig" not in excluded and record.deployed is not None:
        captured = record.deployed["kept"].get("DataCaptureConfig")
        if captured:
            deployment["kept"]["DataCaptureConfig"] = captured
