"""Which months' features are due, and what a month is made from.

How it works: a feature snapshot records what it was made from: the raw snapshots of its month and of the month before,
features.sql, and what model.yaml says of features and objective. A month is due when it has no snapshot or one made
from something else; so a correction of January makes January and February due, and doing a month twice changes nothing.

What it does not do: build a month (``include.warehouse.features_operator``), or decide what features.sql may return
(``include.warehouse.checks``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from include.core.errors import ArtifactError
from include.core.lake import features_prefix
from include.core.model_spec import MODELS_FOLDER
from include.core.snapshots import months_below, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from include.core.lake import Lake
    from include.core.model_spec import ModelSpec
    from include.core.months import Month
    from include.core.snapshots import Snapshot


class BuiltMonth(BaseModel, frozen=True, extra="forbid"):
    """A month's features: its rows, how many of them have a label, the manifest."""

    month: str
    rows: int
    labelled: int
    uri: str


@dataclass(frozen=True)
class MonthToBuild:
    """What a month's features are made from, and whether they are.

    Args:
        month: The month.
        raw: The raw snapshots of the month before, if it has landed, and of the month.
        sql: The text of features.sql.
        inputs: The digests of all of it, by name.
        is_due: There is no snapshot of features that was made from the same.
    """

    month: Month
    raw: Mapping[Month, Snapshot]
    sql: str
    inputs: Mapping[str, str]
    is_due: bool


def due_months(lake: Lake, spec: ModelSpec, models: Path = MODELS_FOLDER) -> list[Month]:
    """Return the landed months whose features are missing or were made from something else, oldest first."""
    raw = months_below(lake, f"raw/{spec.source}")
    built = months_below(lake, f"features/{spec.name}")
    sql = _features_sql(spec, models)
    return [month for month in raw if month not in built or built[month].inputs != _inputs(raw, spec, month, sql)]


def month_to_build(lake: Lake, spec: ModelSpec, month: Month, models: Path = MODELS_FOLDER) -> MonthToBuild:
    """Return what a month's features are made from.

    Raises:
        ArtifactError: the month has not landed.
    """
    raw = {
        each: snapshot
        for each in (month - 1, month)
        if (snapshot := read_snapshot(lake, f"raw/{spec.source}/month={each}")) is not None
    }
    if month not in raw:
        raise ArtifactError(
            lake.uri(f"raw/{spec.source}/month={month}"),
            "the month has not landed",
            rule="features are built from a month that lies in raw/",
            remedy=f"let the month land and the source's ingest run, then build {month} again",
        )
    sql = _features_sql(spec, models)
    inputs = _inputs(raw, spec, month, sql)
    present = read_snapshot(lake, features_prefix(spec.name, month))
    return MonthToBuild(month, raw, sql, inputs, is_due=present is None or present.inputs != inputs)


def _features_sql(spec: ModelSpec, models: Path) -> str:
    return (models / spec.name / "features.sql").read_text(encoding="utf-8")


def _inputs(raw: Mapping[Month, Snapshot], spec: ModelSpec, month: Month, sql: str) -> dict[str, str]:
    inputs = {
        "raw": raw[month].digest,
        "features.sql": _sha256(sql),
        "model.yaml": _sha256(repr((spec.objective, spec.features))),
    }
    if month - 1 in raw:
        inputs["raw of the month before"] = raw[month - 1].digest
    return inputs


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
