"""The one door to a trained model: evaluation, batch scoring and the endpoint all come through here.

How it works: ``schema.json`` beside the booster holds the features in their order, the categories seen in training and
the version of XGBoost that trained it.
Rows become a plain matrix of numbers, categories as their position; a category that training never saw counts as
missing, and so does an empty value, for which XGBoost has learned a direction.

What it does not do: import anything of this project, for it runs inside cloud jobs.
"""

# A folder of programs, not a package: a job gets these files side by side.
# ruff: noqa: INP001

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost

MODEL_FILE = "model.ubj"
SCHEMA_FILE = "schema.json"


@dataclass(frozen=True)
class Model:
    """A trained booster, its features in order, and the categories of the categorical ones."""

    booster: xgboost.Booster
    features: list[str]
    categories: dict[str, list[str]]


def load(model_dir: str | Path) -> Model:
    """Load what ``train.py`` wrote to ``model_dir``.

    Raises:
        RuntimeError: a newer XGBoost wrote it. An older one reads it without an error and predicts something else
            (3.0.5 takes another base score out of a file of 3.2.0).
    """
    schema = json.loads(Path(model_dir, SCHEMA_FILE).read_text(encoding="utf-8"))
    if _minor(schema["xgboost"]) > _minor(xgboost.__version__):
        message = (
            f"the model was trained by XGBoost {schema['xgboost']} and this is {xgboost.__version__}: "
            "serve it with the image that trained it, or with a newer one"
        )
        raise RuntimeError(message)
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(Path(model_dir, MODEL_FILE))
    return Model(booster, schema["features"], schema["categories"])


def predict(model: Model, rows: pd.DataFrame) -> np.ndarray:
    """Return the probability of each row's label being 1.

    Raises:
        ValueError: ``rows`` lacks a feature, or a numeric feature holds something that is no number.
    """
    probabilities: np.ndarray = model.booster.predict(matrix(rows, model.features, model.categories))
    return probabilities.astype(np.float64)


def matrix(
    rows: pd.DataFrame, features: list[str], categories: dict[str, list[str]], label: np.ndarray | None = None
) -> xgboost.DMatrix:
    """Return ``rows`` as the booster reads them."""
    missing = [name for name in features if name not in rows.columns]
    if missing:
        message = (
            f"the model needs the features {', '.join(missing)}; the rows have {', '.join(map(str, rows.columns))}"
        )
        raise ValueError(message)
    columns = [
        _positions(rows[name], categories[name]) if name in categories else _numbers(rows[name]) for name in features
    ]
    return xgboost.DMatrix(
        np.column_stack(columns),
        label=label,
        feature_names=features,
        feature_types=["c" if name in categories else "q" for name in features],
        enable_categorical=True,
        nthread=1,
    )


def _minor(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


def _positions(values: pd.Series, categories: list[str]) -> np.ndarray:
    positions = pd.Categorical(values, categories=categories).codes.astype(np.float64)
    return np.where(positions < 0, np.nan, positions)


def _numbers(values: pd.Series) -> np.ndarray:
    return values.astype("float64").to_numpy(dtype=np.float64, na_value=np.nan)
