"""Recompute metrics and predictions from artifacts, features and the data package, and look at the plots.

A program for a job's environment: that is where a model's library is, and the one that reads pictures.

How it works: reads a request (JSON, see ``driver``) from the file that its one argument names and prints the findings
as JSON. A model.tar.gz is opened, its booster loaded, and its schema read here, without any code of the model's.

What it does not do: know what the pipeline claims. Needs numpy, Pillow, pyarrow and xgboost; imports nothing of this
project.
"""

from __future__ import annotations

import csv
import io
import json
import math
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import xgboost
from PIL import Image  # type: ignore[import-not-found] # only jobs have it

LATE_MINUTES = 15
_CALIBRATION_BINS = 10
# the chunk that ends a PNG file; Pillow does not miss it
_PNG_END = b"IEND\xaeB`\x82"


def main() -> None:
    """Answer the request."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    truth = read_truth(Path(request["data_folder"]), set(request["months"]))
    findings = {
        "months": {
            month: {"rows": len(rows), "labelled": sum(label is not None for label in rows.values())}
            for month, rows in truth.items()
        },
        "holdouts": [examine_holdout(model, truth) for model in request["models"]],
        "champions": [examine_holdout(model, truth) for model in request["champions"]],
        "scores": [examine_score(score, truth) for score in request["scores"]],
        "plots": {month: examine_plot(Path(path)) for month, path in request["plots"].items()},
    }
    sys.stdout.write(json.dumps(findings))


def read_truth(folder: Path, months: set[str]) -> dict[str, dict[tuple[str, ...], int | None]]:
    """Return of each month the flights by (hour, carrier, flight, origin): 1 late, 0 not late, None unknown."""
    truth: dict[str, dict[tuple[str, ...], int | None]] = {month: {} for month in months}
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")):
            month = f"{int(row['year']):04d}-{int(row['month']):02d}"
            if month in truth:
                delay = row["arr_delay"]
                label = None if delay in {"NA", ""} else int(float(delay) > LATE_MINUTES)
                hour = row["time_hour"].rstrip("Z").replace("T", " ")
                truth[month][hour, row["carrier"], row["flight"], row["origin"]] = label
    return truth


@cache
def read_features(path: str) -> dict[str, list[Any]]:
    """Return a month's features by column; a holdout is read for both models, and once more where it was scored."""
    columns: dict[str, list[Any]] = pq.read_table(path).to_pydict()
    return columns


def examine_holdout(model: dict[str, Any], truth: dict[str, dict[tuple[str, ...], int | None]]) -> dict[str, Any]:
    """Predict a model's holdout again and measure it against the truth."""
    features = read_features(model["features"])
    labels = truth[model["holdout_month"]]
    predictions = predict(Path(model["artifact"]), features)
    return {"version": model["version"], "metrics": measure(features["row_id"], predictions, labels)}


def examine_score(score: dict[str, Any], truth: dict[str, dict[tuple[str, ...], int | None]]) -> dict[str, Any]:
    """Predict a scored month again, compare with its published predictions, and measure these against the truth."""
    features = read_features(score["features"])
    published = pq.read_table(score["predictions"]).to_pydict()
    labels = truth[score["month"]]
    again = dict(zip(features["row_id"], predict(Path(score["artifact"]), features), strict=True))
    ids = published["row_id"]
    worst = max(
        (
            (abs(float(again[row_id]) - value), row_id)
            for row_id, value in zip(ids, published["prediction"], strict=True)
            if row_id in again
        ),
        default=(math.inf, "none"),
    )
    return {
        "month": score["month"],
        "rows": len(ids),
        "repeated": len(ids) - len(set(ids)),
        "not_in_package": sum(key_of(row_id) not in labels for row_id in ids),
        "not_in_features": sum(row_id not in again for row_id in ids),
        "largest_difference": worst[0],
        "at": worst[1],
        "metrics": measure(ids, np.array(published["prediction"], dtype=np.float64), labels),
    }


