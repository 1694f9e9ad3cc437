"""Which months' features are due, and one month's way from the lake through the warehouse back into the lake.

How it works: a feature snapshot records what it was made from: the raw snapshots of its month and of the month before,
features.sql, and what model.yaml says of features and objective. A month is due when it has no snapshot or one made
from something else; so a correction of January makes January and February due, and doing a month twice changes nothing.

What it does not do: decide what features.sql may return (``include.warehouse.checks``). The warehouse itself is
imported only when a month is built.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from include.core.errors import ArtifactError
from include.core.lake import features_prefix
from include.core.model_spec import MODELS_FOLDER
from include.core.snapshots import months_below, read_snapshot, write_snapshot
from include.core.source import load_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.core.lake import Lake
    from include.core.model_spec import ModelSpec
    from include.core.months import Month
    from include.core.snapshots import Snapshot


class BuiltMonth(BaseModel, frozen=True, extra="forbid"):
    """A month's features: its rows, how many of them have a label, whether the lake changed, the manifest."""

    month: str
    rows: int
    labelled: int
    changed: bool
    uri: str


def due_months(lake: Lake, spec: ModelSpec, models: Path = MODELS_FOLDER) -> list[Month]:
    """Return the landed months whose features are missing or were made from something else, oldest first."""
    raw = months_below(lake, f"raw/{spec.source}")
    built = months_below(lake, f"features/{spec.name}")
    sql = _features_sql(spec, models)
    return [month for month in raw if month not in built or built[month].inputs != _inputs(raw, spec, month, sql)]


def build_month(lake: Lake, spec: ModelSpec, month: Month, models: Path = MODELS_FOLDER) -> BuiltMonth:
    """Build a month's features and labels into ``features/<model>/month=…``, unless they are up to date.

    Raises:
        ArtifactError: the month has not landed.
        FeatureCheckFailed: what features.sql returns breaks a check; the lake is unchanged.
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
    prefix = features_prefix(spec.name, month)
    present = read_snapshot(lake, prefix)
    changed = present is None or present.inputs != inputs
    if present is None or changed:
        present = _build(lake, spec, month, raw, sql, inputs)
    return BuiltMonth(
        month=str(month),
        rows=present.files["features"].rows,
        labelled=present.files["labels"].rows,
        changed=changed,
        uri=lake.uri(f"{prefix}/manifest.json"),
    )


def _build(
    lake: Lake, spec: ModelSpec, month: Month, raw: Mapping[Month, Snapshot], sql: str, inputs: Mapping[str, str]
) -> Snapshot:
    # here, because duckdb is dear and most callers only ask what is due
    from include.warehouse.checks import check_features  # noqa: PLC0415 - duckdb
    from include.warehouse.duckdb_month import (  # noqa: PLC0415 - duckdb
        build,
        connect,
        load_tables,
        write_features,
        write_labels,
    )

    source = load_source(spec.source)
    where = f"include/models/{spec.name}/features.sql for {month}"
    with tempfile.TemporaryDirectory(prefix="flightdeck-features-") as scratch, connect() as warehouse:
        folder = Path(scratch)
        tables = {
            table: [_fetch(lake, raw[each], table, folder / str(each)) for each in raw] for table in source.tables
        }
        load_tables(warehouse, tables)
        build(warehouse, month, sql, where)
        check_features(warehouse, spec.objective, spec.features, raw[month].files[source.main_table].rows, where)
        features, labels = folder / "features.parquet", folder / "labels.parquet"
        files = {
            "features": (features, write_features(warehouse, spec.features, features)),
            "labels": (labels, write_labels(warehouse, spec.objective, labels)),
        }
        return write_snapshot(lake, features_prefix(spec.name, month), month, files, inputs)


def _fetch(lake: Lake, snapshot: Snapshot, table: str, folder: Path) -> Path:
    file = snapshot.files[table]
    return lake.download(file.key, folder / f"{table}.parquet", sha256=file.sha256)


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
