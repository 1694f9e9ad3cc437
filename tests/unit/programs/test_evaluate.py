"""The evaluation program: its metrics, and how it treats archives, doors and holdouts."""

from __future__ import annotations

import io
import json
import math
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from include.core.promotion import ClassificationReport, RegressionMetrics, RegressionReport, read_report
from include.programs.evaluate import (
    EvaluationError,
    evaluate,
    log_loss,
    main,
    metrics,
    regression_metrics,
    roc_auc,
    unpack,
)
from tests.strategies import labels_and_numbers, labels_and_probabilities

if TYPE_CHECKING:
    from pathlib import Path

HOLDOUT = "2013-03"
DOOR = """
import json, pathlib
from dataclasses import dataclass

@dataclass
class Model:
    column: str

def load(model_dir):
    return Model(json.loads(pathlib.Path(model_dir, "column.json").read_text()))

def predict(model, rows):
    return (rows[model.column]{change}).to_numpy()
"""


@given(labels_and_probabilities())
def test_roc_auc_is_the_share_of_pairs_in_the_right_order(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """Over every pair of a positive and a negative, the positive scores higher; a tie counts half."""
    label, probability = drawn
    positives, negatives = probability[label == 1], probability[label == 0]
    pairs = [1.0 if high > low else 0.5 if high == low else 0.0 for high in positives for low in negatives]
    assert np.mean(pairs) == pytest.approx(roc_auc(label, probability))


@given(labels_and_probabilities())
def test_log_loss_is_the_mean_of_the_rows_surprise(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """Each row costs minus the logarithm of what its own label was given, and a certain error stays finite."""
    label, probability = drawn
    given_to_label = [p if one else 1 - p for one, p in zip(label, probability, strict=True)]
    expected = np.mean([-math.log(max(p, 1e-15)) for p in given_to_label])
    assert expected == pytest.approx(log_loss(label, probability))


@given(labels_and_probabilities())
def test_skill_compares_with_always_saying_the_base_rate(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """The base rate itself has skill 0, the labels themselves have skill 1, and nobody is better than that."""
    label, probability = drawn
    always = np.full(len(label), label.mean())
    assert metrics(label, always)["skill"] == pytest.approx(0, abs=1e-9)
    assert metrics(label, label)["skill"] == 1
    assert metrics(label, probability)["skill"] <= 1


@given(labels_and_numbers())
def test_a_regressions_skill_compares_with_always_saying_the_mean(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """The month's mean has skill 0, the labels themselves have skill 1; errors are in the label's unit."""
    label, number = drawn
    always = np.full(len(label), label.mean())
    assert regression_metrics(label, always)["skill"] == pytest.approx(0, abs=1e-9)
    found = regression_metrics(label, label)
    assert found == {"rmse": 0, "mae": 0, "skill": 1, "rows": len(label)}
    found = regression_metrics(label, number)
    distances = [abs(a - b) for a, b in zip(label, number, strict=True)]
    assert found["mae"] == pytest.approx(sum(distances) / len(distances))
    assert found["rmse"] == pytest.approx((sum(each**2 for each in distances) / len(distances)) ** 0.5)
    assert found["rmse"] >= found["mae"] * (1 - 1e-12)
    assert found["skill"] <= 1


def archive(folder: Path, files: dict[str, str]) -> Path:
    """Write a model.tar.gz as a training job does, and return its folder."""
    folder.mkdir(parents=True)
    with tarfile.open(folder / "model.tar.gz", "w:gz") as packed:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            packed.addfile(entry, io.BytesIO(text.encode()))
    return folder


def code(folder: Path, change: str = "") -> Path:
    """Write a model's code with a door that predicts one column as it is, or changed, and return its folder."""
    folder.mkdir(parents=True)
    (folder / "predict.py").write_text(DOOR.replace("{change}", change))
    return folder


@pytest.fixture
def channels(tmp_path: Path) -> tuple[Path, Path]:
    """Return the channels of a holdout of four labelled rows and one without a label, out of order."""
    features = pd.DataFrame({"row_id": list("dbaec"), "good": [0.9, 0.8, 0.1, 0.5, 0.2], "bad": [0.1] * 5})
    labels = pd.DataFrame({"row_id": list("abcd"), "label": [0, 1, 0, 1]})
    folders = []
    for name, rows in (("features", features), ("labels", labels)):
        folder = tmp_path / name / "features" / "m" / f"month={HOLDOUT}" / "0123"
        folder.mkdir(parents=True)
        rows.to_parquet(folder / f"{name}.parquet", index=False)
        folders.append(tmp_path / name)
    return folders[0], folders[1]


def test_models_with_different_doors_predict_the_same_labelled_rows(
    tmp_path: Path, channels: tuple[Path, Path]
) -> None:
    """Each model goes through its own predict.py; the report and the predictions cover labelled rows, by row_id."""
    arguments = ["--holdout-month", HOLDOUT, "--features", str(channels[0]), "--labels", str(channels[1])]
    for name, column, change in (("candidate", "good", ""), ("champion", "bad", " * 5")):
        folder = archive(tmp_path / name, {"column.json": json.dumps(column)})
        arguments += ["--model", f"{name}={folder}", "--code", f"{name}={code(tmp_path / f'{name}-code', change)}"]
    main([*arguments, "--output", str(tmp_path / "output")])
    report = read_report((tmp_path / "output" / "evaluation.json").read_text())
    assert isinstance(report, ClassificationReport)
    predictions = pd.read_parquet(tmp_path / "output" / "predictions.parquet")
    assert (report.holdout_month, report.rows, report.base_rate) == (HOLDOUT, 4, 0.5)
    assert {name: each.roc_auc for name, each in report.models.items()} == {"candidate": 1.0, "champion": 0.5}
    assert predictions.to_dict("list") == {
        "row_id": ["a", "b", "c", "d"],
        "label": [0, 1, 0, 1],
        "candidate": [0.1, 0.8, 0.2, 0.9],
        "champion": [0.5, 0.5, 0.5, 0.5],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no readable model.tar.gz"),
        (b"\x1f\x8b\x08\x00 cut off", "is no readable model.tar.gz"),
        (b"no archive at all", "is no readable model.tar.gz"),
        (None, "holds 0 files model.tar.gz"),
    ],
)
def test_an_archive_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    """A missing, empty, truncated or foreign file says so, with its path."""
    folder = tmp_path / "archive"
    folder.mkdir()
    if content is not None:
        (folder / "model.tar.gz").write_bytes(content)
    with pytest.raises(EvaluationError, match=message):
        unpack(folder, tmp_path / "target")


def test_an_archive_without_files_is_refused(tmp_path: Path) -> None:
    """A training job that wrote nothing leaves a valid archive of nothing."""
    with pytest.raises(EvaluationError, match="is empty"):
        unpack(archive(tmp_path / "archive", {}), tmp_path / "target")


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    """An entry that climbs out of the folder is refused, and nothing appears there."""
    folder = archive(tmp_path / "archive", {"../../escaped": "x"})
    with pytest.raises(EvaluationError, match="is no readable model"):
        unpack(folder, tmp_path / "target" / "inner")
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("change", [" * 100", ".head(2)", " / 0 * 0"])
def test_what_is_no_probability_for_each_row_is_refused(
    tmp_path: Path, channels: tuple[Path, Path], change: str
) -> None:
    """Values beyond 1, too few of them, or not a number: the evaluation ends, naming the model."""
    models = {"candidate": (archive(tmp_path / "a", {"column.json": '"good"'}), code(tmp_path / "c", change))}
    with pytest.raises(EvaluationError, match=r"candidate .* one probability each is right"):
        evaluate(HOLDOUT, *channels, models, tmp_path / "output")


def regression_arguments(tmp_path: Path, channels: tuple[Path, Path], change: str = "") -> list[str]:
    """The program's arguments for one model that predicts its column in another unit."""
    folder = archive(tmp_path / "candidate", {"column.json": '"good"'})
    return [
        *("--holdout-month", HOLDOUT, "--objective", "regression"),
        *("--features", str(channels[0]), "--labels", str(channels[1])),
        *("--model", f"candidate={folder}", "--code", f"candidate={code(tmp_path / 'code', change)}"),
        *("--output", str(tmp_path / "output")),
    ]


def relabel(channels: tuple[Path, Path], labels: list[float]) -> None:
    """Replace the holdout's labels."""
    pd.DataFrame({"row_id": list("abcd"), "label": labels}).to_parquet(next(channels[1].rglob("*.parquet")))


def test_a_regression_is_measured_in_its_own_unit(tmp_path: Path, channels: tuple[Path, Path]) -> None:
    """Numbers of any size are predictions; the report says how the labels lie and is read as a regression's."""
    relabel(channels, [100.0, 800.0, 300.0, 900.0])
    main(regression_arguments(tmp_path, channels, " * 1000"))
    report = read_report((tmp_path / "output" / "evaluation.json").read_text())
    assert isinstance(report, RegressionReport)
    assert (report.rows, report.label_mean) == (4, 525.0)
    assert report.label_deviation == pytest.approx(np.std([100, 800, 300, 900]))
    # of four rows one is 100 off
    expected = RegressionMetrics(rmse=50.0, mae=25.0, skill=1 - 2500 / np.var([100, 800, 300, 900]), rows=4)
    assert report.models["candidate"].model_dump() == pytest.approx(expected.model_dump())


@pytest.mark.parametrize("change", [".head(2)", " / 0 * 0", " / 0"])
def test_what_is_no_number_for_each_row_is_refused(tmp_path: Path, channels: tuple[Path, Path], change: str) -> None:
    """Too few of them, not a number, infinite: the evaluation ends, naming the model."""
    with pytest.raises(SystemExit, match=r"candidate .* one finite number each is right"):
        main(regression_arguments(tmp_path, channels, change))


@pytest.mark.parametrize("labels", [[2.0] * 4, [1.0, 2.0, 3.0, float("nan")]])
def test_labels_that_nothing_can_be_compared_by_are_refused(
    tmp_path: Path, channels: tuple[Path, Path], labels: list[float]
) -> None:
    """A regression needs finite labels that differ: of equal ones, the skill is not defined."""
    relabel(channels, labels)
    with pytest.raises(SystemExit, match="a comparison needs finite numbers that differ"):
        main(regression_arguments(tmp_path, channels))


def test_a_classification_needs_both_labels(tmp_path: Path, channels: tuple[Path, Path]) -> None:
    """A month of ones only ranks nothing."""
    relabel(channels, [1, 1, 1, 1])
    with pytest.raises(EvaluationError, match=r"are \[1\]; a comparison needs both 0 and 1"):
        evaluate(HOLDOUT, *channels, {}, tmp_path / "output")


def test_a_holdout_of_another_month_is_refused(tmp_path: Path, channels: tuple[Path, Path]) -> None:
    """The month is part of the files' paths, and a report never names a month that it did not see."""
    with pytest.raises(EvaluationError, match="another month's"):
        evaluate("2013-04", *channels, {}, tmp_path / "output")


def test_a_labelled_row_without_features_is_refused(tmp_path: Path, channels: tuple[Path, Path]) -> None:
    """Rows are never dropped in silence."""
    path = next(channels[1].rglob("*.parquet"))
    pd.concat([pd.read_parquet(path), pd.DataFrame({"row_id": ["z"], "label": [1]})]).to_parquet(path)
    with pytest.raises(EvaluationError, match="5 labelled rows of 2013-03 meet 4 rows of features"):
        evaluate(HOLDOUT, *channels, {}, tmp_path / "output")


def test_a_failed_evaluation_ends_the_job_with_its_reason(tmp_path: Path, channels: tuple[Path, Path]) -> None:
    """The program exits with the message, so that the job's log ends with it."""
    (tmp_path / "empty").mkdir()
    arguments = ["--holdout-month", HOLDOUT, "--features", str(channels[0]), "--labels", str(channels[1])]
    arguments += ["--model", f"candidate={tmp_path / 'empty'}", "--code", f"candidate={code(tmp_path / 'code')}"]
    with pytest.raises(SystemExit, match=r"^evaluate: .*model\.tar\.gz; a training job writes one"):
        main([*arguments, "--output", str(tmp_path / "output")])
