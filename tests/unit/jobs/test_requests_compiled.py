"""Compiled requests: what is committed belongs to model.yaml, and a task fills all of it."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator

from include.core.errors import RequestsNotCompiled
from include.core.model_spec import MODELS_FOLDER, ModelSpec, load_model_spec
from include.jobs.compiled import PURPOSES, Purpose, extended, fill, read_compiled, requests_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    Edit = Callable[[dict[str, Any]], object]

PROJECT = Path(__file__).parents[3]
SECOND_MODELS = PROJECT / "tests" / "pipeline" / "second_model" / "models"
FOLDERS = [path.parent for models in (MODELS_FOLDER, SECOND_MODELS) for path in sorted(models.glob("*/model.yaml"))]
REMEDY = "Remedy: run `make requests` and commit the files that it writes."


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the flights model's folder."""
    return Path(shutil.copytree(MODELS_FOLDER / "flight_delay", tmp_path / "flight_delay"))


def edit(folder: Path, change: Edit) -> ModelSpec:
    """Change a model.yaml and return what it says then."""
    path = folder / "model.yaml"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_model_spec(folder)


def stale(folder: Path, spec: ModelSpec) -> list[Purpose]:
    """Return the purposes whose compiled requests are not those of model.yaml."""
    found: list[Purpose] = []
    for purpose in PURPOSES:
        try:
            read_compiled(folder, spec, purpose)
        except RequestsNotCompiled:
            found.append(purpose)
    return found


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_is_committed_is_compiled_from_model_yaml(folder: Path, purpose: Purpose) -> None:
    """Each model has its requests, compiled from its model.yaml as it is now; else the error says what to do."""
    compiled = read_compiled(folder, load_model_spec(folder), purpose)
    assert compiled.text() == (requests_folder(folder) / f"{purpose}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_is_committed_is_compiled_by_the_locked_sdk(folder: Path) -> None:
    """A new SDK in the lock file asks for `make requests`."""
    lock = tomllib.loads((PROJECT / "envs" / "sagemaker-sdk" / "uv.lock").read_text())
    (locked,) = [package["version"] for package in lock["package"] if package["name"] == "sagemaker"]
    spec = load_model_spec(folder)
    compiled = {purpose: read_compiled(folder, spec, purpose) for purpose in PURPOSES}
    assert dict.fromkeys(PURPOSES, locked) == {purpose: each.sagemaker_sdk for purpose, each in compiled.items()}, (
        f"{spec.name}: compiled by another SDK than envs/sagemaker-sdk/uv.lock names. {REMEDY}"
    )


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_is_committed_fits_the_api(folder: Path, purpose: Purpose) -> None:
    """Each file, filled, validates against botocore's model of SageMaker."""
    compiled = read_compiled(folder, load_model_spec(folder), purpose)
    whole = extended(compiled.request, compiled.each_other_model or {})
    values = dict.fromkeys(re.findall(r"\$\{(\w+)\}", json.dumps(whole)), "s3://bucket/of-a-sample")
    operation = botocore.session.get_session().get_service_model("sagemaker").operation_model(compiled.operation)
    found = ParamValidator().validate(fill(whole, values, "here"), operation.input_shape)
    assert "" == found.generate_report()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda content: content["training"].update(instance_type="ml.c5.xlarge"), ["train"]),
        (lambda content: content["training"].update(volume_gb=20), ["train"]),
        (lambda content: content["training"].update(max_runtime_seconds=600), ["train"]),
        (lambda content: content["training"]["hyperparameters"].update(eta=0.1), ["train"]),
        (lambda content: content["training"]["metric_definitions"].popitem(), ["train"]),
        (lambda content: content["training"].update(seed=2), ["train"]),
        (lambda content: content["evaluation"].update(instance_type="ml.c5.xlarge"), ["evaluate", "plot"]),
        (lambda content: content["scoring"].update(instance_type="ml.c5.xlarge"), ["model", "transform"]),
        (lambda content: content["image"].update(version="1.7-1"), ["train", "evaluate", "plot", "model"]),
        # what no job's request holds
        (lambda content: content["training"].update(window={"min_months": 1, "max_months": 9}), []),
        (lambda content: content["gate"].update(min_roc_auc=0.7), []),
        (lambda content: content["features"].update(categorical=[]), []),
    ],
)
def test_an_edit_makes_the_requests_stale_that_depend_on_it(copied: Path, change: Edit, expected: list[str]) -> None:
    """What a request is compiled from makes it stale; what it does not hold does not."""
    assert expected == stale(copied, edit(copied, change))


