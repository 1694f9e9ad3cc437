"""The one door to the trained temperature model: evaluation, batch scoring and the endpoint all come through here."""

# A folder of programs, not a package: a job gets these files side by side.
# ruff: noqa: INP001, RUF100

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xgboost

if TYPE_CHECKING:
    import pandas as pd

MODEL_FILE = "model.ubj"
# in Fahrenheit; where the station observed nothing six hours before
_UNKNOWN = 50.0


def load(model_dir: str | Path) -> xgboost.Booster:
    """Load what ``train.py`` wrote to ``model_dir``."""
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(Path(model_dir, MODEL_FILE))
    return booster


def predict(model: xgboost.Booster, rows: pd.DataFrame) -> np.ndarray:
    """Return the temperature foretold for each row."""
    temperatures: np.ndarray = model.predict(matrix(rows, model.feature_names)).astype(np.float64)
    return temperatures


def matrix(rows: pd.DataFrame, features: list[str], label: np.ndarray | None = None) -> xgboost.DMatrix:
    """Return ``rows`` as the booster reads them; an empty value is a missing one.

    The trees add to the temperature of six hours before: alone, they would foretell no April warmer than all of winter.
    """
    values = rows[features].to_numpy(dtype=np.float64, na_value=np.nan)
    start = rows["temp_then"].to_numpy(dtype=np.float64, na_value=_UNKNOWN)
    return xgboost.DMatrix(values, label=label, base_margin=start, feature_names=features, nthread=1)
