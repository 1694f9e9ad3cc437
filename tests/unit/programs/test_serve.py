"""The serving handlers, with a small door beside them as a job lays them out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import include.programs

if TYPE_CHECKING:
    from pathlib import Path

DOOR = """
def load(model_dir):
    return model_dir

def predict(model, rows):
    return (rows["x"] / 3).to_numpy()
"""
ROUND_TRIP = """
import io, json
import pandas as pd
import serve

rows = pd.DataFrame({"row_id": ["b", "a", "NA"], "x": [0.1, 1e-300, 2.0], "carrier": ["NA", None, "UA"]})
answers = []
as_csv = rows.to_csv(index=False)
for content, kind in ((rows.to_parquet(), "application/x-parquet"), (as_csv, "text/csv; charset=utf-8")):
    read = serve.input_fn(content, kind)
    answers.append(serve.output_fn(serve.predict_fn(read, serve.model_fn("folder")), "text/csv"))
refusals = []
for refused in (
    lambda: serve.input_fn(b"{}", "application/json"),
    lambda: serve.input_fn(b"x", "text/csv"),
    lambda: serve.output_fn(rows, "application/json"),
):
    try:
        refused()
    except ValueError as error:
        refusals.append(str(error))
print(json.dumps({"answers": answers, "refusals": refusals, "carriers": read["carrier"].fillna("missing").tolist()}))
"""


def test_parquet_and_csv_give_the_same_full_precision_answer(tmp_path: Path) -> None:
    """Rows keep their order, floats read back unchanged, NA is a carrier and an empty field a missing one."""
    shutil.copy(next(iter(include.programs.__path__)) + "/serve.py", tmp_path)
    (tmp_path / "predict.py").write_text(DOOR)
    ran = subprocess.run(
        [sys.executable, "-c", ROUND_TRIP], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
    )
    found = json.loads(ran.stdout)
    header, *lines = found["answers"][0].splitlines()
    assert header == "row_id,prediction"
    assert [(row_id, float(value)) for row_id, value in (line.split(",") for line in lines)] == [
        ("b", 0.1 / 3),
        ("a", 1e-300 / 3),
        ("NA", 2 / 3),
    ]
    assert found["answers"][0] == found["answers"][1]
    assert found["carriers"] == ["NA", "missing", "UA"]
    assert found["refusals"] == [
        "content type 'application/json' is not served; send application/x-parquet or text/csv with a header",
        "rows carry a row_id; these have x",
        "accept 'application/json' cannot be served; predictions are text/csv",
    ]