def test_a_stale_request_says_what_to_do(copied: Path) -> None:
    """File, reason, rule and remedy are named."""
    spec = edit(copied, lambda content: content["training"].update(instance_type="ml.c5.xlarge"))
    with pytest.raises(RequestsNotCompiled) as refused:
        read_compiled(copied, spec, "train")
    assert str(refused.value) == (
        "flight_delay/requests/train.json: it was compiled from another model.yaml (one of these keys was changed "
        "since: image, training). Rule: a compiled request is what model.yaml asks for. " + REMEDY
    )


def test_a_model_without_compiled_requests_says_what_to_do(copied: Path) -> None:
    """A model whose requests were never compiled is told apart from one with stale requests."""
    shutil.rmtree(requests_folder(copied))
    with pytest.raises(RequestsNotCompiled) as refused:
        read_compiled(copied, load_model_spec(copied), "plot")
    assert str(refused.value) == (
        "flight_delay/requests/plot.json: there is no such file. "
        "Rule: each model's requests are compiled from model.yaml. " + REMEDY
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "(the file): Invalid JSON"),
        ("{}", "request: Field required"),
        (json.dumps({"operation": "CreateModel", "image": "mine"}), "image: Extra inputs are not permitted"),
    ],
)
def test_a_broken_file_says_what_to_do(copied: Path, text: str, what: str) -> None:
    """Text that is no compiled request is refused with what is wrong about it."""
    (requests_folder(copied) / "model.json").write_text(text)
    with pytest.raises(RequestsNotCompiled) as refused:
        read_compiled(copied, load_model_spec(copied), "model")
    assert what in refused.value.what
    assert str(refused.value).endswith(REMEDY)


def test_filling_replaces_placeholders_everywhere_and_keeps_the_rest() -> None:
    """In lists and mappings, alone or within a text; what is no placeholder stays, and so does the template."""
    template = {"a": "${x}", "b": [{"c": "at ${x}/${y}"}, 3, True], "d": "cost: $5 {x} $x"}
    before = json.dumps(template)
    assert {"a": "1", "b": [{"c": "at 1/2"}, 3, True], "d": "cost: $5 {x} $x"} == fill(
        template, {"x": "1", "y": "2"}, "here"
    )
    assert before == json.dumps(template)


def test_a_value_is_not_filled_again() -> None:
    """A value that looks like a placeholder is sent as it is."""
    assert {"a": "${y}", "b": "2"} == fill({"a": "${x}", "b": "${y}"}, {"x": "${y}", "y": "2"}, "here")


def test_every_placeholder_needs_its_value_and_every_value_its_placeholder() -> None:
    """All that do not match are named in one message."""
    with pytest.raises(RequestsNotCompiled) as refused:
        fill({"a": "${x}", "b": "${y}"}, {"y": "2", "z": "3"}, "m/requests/train.json")
    assert str(refused.value) == (
        "m/requests/train.json: ${x} has no value; z has no placeholder. Rule: a task gives each placeholder of its "
        "compiled request a value, and gives no other. " + REMEDY
    )


def test_an_addition_goes_on_with_the_lists_of_a_request() -> None:
    """Lists at any depth grow, the rest stays, and the request given is left as it is."""
    request = {"a": {"b": [1], "c": "x"}, "d": [2]}
    assert {"a": {"b": [1, 3], "c": "x"}, "d": [2, 4]} == extended(request, {"a": {"b": [3]}, "d": [4]})
    assert {"a": {"b": [1], "c": "x"}, "d": [2]} == request
