"""What a user switches on to see how clients cope with it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SpotInterruptions:
    """Each managed spot job is interrupted `times` times, `after_seconds` after its program has started."""

    after_seconds: float
    times: int


@dataclass
class Conditions:
    """The conditions of one cloud, as they are now."""

    spot: SpotInterruptions | None = None
