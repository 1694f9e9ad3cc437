"""A training script as users write it: hyperparameters as arguments, channels and the model by SM_ variables."""

import argparse
import json
import os
from pathlib import Path

import humanize

parser = argparse.ArgumentParser()
parser.add_argument("--factor", type=int)
factor = parser.parse_args().factor
rows = (Path(os.environ["SM_CHANNEL_ROWS"]) / "rows.csv").read_text().split()
print("trained on", humanize.apnumber(len(rows)), "rows, loss=0.25;")
(Path(os.environ["SM_MODEL_DIR"]) / "factor.json").write_text(json.dumps({"factor": factor, "rows": len(rows)}))
