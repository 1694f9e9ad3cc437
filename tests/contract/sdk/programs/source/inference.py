"""An inference script: multiplies by the factor of the model."""

import json
from pathlib import Path


def model_fn(folder):
    return json.loads((Path(folder) / "factor.json").read_text())["factor"]


def input_fn(body, content_type):
    assert content_type == "text/csv", content_type
    return [float(line) for line in (body if isinstance(body, str) else body.decode()).split()]


def predict_fn(numbers, factor):
    return [number * factor for number in numbers]


def output_fn(numbers, accept):
    return "\n".join(map(str, numbers)), "text/csv"
