"""Machine types of Compute Engine: what a program on one of them may take.

Source: https://cloud.google.com/compute/docs/machine-resource, https://cloud.google.com/vertex-ai/docs/training/configure-compute
"""

import re
from dataclasses import dataclass

# GB of memory for each processor, by family and kind
_MEMORY = {
    "n1": {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9},
    "n2": {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0},
    "n2d": {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0},
    "n4": {"standard": 4.0, "highmem": 8.0, "highcpu": 2.0},
    "e2": {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0},
    "c2": {"standard": 4.0},
    "c2d": {"standard": 4.0, "highmem": 8.0, "highcpu": 2.0},
    "c3": {"standard": 4.0, "highmem": 8.0, "highcpu": 2.0},
    "c3d": {"standard": 4.0, "highmem": 8.0, "highcpu": 2.0},
    "g2": {"standard": 4.0},
    "m1": {"ultramem": 24.0, "megamem": 14.9},
}
# machines with accelerators of their own are taken, without limits: there is no such accelerator here
_UNLIMITED = re.compile(r"(a2|a3|a4)-(highgpu|megagpu|ultragpu|edgegpu)-[0-9]+g|cloud-tpu|ct[0-9][a-z]*-[a-z0-9-]+")
_SHAPE = re.compile(r"([a-z][0-9][a-z]*)-([a-z]+)-([0-9]+)")


@dataclass(frozen=True)
class Machine:
    """A machine's memory in bytes and its processors; None is no limit."""

    memory: int | None = None
    processors: int | None = None


def find_machine(machine_type: str) -> Machine | None:
    """Return what a machine type has, or None when there is no such type."""
    if _UNLIMITED.fullmatch(machine_type):
        return Machine()
    found = _SHAPE.fullmatch(machine_type)
    per_processor = _MEMORY.get(found[1], {}).get(found[2]) if found else None
    if found is None or per_processor is None or int(found[3]) < 1:
        return None
    return Machine(int(per_processor * int(found[3]) * (1 << 30)), int(found[3]))
