"""Train the flight delay model: the entry point of a training job in script mode.

How it works: reads every Parquet file of the channels ``features`` and ``labels``, joins them on row_id, and boosts
trees. Text columns are categorical features, all others numeric. Rows are sorted, the seed is given and one thread
works, so the same data and hyperparameters give the same artifact. Writes ``model.ubj`` (XGBoost's own format) and
``schema.json``; prints what model.yaml's metric_definitions pick up.

What it does not do: choose months or judge the model; both are decided outside.
"""

# A folder of programs, not a package: a job gets these files side by side, and its log is what they print.
# ruff: noqa: INP001, T201

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import pandas as pd
import xgboost
from predict import MODEL_FILE, SCHEMA_FILE, matrix


def main(arguments: list[str]) -> None:
    """Train on the job's channels and write the artifact to its model folder."""
    options = _parse(arguments)
    rows = _read("features").merge(_read("labels"), on="row_id", how="right", validate="one_to_one", indicator=True)
    without_features = int((rows["_merge"] != "both").sum())
    if without_features or rows["label"].nunique() != 2:  # noqa: PLR2004 - binary classification
        sys.exit(
            f"train: {len(rows)} labelled rows, {without_features} of them without features, "
            f"labels {sorted(rows['label'].unique())}. Each labelled row has features, and both labels occur."
        )
    rows = rows.drop(columns="_merge").sort_values("row_id", ignore_index=True)
    features = [name for name in rows.columns if name not in {"row_id", "label"}]
    categories = {
        name: sorted(rows[name].dropna().unique()) for name in features if not pd.api.types.is_numeric_dtype(rows[name])
    }
    train = matrix(rows, features, categories, rows["label"].to_numpy())
    booster = xgboost.train(
        {
            "objective": "binary:logistic",
            "eval_metric": ["auc", "logloss"],
            "tree_method": "hist",
            "nthread": 1,
            "seed": options.seed,
            "eta": options.eta,
            "max_depth": options.max_depth,
            "min_child_weight": options.min_child_weight,
            "subsample": options.subsample,
            "colsample_bytree": options.colsample_bytree,
        },
        train,
        num_boost_round=options.rounds,
    )
    folder = Path(os.environ["SM_MODEL_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    booster.save_model(folder / MODEL_FILE)
    schema = {"xgboost": xgboost.__version__, "features": features, "categories": categories}
    (folder / SCHEMA_FILE).write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    print(f"trained on {len(rows)} rows, {len(features)} features, base rate {rows['label'].mean():.4f}")
    print(booster.eval(train, name="train", iteration=options.rounds))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train.py", allow_abbrev=False)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--eta", type=float, default=0.08)
    parser.add_argument("--max_depth", type=int, default=4)
    parser.add_argument("--min_child_weight", type=float, default=20)
    parser.add_argument("--subsample", type=float, default=0.8)
    parser.add_argument("--colsample_bytree", type=float, default=0.6)
    return parser.parse_args(arguments)


def _read(channel: str) -> pd.DataFrame:
    folder = Path(os.environ[f"SM_CHANNEL_{channel.upper()}"])
    paths = sorted(folder.rglob("*.parquet"))
    if not paths:
        sys.exit(
            f"train: the channel {channel} ({folder}) holds no Parquet file. Each channel holds one for each month."
        )
    # one file at a time: pandas would take folders like month=2013-01 for a column
    return pd.concat([pd.read_parquet(path, partitioning=None) for path in paths], ignore_index=True)


if __name__ == "__main__":
    main(sys.argv[1:])
