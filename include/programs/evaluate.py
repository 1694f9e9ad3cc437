"""Evaluate models on one holdout month: a processing job's program.

How it works: the holdout's features and labels are read from their channels; each model's archive is unpacked to a
private folder and loaded through its own ``predict.py`` under a private module name, so two versions of a model's code
do not meet. All models predict exactly the same rows. Writes ``evaluation.json`` and ``predictions.parquet``. What
labels, predictions and metrics are is the objective's, one entry of OBJECTIVES.

What it does not do: decide which model is better; import anything of this project or of a model but its ``predict.py``.
"""

# A job's log is what it prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

# a certain prediction that is wrong would make the log loss infinite
_SMALLEST = 1e-15


class EvaluationError(Exception):
    """The evaluation cannot be made; the message says what is wrong and what was expected."""


def main(arguments: list[str]) -> None:
    """Evaluate every model and write the report."""
    options = _parse(arguments)
    try:
        evaluate(
            options.holdout_month,
            options.features,
            options.labels,
            _models(options.model, options.code),
            options.output,
            options.objective,
        )
    except EvaluationError as error:
        sys.exit(f"evaluate: {error}")


def evaluate(
    holdout_month: str,
    features: Path,
    labels: Path,
    models: dict[str, tuple[Path, Path]],
    output: Path,
    objective: str = "binary_classification",
) -> None:
    """Evaluate ``models`` (name to folder of the archive and folder of the code) and write to ``output``."""
    rules = OBJECTIVES[objective]
    rows = read_holdout(holdout_month, features, labels, rules)
    label = rows["label"].to_numpy(dtype=np.float64)
    predictions = rows[["row_id", "label"]].copy()
    report: dict[str, Any] = {
        "holdout_month": holdout_month,
        "rows": len(rows),
        **rules.describe(label),
        "models": {},
    }
    for name, (archive, code) in models.items():
        predictions[name] = _predict(name, archive, code, rows.drop(columns="label"), rules)
        report["models"][name] = rules.metrics(label, predictions[name].to_numpy())
        print(f"{name}: {', '.join(f'{metric}={value:.6g}' for metric, value in report['models'][name].items())}")
    output.mkdir(parents=True, exist_ok=True)
    predictions.to_parquet(output / "predictions.parquet", index=False)
    (output / "evaluation.json").write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def metrics(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Return how well ``probability`` foretells ``label`` (0 or 1; both occur)."""
    brier = float(np.mean((probability - label) ** 2))
    base_rate = float(label.mean())
    return {
        "roc_auc": roc_auc(label, probability),
        "log_loss": log_loss(label, probability),
        "brier": brier,
        "skill": 1 - brier / (base_rate * (1 - base_rate)),
        "rows": len(label),
    }


def regression_metrics(label: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Return how near ``prediction`` comes to ``label``; skill is R², 1 - mean squared error / the labels' variance."""
    error = prediction - label
    mse = float(np.mean(error**2))
    return {
        "rmse": mse**0.5,
        "mae": float(np.mean(np.abs(error))),
        "skill": 1 - mse / float(np.var(label)),
        "rows": len(label),
    }


def roc_auc(label: np.ndarray, score: np.ndarray) -> float:
    """Return the probability that a random positive scores higher than a random negative; a tie counts half."""
    _, position, counts = np.unique(score, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(counts)
    mean_rank = (last_rank - (counts - 1) / 2)[position]
    positives = float(label.sum())
    negatives = len(label) - positives
    return float((mean_rank[label == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(label: np.ndarray, probability: np.ndarray) -> float:
    """Return the mean of minus the logarithm of what each row's own label was given, at least 1e-15."""
    given = np.where(label == 1, probability, 1 - probability)
    return float(-np.mean(np.log(np.maximum(given, _SMALLEST))))


@dataclass(frozen=True)
class Objective:
    """What an objective makes of a holdout.

    Args:
        refuse: Says what is wrong with the month's labels, empty when nothing is.
        describe: What the report says of the labels.
        allowed: Which predictions can be one.
        wanted: What a prediction is, in words.
        metrics: The metrics of one model, given labels and predictions.
    """

    refuse: Callable[[np.ndarray], str]
    describe: Callable[[np.ndarray], dict[str, float]]
    allowed: Callable[[np.ndarray], np.ndarray]
    wanted: str
    metrics: Callable[[np.ndarray, np.ndarray], dict[str, float]]


def _refuse_one_class(label: np.ndarray) -> str:
    found = np.unique(label)
    shown = ", ".join(f"{each:g}" for each in found)
    return "" if np.array_equal(found, [0, 1]) else f"are [{shown}]; a comparison needs both 0 and 1"


def _refuse_one_value(label: np.ndarray) -> str:
    if len(label) and np.isfinite(label).all() and np.ptp(label) > 0:
        return ""
    return f"are {np.unique(label)[:5].tolist()}; a comparison needs finite numbers that differ"


OBJECTIVES = {
    "binary_classification": Objective(
        refuse=_refuse_one_class,
        describe=lambda label: {"base_rate": float(label.mean())},
        allowed=lambda found: (found >= 0) & (found <= 1),
        wanted="one probability each",
        metrics=metrics,
    ),
    "regression": Objective(
        refuse=_refuse_one_value,
        describe=lambda label: {"label_mean": float(label.mean()), "label_deviation": float(label.std())},
        allowed=np.isfinite,
        wanted="one finite number each",
        metrics=regression_metrics,
    ),
}


def read_holdout(holdout_month: str, features: Path, labels: Path, rules: Objective) -> pd.DataFrame:
    """Return the holdout's labelled rows, sorted by row_id.

    Raises:
        EvaluationError: a channel is empty or holds another month, a labelled row has no features, or the labels are
            none that the objective can compare by.
    """
    label_rows = _read(labels, holdout_month)
    rows = _read(features, holdout_month).merge(label_rows, on="row_id", how="inner")
    if len(rows) != len(label_rows) or rows["row_id"].duplicated().any():
        message = (
            f"{len(label_rows)} labelled rows of {holdout_month} meet {len(rows)} rows of features; one each is right"
        )
        raise EvaluationError(message)
    wrong = rules.refuse(rows["label"].to_numpy(dtype=np.float64))
    if wrong:
        message = f"the labels of {holdout_month} {wrong}"
        raise EvaluationError(message)
    return rows.sort_values("row_id", ignore_index=True)


def unpack(archive_folder: Path, target: Path) -> None:
    """Unpack the one ``model.tar.gz`` below ``archive_folder``, refusing entries that would leave ``target``.

    Raises:
        EvaluationError: there is no such archive, or it is corrupt or empty.
    """
    paths = sorted(archive_folder.rglob("model.tar.gz"))
    if len(paths) != 1:
        message = f"{archive_folder} holds {len(paths)} files model.tar.gz; a training job writes one"
        raise EvaluationError(message)
    try:
        with tarfile.open(paths[0], "r:gz") as archive:
            archive.extractall(target, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        message = f"{paths[0]} ({paths[0].stat().st_size} bytes) is no readable model.tar.gz: {error}"
        raise EvaluationError(message) from error
    if not any(path.is_file() for path in target.rglob("*")):
        message = f"{paths[0]} is empty; a training job packs what it wrote to SM_MODEL_DIR"
        raise EvaluationError(message)


def _predict(name: str, archive: Path, code: Path, rows: pd.DataFrame, rules: Objective) -> np.ndarray:
    with tempfile.TemporaryDirectory(prefix=f"model-{name}-") as folder:
        unpack(archive, Path(folder))
        door = _load_door(name, code)
        try:
            found = np.asarray(door.predict(door.load(folder), rows), dtype=np.float64)
        except Exception as error:
            message = f"the model {name} cannot be loaded or does not predict: {type(error).__name__}: {error}"
            raise EvaluationError(message) from error
    if found.shape != (len(rows),) or not rules.allowed(found).all():
        message = f"the model {name} returned {found.shape} values for {len(rows)} rows; {rules.wanted} is right"
        raise EvaluationError(message)
    return found


def _load_door(name: str, code: Path) -> ModuleType:
    path = code / "predict.py"
    private = f"_door_of_{name}"
    spec = importlib.util.spec_from_file_location(private, path)
    if spec is None or spec.loader is None or not path.is_file():
        message = f"{path} does not exist; a model's code has its predict.py"
        raise EvaluationError(message)
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name
    sys.modules[private] = module
    spec.loader.exec_module(module)
    return module


def _read(folder: Path, month: str) -> pd.DataFrame:
    paths = sorted(folder.rglob("*.parquet"))
    if not paths:
        message = f"{folder} holds no Parquet file; it holds the snapshot of {month}"
        raise EvaluationError(message)
    strange = [
        str(path)
        for path in paths
        if any(part.startswith("month=") for part in path.parts) and f"month={month}" not in path.parts
    ]
    if strange:
        message = f"the holdout is {month}, but {strange[0]} is another month's"
        raise EvaluationError(message)
    return pd.concat([pd.read_parquet(path, partitioning=None) for path in paths], ignore_index=True)


def _models(archives: list[tuple[str, Path]], codes: list[tuple[str, Path]]) -> dict[str, tuple[Path, Path]]:
    code_of = dict(codes)
    names = [name for name, _ in archives]
    if sorted(names) != sorted(name for name, _ in codes) or len(set(names)) != len(names):
        message = f"--model names {names}, --code names {[name for name, _ in codes]}; each model has one of both"
        raise EvaluationError(message)
    return {name: (archive, code_of[name]) for name, archive in archives}


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="evaluate.py", allow_abbrev=False)
    parser.add_argument("--holdout-month", required=True)
    parser.add_argument("--objective", choices=sorted(OBJECTIVES), default="binary_classification")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--model", type=_named_folder, action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--code", type=_named_folder, action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(arguments)


def _named_folder(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not (name.isidentifier() and separator and folder):
        message = f"{text!r} is not NAME=FOLDER"
        raise argparse.ArgumentTypeError(message)
    return name, Path(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
