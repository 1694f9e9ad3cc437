"""The append-only history of a model: ``registry/<model>/promotions/<version>.json`` in the lake.

How it works: a record is created under the next version with If-None-Match, so of two writers one wins and the other
learns it. A candidate is recorded once: asking again for the same training job returns its record unchanged.

What it does not do: decide (``include.evaluation.gate``), mirror (``include.registry.model_package``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.core.errors import RecordConflict
from include.core.lake import promotions_prefix
from include.core.promotion import PromotionRecord

if TYPE_CHECKING:
    from include.core.lake import Lake
    from include.core.promotion import Candidate, Decision


def promotion_records(lake: Lake, model: str) -> list[PromotionRecord]:
    """Return the model's records, oldest first."""
    keys = sorted(lake.keys(f"{promotions_prefix(model)}/"))
    return [PromotionRecord.model_validate(lake.read_json(key)) for key in keys]


def current_champion(lake: Lake, model: str) -> PromotionRecord | None:
    """Return the newest promoted record, None when nothing was ever promoted."""
    promoted = [record for record in promotion_records(lake, model) if record.promoted]
    return promoted[-1] if promoted else None


def record_of_job(lake: Lake, model: str, job_name: str) -> PromotionRecord | None:
    """Return the record of the candidate that a training job produced, None when none was written."""
    return next((record for record in promotion_records(lake, model) if record.job_name == job_name), None)


def append_record(
    lake: Lake, candidate: Candidate, champion: PromotionRecord | None, decision: Decision
) -> PromotionRecord:
    """Write the next record and return it.

    Args:
        lake: Where the history lies.
        candidate: What was decided about.
        champion: The champion that it was compared with, with its metrics on the candidate's holdout already in place.
        decision: What was decided.

    Raises:
        RecordConflict: another writer appended a record at the same moment; the decision has to be made again.
    """
    version = len(promotion_records(lake, candidate.model)) + 1
    record = PromotionRecord(
        **candidate.model_dump(),
        **decision.model_dump(),
        version=version,
        champion_version=champion.version if champion else None,
        champion_metrics=champion.metrics if champion else None,
        decided_at=datetime.now(UTC),
    )
    key = f"{promotions_prefix(candidate.model)}/{version:05d}.json"
    if not lake.create_json(key, record.model_dump(mode="json")):
        raise RecordConflict(
            lake.uri(key),
            "another decision was recorded at the same moment",
            rule="each promotion record is written once",
            remedy="decide again: the champion may have changed",
        )
    return record
