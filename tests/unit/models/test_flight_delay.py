"""The files of the flight delay model agree with each other. What needs XGBoost is tested in a job's environment."""

from __future__ import annotations

import re

import pytest

from include.core.model_spec import MODELS_FOLDER, load_model_spec

FOLDER = MODELS_FOLDER / "flight_delay"
# as XGBoost 3 writes it
LOG_LINE = "[120]\ttrain-auc:0.78109\ttrain-logloss:0.43123"


def test_every_hyperparameter_of_model_yaml_is_one_of_the_entry_point() -> None:
    """A job passes model.yaml's hyperparameters and the seed as arguments; train.py refuses unknown ones."""
    given = {*load_model_spec(FOLDER).training.hyperparameters, "seed"}
    known = set(re.findall(r'add_argument\("--(\w+)"', (FOLDER / "train.py").read_text()))
    assert set() == given - known


@pytest.mark.parametrize(("metric", "value"), [("train:auc", 0.78109), ("train:logloss", 0.43123)])
def test_metric_definitions_find_their_value_in_the_log(metric: str, value: float) -> None:
    """Each metric of model.yaml matches the line that training prints."""
    found = re.search(load_model_spec(FOLDER).training.metric_definitions[metric], LOG_LINE)
    assert found is not None
    assert value == float(found[1])
