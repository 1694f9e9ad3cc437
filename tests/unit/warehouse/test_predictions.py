"""A scoring job's output is what the objective allows, one prediction for each row of features."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from include.core.errors import ArtifactError
from include.core.model_spec import RegressionGate, load_model
from include.core.months import Month
from include.warehouse.predictions import publish_predictions

if TYPE_CHECKING:
    from include.core.lake import Lake
    from include.core.model_spec import ModelSpec
    from include.core.snapshots import Snapshot

MARCH = Month(2013, 3)
CLASSIFICATION = load_model("flight_delay")
REGRESSION = CLASSIFICATION.model_copy(update={"objective": "regression", "gate": RegressionGate()})


def publish(lake: Lake, spec: ModelSpec, predictions: dict[str, str]) -> Snapshot:
    """Publish a job's output for the features of the rows a, b and c."""
    features = io.BytesIO()
    pd.DataFrame({"row_id": ["c", "a", "b"], "x": 1.0}).to_parquet(features)
    lake.write_bytes("features.parquet", features.getvalue())
    lines = ["row_id,prediction", *(f"{row_id},{value}" for row_id, value in predictions.items())]
    lake.write_bytes("job.out", "\n".join(lines).encode())
    uris = {"features_uri": lake.uri("features.parquet"), "output_uri": lake.uri("job.out")}
    return publish_predictions(lake, spec, MARCH, **uris, inputs={"features": "0123"})


def published(lake: Lake, snapshot: Snapshot) -> dict[str, float]:
    """Return a month's predictions by row_id."""
    content = lake.read_bytes(snapshot.files["predictions"].key)
    assert content is not None
    rows = pd.read_parquet(io.BytesIO(content))
    return dict(zip(rows["row_id"], rows["prediction"], strict=True))


@pytest.mark.parametrize(
    ("spec", "values"),
    [(CLASSIFICATION, (0.0, 0.1 + 0.2, 1.0)), (REGRESSION, (-40.5, 1e300, 0.1 + 0.2))],
    ids=["probabilities", "numbers"],
)
def test_each_row_has_the_number_that_the_job_wrote(lake: Lake, spec: ModelSpec, values: tuple[float, ...]) -> None:
    """To the last bit, ordered by row_id, counted."""
    wanted = dict(zip("abc", values, strict=True))
    snapshot = publish(lake, spec, {row_id: f"{wanted[row_id]:.17g}" for row_id in "bca"})
    assert wanted == published(lake, snapshot)
    assert snapshot.files["predictions"].rows == 3


@pytest.mark.parametrize(
    ("spec", "value", "rule"),
    [
        (CLASSIFICATION, "1.01", "0 <= prediction <= 1"),
        (CLASSIFICATION, "nan", "0 <= prediction <= 1"),
        (REGRESSION, "inf", "a prediction is a finite number"),
        (REGRESSION, "nan", "a prediction is a finite number"),
    ],
)
def test_what_the_objective_does_not_allow_is_refused(lake: Lake, spec: ModelSpec, value: str, rule: str) -> None:
    """The message counts such predictions, shows one, and nothing is published."""
    with pytest.raises(ArtifactError, match=rf"1 predictions, e\.g\. .*'b'.*Rule: {rule}"):
        publish(lake, spec, {"a": "0.5", "b": value, "c": "0.5"})
    assert list(lake.keys("predictions/")) == []


def test_a_row_too_few_is_refused(lake: Lake) -> None:
    """Each row of the features has exactly one prediction, whatever the objective."""
    with pytest.raises(ArtifactError, match="it has 2 rows for 3 rows of features"):
        publish(lake, REGRESSION, {"a": "1", "b": "2"})