def examine_plot(path: Path) -> dict[str, Any]:
    """Return a picture's format, size and share of pixels that are not its background, or what is wrong with it.

    The background is the commonest colour.
    """
    try:
        with Image.open(path) as image:
            kind, (width, height) = image.format, image.size
            # every pixel is decoded and every checksum compared
            colours = image.convert("RGB").getcolors(width * height)
    except (OSError, SyntaxError, ValueError) as error:
        return {"problem": f"{type(error).__name__}: {error}"}
    if kind == "PNG" and not path.read_bytes().endswith(_PNG_END):
        return {"problem": "the file stops before its end"}
    commonest = max(count for count, _ in colours)
    return {"format": kind, "width": width, "height": height, "drawn": 1 - commonest / (width * height)}


def predict(artifact: Path, features: dict[str, list[Any]]) -> np.ndarray:
    """Predict with the booster in a model.tar.gz, by its schema.json: features in order, categories by position."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(artifact, "r:gz") as archive:
            archive.extractall(folder, filter="data")
        schema = json.loads(Path(folder, "schema.json").read_text(encoding="utf-8"))
        booster = xgboost.Booster()
        booster.load_model(Path(folder, "model.ubj"))
    columns = []
    for name in schema["features"]:
        values = features[name]
        if name in schema["categories"]:
            position = {category: float(index) for index, category in enumerate(schema["categories"][name])}
            columns.append([position.get(value, math.nan) for value in values])
        else:
            columns.append([math.nan if value is None else float(value) for value in values])
    matrix = xgboost.DMatrix(
        np.array(columns, dtype=np.float64).T,
        feature_names=schema["features"],
        feature_types=["c" if name in schema["categories"] else "float" for name in schema["features"]],
        enable_categorical=True,
    )
    found: np.ndarray = booster.predict(matrix).astype(np.float64)
    return found


def measure(ids: list[str], predictions: np.ndarray, labels: dict[tuple[str, ...], int | None]) -> dict[str, float]:
    """Return the metrics over the rows whose label is known."""
    pairs = [
        (float(prediction), label)
        for row_id, prediction in zip(ids, predictions, strict=True)
        if (label := labels.get(key_of(row_id))) is not None
    ]
    late = sorted(prediction for prediction, label in pairs if label == 1)
    in_time = sorted(prediction for prediction, label in pairs if label == 0)
    rate = len(late) / len(pairs)
    brier = sum((prediction - label) ** 2 for prediction, label in pairs) / len(pairs)
    likelihoods = (prediction if label else 1 - prediction for prediction, label in pairs)
    return {
        "roc_auc": area_under_curve(late, in_time),
        "log_loss": -sum(math.log(max(likelihood, 1e-15)) for likelihood in likelihoods) / len(pairs),
        "brier": brier,
        "skill": 1 - brier / (rate * (1 - rate)),
        "rows": len(pairs),
        "base_rate": rate,
        "calibration_error": calibration_error(pairs),
    }


def calibration_error(pairs: list[tuple[float, int]]) -> float:
    """Return how far, on average over the rows, the mean prediction of a tenth of [0, 1] is from its share of ones."""
    gaps = [0.0] * _CALIBRATION_BINS
    for prediction, label in pairs:
        gaps[min(int(prediction * _CALIBRATION_BINS), _CALIBRATION_BINS - 1)] += label - prediction
    return sum(map(abs, gaps)) / len(pairs)


def area_under_curve(positives: list[float], negatives: list[float]) -> float:
    """Return the share of pairs in which the positive is higher, a tie counting half; both lists are sorted."""
    below = np.searchsorted(negatives, positives, side="left")
    not_above = np.searchsorted(negatives, positives, side="right")
    return float((below + not_above).sum() / 2 / (len(positives) * len(negatives)))


def key_of(row_id: str) -> tuple[str, ...]:
    """Return a row's key in the truth; a row_id reads ``<hour> <carrier> <flight> <origin>``."""
    hour, carrier, flight, origin = row_id.rsplit(" ", 3)
    return (hour[:19].replace("T", " "), carrier, flight, origin)


if __name__ == "__main__":
    main()
