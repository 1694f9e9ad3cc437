"""A scoring job's output as the lake keeps it: checked against the features it was made from, as one parquet file.

Heavy: imports pandas; DAG files import it inside tasks only.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from include.core.errors import ArtifactError
from include.core.lake import predictions_prefix
from include.core.snapshots import write_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from include.core.lake import Lake
    from include.core.model_spec import ModelSpec, Objective
    from include.core.months import Month
    from include.core.snapshots import Snapshot


# which predictions an objective allows, and the rule in words
_ALLOWED: dict[Objective, tuple[Callable[[pd.Series], pd.Series], str]] = {
    "binary_classification": (lambda found: found.between(0, 1), "0 <= prediction <= 1"),
    "regression": (lambda found: found.abs() < np.inf, "a prediction is a finite number"),
}


def publish_predictions(
    lake: Lake,
    spec: ModelSpec,
    month: Month,
    *,
    features_uri: str,
    output_uri: str,
    inputs: Mapping[str, str],
) -> Snapshot:
    """Make a job's output (CSV ``row_id,prediction``) the month's predictions.

    Raises:
        ArtifactError: the output is missing, cannot be read, does not hold exactly one prediction for each row of the
            features, or holds something that the objective does not allow: no probability, no finite number.
    """
    content = lake.read_bytes(lake.key(output_uri))
    if not content:
        raise _refused(output_uri, "it is missing or empty", "a transform job writes one .out for each input")
    try:
        predictions = pd.read_csv(
            io.BytesIO(content), dtype={"row_id": "str", "prediction": "float64"}, float_precision="round_trip"
        )
    except ValueError as error:
        raise _refused(output_uri, str(error), "the output is CSV with the columns row_id, prediction") from error
    if list(predictions.columns) != ["row_id", "prediction"]:
        raise _refused(output_uri, f"its columns are {list(predictions.columns)}", "they are row_id, prediction")
    features = lake.read_bytes(lake.key(features_uri))
    if features is None:
        raise _refused(features_uri, "there is no such object", "the features that were scored exist")
    expected = pd.read_parquet(io.BytesIO(features), columns=["row_id"])["row_id"]
    if sorted(predictions["row_id"]) != sorted(expected):
        strange = len(set(predictions["row_id"]) ^ set(expected))
        raise _refused(
            output_uri,
            f"it has {len(predictions)} rows for {len(expected)} rows of features, {strange} row_ids are in one only",
            "each row of the features has exactly one prediction",
        )
    allowed, rule = _ALLOWED[spec.objective]
    outside = predictions[~allowed(predictions["prediction"])]
    if len(outside):
        raise _refused(output_uri, f"{len(outside)} predictions, e.g. {outside.iloc[0].to_dict()}", rule)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        predictions.sort_values("row_id", ignore_index=True).to_parquet(path, index=False)
        return write_snapshot(
            lake, predictions_prefix(spec.name, month), month, {"predictions": (path, len(predictions))}, inputs
        )


def _refused(where: str, what: str, rule: str) -> ArtifactError:
    return ArtifactError(where, what, rule=rule, remedy="read the transform job's log and run the scoring again")
