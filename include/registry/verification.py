"""Whether a released artifact is still the one that was recorded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from include.core.errors import ArtifactError

if TYPE_CHECKING:
    from include.core.lake import Lake
    from include.core.promotion import PromotionRecord


def verify_artifact(lake: Lake, record: PromotionRecord) -> None:
    """Check the digest of a record's artifact.

    Raises:
        ArtifactError: it is missing, or its content is another one than at its release.
    """
    content = lake.read_bytes(lake.key(record.artifact))
    found = "there is no such object" if content is None else f"its SHA-256 is {hashlib.sha256(content).hexdigest()}"
    if found != f"its SHA-256 is {record.artifact_sha256}":
        raise ArtifactError(
            f"{record.artifact} (version {record.version} of {record.model})",
            found,
            rule=f"a champion scores with the artifact that was released, SHA-256 {record.artifact_sha256}",
            remedy="restore the object, or train again",
        )
