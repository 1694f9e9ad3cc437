"""A model's compiled job requests: the files that ``make requests`` writes and that a task fills at run time.

How it works: the SageMaker SDK, in an environment of its own, assembles each request from model.yaml once, at build
time, and the request is committed as ``include/models/<model>/requests/<purpose>.json``. What is known only at run time
is a placeholder, ``${name}``. A file records the digest of the part of model.yaml that it was compiled from, so that
no task sends a request that model.yaml no longer asks for.

What it does not do: know any purpose's placeholders (``include.jobs.requests``), use the SDK, call a cloud.

Known limitation: a file that was edited by hand is found by `make verify` only, which compiles again.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from include.core.errors import RequestsNotCompiled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from include.core.model_spec import ModelSpec

Purpose = Literal["train", "evaluate", "plot", "model", "transform"]

_REMEDY = "run `make requests` and commit the files that it writes"
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
# what of model.yaml each request is made of, beside the model's name
_INGREDIENTS: dict[Purpose, dict[str, Any]] = {
    "train": {"image": True, "training": True},
    "evaluate": {"image": True, "objective": True, "evaluation": True},
    "plot": {"image": True, "evaluation": True},
    "model": {"image": True, "scoring": {"instance_type"}},
    "transform": {"scoring": True},
}
PURPOSES: tuple[Purpose, ...] = tuple(_INGREDIENTS)


class CompiledRequest(BaseModel, frozen=True, extra="forbid"):
    """One file.

    Args:
        operation: The operation of SageMaker's API that takes the request.
        model_yaml: Digest of the part of model.yaml that it was compiled from.
        sagemaker_sdk: The version of the SDK that assembled it.
        request: The request, with placeholders.
        each_other_model: What each further model adds to the lists of an evaluation's request, in the request's shape.
    """

    operation: str
    model_yaml: str
    sagemaker_sdk: str
    request: dict[str, Any]
    each_other_model: dict[str, Any] | None = None

    def text(self) -> str:
        """Return the file's text; equal requests have equal texts."""
        return json.dumps(self.model_dump(exclude_none=True), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def requests_folder(model_folder: Path) -> Path:
    """Return the folder of a model's compiled requests."""
    return model_folder / "requests"


def ingredients(spec: ModelSpec, purpose: Purpose) -> str:
    """Return, as JSON, what of model.yaml this purpose's request is compiled from."""
    return json.dumps(
        spec.model_dump(include={"name": True, **_INGREDIENTS[purpose]}, exclude={"training": {"window"}})
    )


def digest_of(spec: ModelSpec, purpose: Purpose) -> str:
    """Return the digest of what of model.yaml this purpose's request is compiled from."""
    return hashlib.sha256(ingredients(spec, purpose).encode()).hexdigest()


def read_compiled(model_folder: Path, spec: ModelSpec, purpose: Purpose) -> CompiledRequest:
    """Read one compiled request of a model.

    Args:
        model_folder: The folder that holds model.yaml.
        spec: What model.yaml says now.
        purpose: Which request.

    Raises:
        RequestsNotCompiled: there is no such file, it is broken, or it was compiled from another model.yaml.
    """
    where = f"{spec.name}/requests/{purpose}.json"
    try:
        text = (requests_folder(model_folder) / f"{purpose}.json").read_text(encoding="utf-8")
        compiled = CompiledRequest.model_validate_json(text)
    except FileNotFoundError as error:
        raise RequestsNotCompiled(
            where, "there is no such file", rule="each model's requests are compiled from model.yaml", remedy=_REMEDY
        ) from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or '(the file)'}: {each['msg']}" for each in error.errors()
        )
        raise RequestsNotCompiled(
            where, problems, rule="`make requests` writes the file and nobody edits it", remedy=_REMEDY
        ) from error
    if compiled.model_yaml != digest_of(spec, purpose):
        keys = ", ".join(sorted(_INGREDIENTS[purpose]))
        raise RequestsNotCompiled(
            where,
            f"it was compiled from another model.yaml (one of these keys was changed since: {keys})",
            rule="a compiled request is what model.yaml asks for",
            remedy=_REMEDY,
        )
    return compiled


def fill(template: Mapping[str, Any], values: Mapping[str, str], where: str) -> dict[str, Any]:
    """Return a request in which each placeholder has its value.

    Args:
        template: The compiled request; it is left as it is.
        values: Value of each placeholder.
        where: What the request is, for messages.

    Raises:
        RequestsNotCompiled: a placeholder has no value, or a value has no placeholder.
    """
    placeholders: set[str] = set()

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: filled(value) for key, value in node.items()}
        if isinstance(node, list):
            return [filled(each) for each in node]
        if not isinstance(node, str):
            return node
        placeholders.update(_PLACEHOLDER.findall(node))
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), node)

    request: dict[str, Any] = filled(template)
    wrong = [f"${{{name}}} has no value" for name in sorted(placeholders - set(values))]
    wrong += [f"{name} has no placeholder" for name in sorted(set(values) - placeholders)]
    if wrong:
        raise RequestsNotCompiled(
            where,
            "; ".join(wrong),
            rule="a task gives each placeholder of its compiled request a value, and gives no other",
            remedy=_REMEDY,
        )
    return request


def extended(request: Mapping[str, Any], addition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request whose lists go on with those of an addition, which has the request's shape."""
    whole = copy.deepcopy(dict(request))
    for key, value in addition.items():
        whole[key] = whole[key] + value if isinstance(value, list) else extended(whole[key], value)
    return whole
