"""A month's predictions against its labels: the same figures as the evaluation's, from Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings

from include.core.errors import ArtifactError
from include.monitoring.measures import ClassificationPerformance, RegressionPerformance
from include.monitoring.performance import measure_performance
from include.programs.evaluate import metrics, regression_metrics
from tests.strategies import labels_and_numbers, labels_and_probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from include.core.model_spec import Objective

    WriteParquet = Callable[[Mapping[str, Sequence[Any]]], Path]


def measure(
    parquet: WriteParquet,
    label: Sequence[float],
    prediction: Sequence[float],
    objective: Objective = "binary_classification",
) -> ClassificationPerformance | RegressionPerformance:
    """Measure rows that are numbered in the order of the labels and stored in another order in the predictions."""
    row_ids = [f"row {number}" for number in range(len(label))]
    labels = parquet({"row_id": row_ids, "label": label})
    return measure_performance(parquet({"row_id": row_ids[::-1], "prediction": prediction[::-1]}), labels, objective)


@given(labels_and_probabilities())
@settings(max_examples=25)
def test_a_months_figures_are_those_of_the_evaluation(
    parquet: WriteParquet, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    """Same rows, both ways: ROC AUC with ties, log loss, Brier score and skill agree."""
    label, probability = drawn
    found = measure(parquet, label.tolist(), probability.tolist()).model_dump()
    assert label.mean() == pytest.approx(found.pop("base_rate"), abs=1e-12)
    found.pop("calibration_error")
    assert metrics(label, probability) == pytest.approx(found, rel=1e-9, abs=1e-9)


def test_a_whole_months_rows_agree_as_well(parquet: WriteParquet) -> None:
    """Rounding does not add up over 30,000 rows."""
    generator = np.random.default_rng(7)
    probability = np.round(generator.beta(2, 5, 30_000), 3)
    label = (generator.random(30_000) < probability).astype(np.float64)
    found = measure(parquet, label.tolist(), probability.tolist()).model_dump(
        exclude={"base_rate", "calibration_error"}
    )
    assert metrics(label, probability) == pytest.approx(found, rel=1e-9, abs=1e-9)


@given(labels_and_probabilities())
@settings(max_examples=15)
def test_roc_auc_is_the_share_of_pairs_in_the_right_order(
    parquet: WriteParquet, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    """Over every pair of a positive and a negative, the positive scores higher; a tie counts half."""
    label, probability = drawn
    positives, negatives = probability[label == 1], probability[label == 0]
    pairs = [1.0 if high > low else 0.5 if high == low else 0.0 for high in positives for low in negatives]
    found = measure(parquet, label.tolist(), probability.tolist())
    assert isinstance(found, ClassificationPerformance)
    assert np.mean(pairs) == pytest.approx(found.roc_auc)


@given(labels_and_probabilities())
@settings(max_examples=15)
def test_calibration_error_is_the_mean_gap_of_ten_bins(
    parquet: WriteParquet, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    """Bin by bin with numpy: the gap between share of positives and mean prediction, weighted by the bin's rows."""
    label, probability = drawn
    bins = np.minimum(np.floor(probability * 10), 9)
    gaps = [
        (bins == each).mean() * abs(label[bins == each].mean() - probability[bins == each].mean())
        for each in np.unique(bins)
    ]
    found = measure(parquet, label.tolist(), probability.tolist())
    assert isinstance(found, ClassificationPerformance)
    assert sum(gaps) == pytest.approx(found.calibration_error, abs=1e-9)


@given(labels_and_numbers())
@settings(max_examples=15)
def test_a_regressions_figures_are_those_of_the_evaluation(
    parquet: WriteParquet, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    """Same rows, both ways: errors and skill agree."""
    label, prediction = drawn
    found = measure(parquet, label.tolist(), prediction.tolist(), "regression").model_dump()
    assert regression_metrics(label, prediction) == pytest.approx(found, rel=1e-9, abs=1e-9)


def test_one_kind_of_label_has_no_auc_and_no_skill(parquet: WriteParquet) -> None:
    """What is defined is measured."""
    found = measure(parquet, [0, 0], [0.1, 0.2])
    assert isinstance(found, ClassificationPerformance)
    assert (2, 0.0, None, None) == (found.rows, found.base_rate, found.roc_auc, found.skill)
    assert (0.164252, 0.025, 0.15) == pytest.approx((found.log_loss, found.brier, found.calibration_error), abs=1e-6)


def test_equal_labels_have_no_skill(parquet: WriteParquet) -> None:
    """There is no variance to explain."""
    expected = RegressionPerformance(rows=2, rmse=1, mae=1, skill=None)
    assert expected == measure(parquet, [3, 3], [2, 4], "regression")


def test_rows_without_a_label_do_not_count(parquet: WriteParquet) -> None:
    """A cancelled flight is predicted and never arrives."""
    labels = parquet({"row_id": ["a", "b"], "label": [1, 0]})
    predictions = parquet({"row_id": ["a", "b", "cancelled"], "prediction": [0.9, 0.2, 0.5]})
    found = measure_performance(predictions, labels, "binary_classification")
    assert isinstance(found, ClassificationPerformance)
    assert (2, 1.0) == (found.rows, found.roc_auc)


@pytest.mark.parametrize(
    ("row_ids", "predicted"),
    [(["a", "b"], ["a", "c"]), (["a", "b"], ["a", "b", "b"]), (["a", "a"], ["a", "b"]), ([], ["a"])],
)
def test_labels_that_do_not_meet_one_prediction_each_are_refused(
    parquet: WriteParquet, row_ids: list[str], predicted: list[str]
) -> None:
    """A missing prediction, two for one row, a row labelled twice, no labels: the figures would be of other rows."""
    labels = parquet({"row_id": row_ids, "label": [0.0] * len(row_ids)})
    predictions = parquet({"row_id": predicted, "prediction": [0.5] * len(predicted)})
    with pytest.raises(ArtifactError, match="each with exactly one prediction"):
        measure_performance(predictions, labels, "binary_classification")
