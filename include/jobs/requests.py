"""The requests of a model's SageMaker jobs: what ``make requests`` compiled, filled with the values of this run.

A request's name is a readable prefix; the operator that sends it (``include.jobs.sagemaker``) makes it a unique name.

What it does not do: choose an image, a machine or a hyperparameter, which come compiled; call any cloud.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from include.core.lake import datasets_prefix, jobs_prefix
from include.core.model_spec import MODELS_FOLDER
from include.jobs.compiled import extended, fill, read_compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.core.lake import Lake
    from include.core.model_spec import ModelSpec
    from include.jobs.code_package import CodePackage
    from include.jobs.compiled import CompiledRequest, Purpose


def training_request(
    spec: ModelSpec, lake: Lake, code: CodePackage, channels: Mapping[str, str], role: str
) -> dict[str, Any]:
    """Return a CreateTrainingJob request in script mode.

    Args:
        spec: The model.
        lake: Where the job writes its artifacts.
        code: The code to run; its entry point is ``train.py``.
        channels: Address of the S3 manifests of ``features`` and ``labels``.
        role: ARN of the role that the job runs as.

    Raises:
        RequestsNotCompiled: the compiled request is missing, or is not the one of model.yaml.
    """
    values = {"role": role, "code_archive": code.archive, "output": _output(lake, spec, "training"), **channels}
    return fill(_compiled(spec, "train").request, values, _where(spec, "train"))


def evaluation_request(
    spec: ModelSpec,
    lake: Lake,
    holdout_month: str,
    channels: Mapping[str, str],
    candidate: tuple[str, CodePackage],
    others: Mapping[str, tuple[str, CodePackage]],
    role: str,
) -> dict[str, Any]:
    """Return a CreateProcessingJob request that evaluates models on one holdout.

    Args:
        spec: The model; its image runs the evaluation.
        lake: Where the job writes its report.
        holdout_month: The month, as the report names it.
        channels: Address of the S3 manifests of ``features`` and ``labels``.
        candidate: Artifact (model.tar.gz) and code of the candidate, whose code also holds the program.
        others: The same of each model that it is compared with, by name.
        role: ARN of the role that the job runs as.

    Raises:
        RequestsNotCompiled: the compiled request is missing, or is not the one of model.yaml.
    """
    compiled, where = _compiled(spec, "evaluate"), _where(spec, "evaluate")
    artifact, code = candidate
    values = {
        "role": role,
        "output": _output(lake, spec, "evaluate"),
        "holdout_month": holdout_month,
        "artifact": artifact,
        "code": code.files,
        **channels,
    }
    request = fill(compiled.request, values, where)
    for name, (artifact, code) in others.items():
        addition = {"model": name, "artifact": artifact, "code": code.files}
        request = extended(request, fill(compiled.each_other_model or {}, addition, where))
    return request


def plot_request(spec: ModelSpec, lake: Lake, code: CodePackage, reports: str, role: str) -> dict[str, Any]:
    """Return a CreateProcessingJob request that draws measured months.

    Args:
        spec: The model; its image draws.
        lake: Where the job writes the plots.
        code: The code that holds the program.
        reports: Address of the S3 manifest of the months' reports.
        role: ARN of the role that the job runs as.

    Raises:
        RequestsNotCompiled: the compiled request is missing, or is not the one of model.yaml.
    """
    values = {"role": role, "output": _output(lake, spec, "plot"), "code": code.files, "reports": reports}
    return fill(_compiled(spec, "plot").request, values, _where(spec, "plot"))


def model_request(spec: ModelSpec, image: str, artifact: str, code: CodePackage, role: str) -> dict[str, Any]:
    """Return a CreateModel request that serves an artifact by the model's ``serve.py`` in script mode.

    Args:
        spec: The model.
        image: The image that the artifact was released with, which model.yaml may have left behind since.
        artifact: The artifact (model.tar.gz).
        code: The code that it was released with.
        role: ARN of the role that the container runs as.

    Raises:
        RequestsNotCompiled: the compiled request is missing, or is not the one of model.yaml.
    """
    values = {"role": role, "artifact": artifact, "code_archive": code.archive}
    request = fill(_compiled(spec, "model").request, values, _where(spec, "model"))
    return {**request, "PrimaryContainer": {**request["PrimaryContainer"], "Image": image}}


def scoring_output(spec: ModelSpec, lake: Lake) -> str:
    """Return the address below which each transform job writes a folder."""
    return _output(lake, spec, "scoring")


def transform_request(spec: ModelSpec, features: str, output: str, model_name: str) -> dict[str, Any]:
    """Return a CreateTransformJob request that scores one parquet file in one piece.

    Args:
        spec: The model.
        features: Address of the file.
        output: Where the predictions go; the operator adds the last part, as it knows the job's name.
        model_name: Name of the SageMaker model.

    Raises:
        RequestsNotCompiled: the compiled request is missing, or is not the one of model.yaml.
    """
    values = {"features": features, "output": output, "model": model_name}
    return fill(_compiled(spec, "transform").request, values, _where(spec, "transform"))


def training_image(spec: ModelSpec) -> str:
    """Return the address of the image that the model is trained in.

    Raises:
        RequestsNotCompiled: the compiled request is missing, or is not the one of model.yaml.
    """
    return str(_compiled(spec, "train").request["AlgorithmSpecification"]["TrainingImage"])


def processing_image(spec: ModelSpec) -> str:
    """Return the address of the image that the model is evaluated in.

    Raises:
        RequestsNotCompiled: the compiled request is missing, or is not the one of model.yaml.
    """
    return str(_compiled(spec, "evaluate").request["AppSpecification"]["ImageUri"])


def serving_image(spec: ModelSpec) -> str:
    """Return the address of the image that a newly trained artifact is released with and served in.

    Raises:
        RequestsNotCompiled: the compiled request is missing, or is not the one of model.yaml.
    """
    return str(_compiled(spec, "model").request["PrimaryContainer"]["Image"])


def publish_channel(lake: Lake, model: str, keys: list[str]) -> str:
    """Write the S3 manifest that names exactly ``keys`` and return its address (ManifestFile of an S3DataSource)."""
    content = json.dumps([{"prefix": f"{lake.root}/"}, *keys]).encode()
    key = f"{datasets_prefix(model)}/{hashlib.sha256(content).hexdigest()[:16]}.manifest"
    lake.write_bytes(key, content)
    return lake.uri(key)


def _compiled(spec: ModelSpec, purpose: Purpose) -> CompiledRequest:
    return read_compiled(MODELS_FOLDER / spec.name, spec, purpose)


def _where(spec: ModelSpec, purpose: Purpose) -> str:
    return f"{spec.name}/requests/{purpose}.json"


def _output(lake: Lake, spec: ModelSpec, folder: str) -> str:
    return lake.uri(f"{jobs_prefix(spec.name)}/{folder}")
