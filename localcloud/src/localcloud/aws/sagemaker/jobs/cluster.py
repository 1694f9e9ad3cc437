"""The cluster that a request asks for: hosts, their instance types, and what a program reads about them.

Hosts are numbered through all instance groups: algo-1, algo-2, … An instance type limits the address space and the
processor time of a program to what the instance has; the figures are EC2's, from the table that moto ships.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moto.core.utils import get_service_model
from moto.sagemaker.exceptions import ValidationError
from moto.utilities.utils import load_resource

from localcloud.aws.sagemaker.jobs.checks import unsupported
from localcloud.engine.engine import Host
from localcloud.engine.isolation import Isolation

HOMOGENEOUS = "homogeneousCluster"


@dataclass(frozen=True)
class Instance:
    """One instance: its host name, its type, and the group it belongs to."""

    host: str
    type: str
    group: str


@dataclass(frozen=True)
class Cluster:
    """The instances of one job, in the order of their numbers."""

    instances: tuple[Instance, ...]

    @property
    def host_names(self) -> list[str]:
        """The names of all hosts."""
        return [instance.host for instance in self.instances]

    def hosts(self) -> list[Host]:
        """Return the hosts as the engine wants them."""
        return [Host(instance.host, *_capacity(instance.type), instance.type) for instance in self.instances]

    def resource_config(self, number: int) -> dict[str, Any]:
        """Return /opt/ml/…/config/resourceconfig.json of the host with this number (from 0)."""
        current = self.instances[number]
        groups: dict[str, list[Instance]] = {}
        for instance in self.instances:
            groups.setdefault(instance.group, []).append(instance)
        return {
            "current_host": current.host,
            "current_instance_type": current.type,
            "current_group_name": current.group,
            "hosts": self.host_names,
            "instance_groups": [
                {
                    "instance_group_name": name,
                    "instance_type": members[0].type,
                    "hosts": [member.host for member in members],
                }
                for name, members in groups.items()
            ],
            "network_interface_name": "lo",
        }


def read_cluster(resources: Mapping[str, Any]) -> Cluster:
    """Return the cluster of a ResourceConfig, a ClusterConfig or TransformResources."""
    groups: Sequence[Mapping[str, Any]] = resources.get("InstanceGroups") or [
        {**resources, "InstanceGroupName": HOMOGENEOUS}
    ]
    wanted = [(g["InstanceType"], g["InstanceGroupName"]) for g in groups for _ in range(g.get("InstanceCount", 1))]
    return Cluster(tuple(Instance(f"algo-{number}", *item) for number, item in enumerate(wanted, 1)))


def check_cluster(resources: Mapping[str, Any], field: str, enumeration: str) -> None:
    """Refuse a cluster that AWS refuses.

    Args:
        resources: ResourceConfig, ClusterConfig or TransformResources.
        field: The request's field that holds them, as AWS's messages spell it.
        enumeration: The name of the API's enumeration of instance types for this kind of job.

    Raises:
        ValidationError: An unknown instance type, no instance, or groups and single instances at once.
    """
    groups = resources.get("InstanceGroups")
    if groups and (resources.get("InstanceType") or resources.get("InstanceCount")):
        message = "You can't specify InstanceGroups together with InstanceType and InstanceCount in ResourceConfig."
        raise ValidationError(message)
    if not groups and not (resources.get("InstanceType") and resources.get("InstanceCount")):
        message = f"{field}: InstanceType and InstanceCount are needed where no InstanceGroups are given."
        raise ValidationError(message)
    known = _instance_types(enumeration)
    for group in groups or [resources]:
        if group["InstanceType"] not in known:
            message = (
                f"1 validation error detected: Value '{group['InstanceType']}' at '{field}.instanceType' failed to "
                f"satisfy constraint: Member must satisfy enum value set: [{', '.join(known)}]"
            )
            raise ValidationError(message)
        if group.get("InstanceCount", 1) < 1:
            message = (
                f"1 validation error detected: Value '{group['InstanceCount']}' at '{field}.instanceCount' failed to "
                "satisfy constraint: Member must have value greater than or equal to 1"
            )
            raise ValidationError(message)


def check_network(network: Mapping[str, Any], resources: Mapping[str, Any], isolation: Isolation) -> None:
    """Refuse network isolation where it cannot be had; `network` is what holds EnableNetworkIsolation."""
    if not network.get("EnableNetworkIsolation"):
        return
    if len(read_cluster(resources).instances) > 1:
        unsupported("EnableNetworkIsolation on more than one instance")
    if not isolation.cuts_network:
        unsupported("EnableNetworkIsolation on a machine without user namespaces")


@functools.cache
def _instance_types(enumeration: str) -> list[str]:
    shape: Any = get_service_model("sagemaker").shape_for(enumeration)
    names: list[str] = shape.enum
    return names


def _capacity(instance_type: str) -> tuple[int | None, int | None]:
    """Return bytes of memory and number of processors; None where EC2 no longer lists the type."""
    return _capacities().get(instance_type.removeprefix("ml."), (None, None))


@functools.cache
def _capacities() -> Mapping[str, tuple[int, int]]:
    """Read EC2's table when the first job needs it; importing moto's EC2 for it would cost 100 MB."""
    table = load_resource("ec2/resources/instance_types.json")
    return {
        name: (item["MemoryInfo"]["SizeInMiB"] << 20, item["VCpuInfo"]["DefaultVCpus"]) for name, item in table.items()
    }
