"""Worker pools: the hosts that they ask for, what is refused, and what a replica is told about the others.

Every replica listens at a name and an address of its own, port 2222, where the machine lets names be given; elsewhere
all replicas share 127.0.0.1 and have ports of their own.

Source: https://cloud.google.com/vertex-ai/docs/training/distributed-training
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from localcloud.engine.engine import Host
from localcloud.gcp.vertex.errors import refuse, unsupported
from localcloud.gcp.vertex.jobs.machines import Machine, find_machine
from localcloud.images import ImageMap, UnknownImageError

_PORT = 2222
_TENSORFLOW_ROLES = ("chief", "worker", "ps", "evaluator")
_MOST_POOLS = 4


@dataclass(frozen=True)
class Replica:
    """One replica: its pool's number, its own in the pool, and its pool's specification."""

    pool: int
    index: int
    spec: Any

    @property
    def name(self) -> str:
        """As Vertex AI calls it in errors."""
        return f"workerpool{self.pool}-{self.index}"


def replicas_of(job_spec: Any) -> list[Replica]:
    """Return the replicas of all pools; the first one is the primary replica."""
    return [
        Replica(number, index, pool)
        for number, pool in enumerate(job_spec.worker_pool_specs)
        for index in range(pool.replica_count)
    ]


def hosts_of(replicas: Sequence[Replica]) -> list[Host]:
    """Return the hosts as the engine wants them."""
    hosts = []
    for replica in replicas:
        kind = replica.spec.machine_spec.machine_type
        machine = find_machine(kind) or Machine()
        hosts.append(Host(replica.name, machine.memory, machine.processors, kind))
    return hosts


def check_pools(job_spec: Any, field: str, images: ImageMap) -> None:
    """Refuse what Vertex AI refuses about worker pools and what cannot run here; `field` is the path of the spec.

    An omitted number of replicas is filled in: 1.
    """
    for name in ("network", "persistent_resource_id", "tensorboard", "psc_interface_config"):
        present = job_spec.HasField(name) if name == "psc_interface_config" else getattr(job_spec, name)
        if present:
            unsupported(f"a custom job with {name}")
    pools, problems = list(job_spec.worker_pool_specs), []
    if not 1 <= len(pools) <= _MOST_POOLS:
        problems.append(
            (f"{field}.worker_pool_specs", f"1 to {_MOST_POOLS} worker pools are needed, got {len(pools)}.")
        )
    for number, pool in enumerate(pools):
        pool.replica_count = pool.replica_count or int(number == 0)
        problems += _problems_of_pool(pool, f"{field}.worker_pool_specs[{number}]", images, first=number == 0)
    if job_spec.HasField("scheduling") and job_spec.scheduling.timeout.seconds < 0:
        problems.append((f"{field}.scheduling.timeout", "must not be negative."))
    if problems:
        refuse(*problems)


def _problems_of_pool(pool: Any, field: str, images: ImageMap, *, first: bool) -> list[tuple[str, str]]:
    if not pool.replica_count and not pool.WhichOneof("task"):  # a pool that is left out to reach the next
        return []
    problems = []
    if first and pool.replica_count != 1:
        problems.append((f"{field}.replica_count", f"The first worker pool has one replica, got {pool.replica_count}."))
    machine = pool.machine_spec.machine_type
    if not machine:
        problems.append((f"{field}.machine_spec.machine_type", "Required field is not set."))
    elif find_machine(machine) is None:
        problems.append((f"{field}.machine_spec.machine_type", f"Machine type {machine!r} is not supported."))
    task = pool.WhichOneof("task")
    if task is None:
        problems.append((field, "One of container_spec and python_package_spec is needed."))
        return problems
    spec = getattr(pool, task)
    image_field = "image_uri" if task == "container_spec" else "executor_image_uri"
    address = getattr(spec, image_field)
    if not address:
        problems.append((f"{field}.{task}.{image_field}", "Required field is not set."))
        return problems
    try:
        image = images.find(address)
    except UnknownImageError as error:
        problems.append((f"{field}.{task}.{image_field}", str(error)))
        return problems
    if task == "container_spec" and not spec.command and not image.entrypoint:
        text = f"{address!r} has no entry point here: give a command, or map the image with an `entrypoint`."
        problems.append((f"{field}.{task}.command", text))
    if task == "python_package_spec":
        problems += [
            (f"{field}.{task}.{name}", "Required field is not set.")
            for name in ("package_uris", "python_module")
            if not getattr(spec, name)
        ]
    return problems


def cluster_variables(replicas: Sequence[Replica], number: int, job_spec: Any, *, names_hosts: bool) -> dict[str, str]:
    """Return what tells a replica about the others: CLUSTER_SPEC, and TF_CONFIG and RANK… where there are others."""
    addresses = [
        f"{replica.name}:{_PORT}" if names_hosts else f"127.0.0.1:{_PORT + place}"
        for place, replica in enumerate(replicas)
    ]
    pools: dict[str, list[str]] = {}
    for replica, address in zip(replicas, addresses, strict=True):
        pools.setdefault(f"workerpool{replica.pool}", []).append(address)
    own = replicas[number]
    described = json_format.MessageToJson(job_spec, preserving_proto_field_name=True, indent=None)
    spec = {
        "cluster": pools,
        "environment": "cloud",
        "task": {"type": f"workerpool{own.pool}", "index": own.index},
        "job": described,
    }
    variables = {"CLUSTER_SPEC": json.dumps(spec)}
    if len(replicas) > 1:
        roles = {_TENSORFLOW_ROLES[int(pool.removeprefix("workerpool"))]: found for pool, found in pools.items()}
        task = {"type": _TENSORFLOW_ROLES[own.pool], "index": own.index}
        host, _, port = addresses[0].partition(":")
        variables |= {
            "TF_CONFIG": json.dumps({"cluster": roles, "task": task, "environment": "cloud", "job": described}),
            "MASTER_ADDR": host,
            "MASTER_PORT": port,
            "RANK": str(number),
            "WORLD_SIZE": str(len(replicas)),
        }
    return variables
