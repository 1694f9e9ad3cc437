"""What a verification came to: the statements that were compared and those of them that are not so."""

from __future__ import annotations

from dataclasses import dataclass, field

TOLERANCE = 1e-6


@dataclass
class Verdict:
    """Differences found, how many statements were compared, and what only the verifier can know.

    ``hindsight`` holds ROC AUC and skill of each scored month, from labels that the pipeline has not seen.
    """

    differences: list[str] = field(default_factory=list)
    checked: int = 0
    hindsight: dict[str, dict[str, float]] = field(default_factory=dict)

    def equal(self, where: str, claimed: object, found: object) -> None:
        """Compare a claim with a finding."""
        self.holds(f"{where}: {claimed!r} is claimed, {found!r} was found", holds=claimed == found)

    def close(self, where: str, claimed: float | None, found: float | None, *, within: float = TOLERANCE) -> None:
        """Compare a claimed number with a recomputed one; None, for what is not defined, agrees with None only."""
        alike = claimed is found if claimed is None or found is None else abs(claimed - found) <= within
        self.holds(f"{where}: {claimed!r} is claimed, {found!r} was recomputed", holds=alike)

    def holds(self, difference: str, *, holds: bool) -> None:
        """Note a difference unless a statement holds."""
        self.checked += 1
        if not holds:
            self.differences.append(difference)
