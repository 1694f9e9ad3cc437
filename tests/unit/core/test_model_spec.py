"""model.yaml, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from include.core.errors import SpecError
from include.core.model_spec import MODELS_FOLDER, FrameworkImage, ModelSpec, load_model, load_model_spec, load_models

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def content() -> dict[str, Any]:
    """The flights model's own file, as a mapping to break."""
    parsed: dict[str, Any] = yaml.safe_load((MODELS_FOLDER / "flight_delay" / "model.yaml").read_text())
    return parsed


def _load(tmp_path: Path, content: object, name: str = "flight_delay") -> ModelSpec:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(yaml.safe_dump(content))
    return load_model_spec(folder)


def test_the_flights_model_keeps_the_rules() -> None:
    """The model that this project ships loads, under its folder's name."""
    assert load_model("flight_delay").name == "flight_delay"
    assert "flight_delay" in [spec.name for spec in load_models()]


def test_an_unknown_key_is_refused_with_the_known_ones(tmp_path: Path, content: dict[str, Any]) -> None:
    """File, key, rule and remedy are named."""
    content["training"]["epochs"] = 3
    with pytest.raises(SpecError) as refused:
        _load(tmp_path, content)
    message = str(refused.value)
    assert message.startswith("flight_delay/model.yaml: training.epochs = 3 (unknown key). Rule: the keys here are ")
    assert "window" in message
    assert message.endswith("Remedy: correct training.epochs.")


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("gate", "min_roc_auc"), 1.5, "input should be less than 1"),
        (("gate", "min_roc_auc"), "high", "input should be a valid number"),
        (("label_delay_months",), -1, "input should be greater than or equal to 0"),
        (("training", "window"), {"min_months": 4, "max_months": 2}, "min_months (4) is at most max_months (2)"),
        (("training", "instance_type"), "m5.large", "string should match pattern"),
        (("image",), "xgboost:latest", "string should match pattern"),
        (("image",), ["xgboost"], "input should be a valid dictionary or instance of FrameworkImage"),
        (("image", "version"), 3.0, "input should be a valid string"),
        (("image", "region"), "Virginia", "string should match pattern"),
        (("features", "numeric"), ["distance", "distance"], "a name appears once; distance appears more often"),
        (("features", "categorical"), ["distance"], "a feature is numeric or categorical; distance is both"),
        (("gate",), {"min_roc_auc": 0.6, "min_gain": 0.5}, "input should be less than 0.5"),
        (("gate",), "strict", "input should be a valid dictionary or instance of ClassificationGate"),
        (("objective",), "ranking", "input should be 'binary_classification' or 'regression'"),
        (("platforms",), [], "list should have at least 1 item"),
        (("platforms",), ["azure"], "input should be 'sagemaker'"),
    ],
)
def test_a_wrong_value_is_refused_with_key_value_and_rule(
    tmp_path: Path, content: dict[str, Any], path: tuple[str, ...], value: object, rule: str
) -> None:
    """The message names the key, the value and the rule that it breaks."""
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    with pytest.raises(SpecError) as refused:
        _load(tmp_path, content)
    assert path[0] in refused.value.what
    assert rule in refused.value.rule


def test_an_image_is_an_address_or_a_framework(tmp_path: Path, content: dict[str, Any]) -> None:
    """An image of one's own stands by its address, one of AWS's by framework and version."""
    content["image"] = address = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/trainer:7"
    assert address == _load(tmp_path / "address", content).image
    content["image"] = {"framework": "pytorch", "version": "2.5.1", "py_version": "py311", "region": "eu-west-1"}
    assert FrameworkImage(**content["image"]) == _load(tmp_path / "framework", content).image


def test_an_image_names_its_known_keys(tmp_path: Path, content: dict[str, Any]) -> None:
    """A key that an image does not have, and one that it lacks, are both told, and nothing of the other form."""
    content["image"] = {"framework": "xgboost", "tag": "3.0-5", "region": "us-east-1"}
    with pytest.raises(SpecError) as refused:
        _load(tmp_path, content)
    assert str(refused.value) == (
        "flight_delay/model.yaml: image.version = (missing); image.tag = '3.0-5' (unknown key). "
        "Rule: a key without a default is given; the keys of an image are framework, version, region, py_version. "
        "Remedy: correct image.version, image.tag."
    )


def test_a_gate_has_the_keys_of_its_objective(tmp_path: Path, content: dict[str, Any]) -> None:
    """A regression has no ROC AUC, and the message says which keys its gate has."""
    content["objective"] = "regression"
    with pytest.raises(SpecError) as refused:
        _load(tmp_path, content)
    assert str(refused.value) == (
        "flight_delay/model.yaml: gate.min_roc_auc = 0.6 (unknown key). "
        "Rule: the keys of a gate for regression are min_skill, min_gain. Remedy: correct gate.min_roc_auc."
    )


def test_a_classification_gate_needs_its_bound(tmp_path: Path, content: dict[str, Any]) -> None:
    """What a regression's gate may leave out, a classification's may not."""
    content["gate"] = {"min_skill": 0.1}
    with pytest.raises(SpecError, match=r"gate\.min_roc_auc = \(missing\)"):
        _load(tmp_path, content)


def test_a_missing_key_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    """A key without a default has to be given."""
    del content["gate"]
    with pytest.raises(SpecError, match=r"gate = \(missing\)"):
        _load(tmp_path, content)


def test_every_problem_is_named_at_once(tmp_path: Path, content: dict[str, Any]) -> None:
    """Two mistakes are two parts of one message."""
    content["label_delay_months"] = -1
    content["owner"] = "me"
    with pytest.raises(SpecError) as refused:
        _load(tmp_path, content)
    assert "label_delay_months = -1" in refused.value.what
    assert "owner = 'me'" in refused.value.what


def test_a_model_is_named_as_its_folder(tmp_path: Path, content: dict[str, Any]) -> None:
    """A copied folder whose name was not changed inside is refused."""
    with pytest.raises(SpecError, match="a model is named as its folder"):
        _load(tmp_path, content, "fares")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("features: [", "the file is YAML"),
        ("- a list", "the file is a mapping of keys to values"),
        (None, "each folder below include/models describes its model in model.yaml"),
    ],
)
def test_a_file_that_is_no_spec_is_refused(tmp_path: Path, text: str | None, rule: str) -> None:
    """Broken YAML, something else than a mapping, and no file at all each have their rule."""
    if text is not None:
        (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(SpecError) as refused:
        load_model_spec(tmp_path)
    assert rule == refused.value.rule
