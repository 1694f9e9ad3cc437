"""`make requests`: compile the job requests of every model from its model.yaml, by the SageMaker SDK.

How it works: runs in the SDK's own environment, which has no Airflow, with the project's root on PYTHONPATH; reads
model.yaml by the same types as the DAGs. AWS's settings of the machine are replaced before the SDK is imported. A file
is written only when its content changes, and two runs write the same bytes, on any machine.

What it does not do: talk to a cloud; it works offline and without credentials.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.core.errors import FlightdeckError
from include.core.model_spec import MODELS_FOLDER, load_model_spec
from include.jobs.compiled import CompiledRequest, digest_of, requests_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.core.model_spec import ModelSpec
    from include.jobs.compiled import Purpose

_SETTINGS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nobody",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    # nothing listens there: what would be sent all the same fails at once
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    # else the SDK asks IAM whether the role may do it
    "SAGEMAKER_VALIDATE_ROLE": "false",
}
_FOREIGN = ("AWS_", "SAGEMAKER_")


def main() -> int:
    """Compile the requests of every model below a folder; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=Path, default=MODELS_FOLDER, help="the folder of the models' folders")
    models: Path = parser.parse_args().models
    _leave_the_machine_out()
    try:
        for model_yaml in sorted(models.glob("*/model.yaml")):
            _write(model_yaml.parent, _compiled(load_model_spec(model_yaml.parent)))
    except FlightdeckError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _leave_the_machine_out() -> None:
    """Replace AWS's settings in this process, and keep the SDK's log quiet."""
    for name in [each for each in os.environ if each.startswith(_FOREIGN)]:
        del os.environ[name]
    os.environ.update(_SETTINGS)
    # it reports each recorded call as one that failed
    logging.disable(logging.ERROR)


def _compiled(spec: ModelSpec) -> dict[Purpose, CompiledRequest]:
    from assemble import Assembly  # noqa: PLC0415 - imports the SDK, which reads the settings that were just replaced

    assembly = Assembly(spec)
    requests: dict[Purpose, tuple[str, dict[str, Any]]] = {
        "train": assembly.training(),
        "evaluate": assembly.evaluation(),
        "plot": assembly.plot(),
        "model": assembly.model(),
        "transform": assembly.transform(),
    }
    return {
        purpose: CompiledRequest(
            operation=operation,
            model_yaml=digest_of(spec, purpose),
            sagemaker_sdk=version("sagemaker"),
            request=request,
            each_other_model=assembly.each_other_model() if purpose == "evaluate" else None,
        )
        for purpose, (operation, request) in requests.items()
    }


def _write(folder: Path, compiled: Mapping[Purpose, CompiledRequest]) -> None:
    target = requests_folder(folder)
    target.mkdir(exist_ok=True)
    for purpose, request in compiled.items():
        path = target / f"{purpose}.json"
        if path.exists() and path.read_text(encoding="utf-8") == request.text():
            sys.stdout.write(f"  unchanged  {folder.name}/requests/{path.name}\n")
            continue
        path.write_text(request.text(), encoding="utf-8")
        sys.stdout.write(f"  written    {folder.name}/requests/{path.name}\n")


if __name__ == "__main__":
    sys.exit(main())
