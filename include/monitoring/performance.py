"""How well a month was foretold, once its labels have arrived.

How it works: predictions and labels are joined by row_id and aggregated in DuckDB. The figures are those of
``include.programs.evaluate`` (tests hold them equal), so a month and a champion's holdout can be compared.

What it does not do: judge (``include.monitoring.retraining``). Heavy (duckdb).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.core.errors import ArtifactError
from include.monitoring.measures import ClassificationPerformance, RegressionPerformance
from include.monitoring.rows import add_rows, one_row, open_rows

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from include.core.model_spec import Objective
    from include.monitoring.measures import Performance

# as in evaluate: a certain prediction that is wrong would make the log loss infinite
_SMALLEST = 1e-15
_CALIBRATION_BINS = 10


def measure_performance(predictions: Path, labels: Path, objective: Objective) -> Performance:
    """Measure a month's predictions against its labels.

    Args:
        predictions: Parquet file of ``row_id, prediction``.
        labels: Parquet file of ``row_id, label``; rows without a label (cancelled flights) are not in it.
        objective: The model's objective.

    Raises:
        ArtifactError: no row has a label, or a labelled row has not exactly one prediction.
    """
    with open_rows("predictions", [predictions]) as database:
        add_rows(database, "labels", [labels])
        database.execute(
            "CREATE TABLE outcome AS SELECT CAST(label AS DOUBLE) AS label, CAST(prediction AS DOUBLE) AS prediction "
            "FROM labels JOIN predictions USING (row_id) WHERE label IS NOT NULL AND prediction IS NOT NULL"
        )
        _check_rows(database, str(predictions))
        return _classification(database) if objective == "binary_classification" else _regression(database)


def _check_rows(database: duckdb.DuckDBPyConnection, where: str) -> None:
    labelled, distinct = one_row(database, "SELECT COUNT(label), COUNT(DISTINCT row_id) FROM labels")
    (met,) = one_row(database, "SELECT COUNT(*) FROM outcome")
    if labelled == 0 or not labelled == distinct == met:
        raise ArtifactError(
            where,
            f"{labelled} labels of {distinct} rows meet {met} predictions",
            rule="performance is measured on labelled rows, each with exactly one prediction",
            remedy="score the month again from its present features",
        )


def _classification(database: duckdb.DuckDBPyConnection) -> ClassificationPerformance:
    rows, positives, brier, log_loss = one_row(
        database,
        f"""
        SELECT
            COUNT(*), COUNT_IF(label = 1), AVG((prediction - label) ** 2),
            -AVG(LN(GREATEST(CASE WHEN label = 1 THEN prediction ELSE 1 - prediction END, {_SMALLEST})))
        FROM outcome
        """,
    )
    base_rate = positives / rows
    both_occur = 0 < positives < rows
    return ClassificationPerformance(
        rows=rows,
        base_rate=base_rate,
        roc_auc=_roc_auc(database) if both_occur else None,
        log_loss=max(log_loss, 0.0),
        brier=brier,
        skill=1 - brier / (base_rate * (1 - base_rate)) if both_occur else None,
        calibration_error=_calibration_error(database),
    )


def _roc_auc(database: duckdb.DuckDBPyConnection) -> float:
    """Return the probability that a random positive scores higher than a random negative; a tie counts half.

    The Mann-Whitney statistic by counts at each distinct prediction (Hanley and McNeil, Radiology 143, 1982); the sums
    are whole numbers, so it is exact up to its one division.
    """
    positives, negatives, twice_higher = one_row(
        database,
        """
        WITH tie AS (
            SELECT prediction, COUNT_IF(label = 1) AS positives, COUNT_IF(label = 0) AS negatives
            FROM outcome GROUP BY prediction
        ), ordered AS (
            SELECT positives, negatives, SUM(negatives) OVER (ORDER BY prediction) AS negatives_up_to FROM tie
        )
        SELECT SUM(positives), SUM(negatives), SUM(positives * (2 * negatives_up_to - negatives)) FROM ordered
        """,
    )
    return int(twice_higher) / (2 * int(positives) * int(negatives))


def _calibration_error(database: duckdb.DuckDBPyConnection) -> float:
    """Return the expected calibration error over ten bins of equal width, ``[0, 0.1), … [0.9, 1]``.

    The sum over the bins of ``rows in bin / rows * |share of positives in bin - mean prediction in bin|``, empty bins
    left out (Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015).
    """
    (error,) = one_row(
        database,
        f"""
        WITH bin AS (
            SELECT ABS(SUM(label) - SUM(prediction)) AS gap, COUNT(*) AS rows
            FROM outcome
            GROUP BY LEAST(FLOOR(prediction * {_CALIBRATION_BINS}), {_CALIBRATION_BINS - 1})
        )
        SELECT SUM(gap) / SUM(rows) FROM bin
        """,
    )
    return min(float(error), 1.0)


def _regression(database: duckdb.DuckDBPyConnection) -> RegressionPerformance:
    found: tuple[Any, ...] = one_row(
        database,
        "SELECT COUNT(*), AVG((prediction - label) ** 2), AVG(ABS(prediction - label)), VAR_POP(label) FROM outcome",
    )
    rows, mean_squared_error, mae, variance = found
    return RegressionPerformance(
        rows=rows,
        rmse=mean_squared_error**0.5,
        mae=mae,
        skill=1 - mean_squared_error / variance if variance else None,
    )
