"""Train the temperature model: the entry point of a training job in script mode.

Reads every Parquet file of the channels ``features`` and ``labels``, joins them on row_id, boosts trees, and writes
``model.ubj``, which holds the features' names. The same data and hyperparameters give the same artifact.
"""

# A folder of programs, not a package: a job gets these files side by side.
# ruff: noqa: INP001, RUF100

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pandas as pd
import xgboost
from predict import MODEL_FILE, matrix


def main(arguments: list[str]) -> None:
    """Train on the job's channels and write the artifact to its model folder."""
    parser = argparse.ArgumentParser(prog="train.py", allow_abbrev=False)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--eta", type=float, required=True)
    parser.add_argument("--max_depth", type=int, required=True)
    options = parser.parse_args(arguments)
    rows = _read("features").merge(_read("labels"), on="row_id", validate="one_to_one")
    rows = rows.sort_values("row_id", ignore_index=True)
    features = [name for name in rows.columns if name not in {"row_id", "label"}]
    train = matrix(rows, features, rows["label"].to_numpy())
    booster = xgboost.train(
        {
            "objective": "reg:squarederror",
            "nthread": 1,
            "seed": options.seed,
            "eta": options.eta,
            "max_depth": options.max_depth,
        },
        train,
        num_boost_round=options.rounds,
    )
    booster.save_model(Path(os.environ["SM_MODEL_DIR"], MODEL_FILE))
    # what model.yaml's metric_definitions pick up
    sys.stdout.write(f"trained on {len(rows)} rows\n{booster.eval(train, name='train')}\n")


def _read(channel: str) -> pd.DataFrame:
    paths = sorted(Path(os.environ[f"SM_CHANNEL_{channel.upper()}"]).rglob("*.parquet"))
    # one file at a time: pandas would take folders like month=2013-01 for a column
    return pd.concat([pd.read_parquet(path, partitioning=None) for path in paths], ignore_index=True)


if __name__ == "__main__":
    main(sys.argv[1:])
