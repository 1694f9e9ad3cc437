"""What a model needs to be served: its image, and for Google's prebuilt containers one file of a known name.

Source: https://cloud.google.com/vertex-ai/docs/training/exporting-model-artifacts
"""

from typing import Any

from localcloud.gcp.objects import ObjectStore
from localcloud.gcp.vertex.errors import FailedPreconditionError, refuse, unsupported
from localcloud.images import ImageMap, UnknownImageError

_FILES = {
    "prediction/sklearn": ("model.pkl", "model.joblib"),
    "prediction/xgboost": ("model.bst", "model.joblib", "model.pkl"),
}


def check_container(model: Any, field: str, images: ImageMap) -> None:
    """Refuse a model that no container can serve here.

    Raises:
        InvalidArgumentError: There is no image, an unknown one, or one without a command.
    """
    container = model.container_spec
    if not container.image_uri:
        text = "Required field is not set: a model that is no AutoML model needs the image that serves it."
        refuse((f"{field}.container_spec.image_uri", text))
    if container.grpc_ports:
        unsupported(f"a model that is served by gRPC ({field}.container_spec.grpc_ports)")
    try:
        image = images.find(container.image_uri)
    except UnknownImageError as error:
        refuse((f"{field}.container_spec.image_uri", str(error)))
    if not container.command and not image.entrypoint:
        text = (
            f"{container.image_uri!r} has no entry point here: give a command, or map the image with an `entrypoint`."
        )
        refuse((f"{field}.container_spec.command", text))


def check_artifact(model: Any, objects: ObjectStore, images: ImageMap) -> None:
    """Refuse an artifact that is not there, or not what a prebuilt container loads.

    Raises:
        FailedPreconditionError: In Vertex's words.
    """
    if not model.artifact_uri:
        return
    top = model.artifact_uri.rstrip("/") + "/"
    found = {item.uri.removeprefix(top) for item in objects.under(top)}
    if not found:
        message = f"Model directory {top} is empty or does not exist: no object lies below it."
        raise FailedPreconditionError(message)
    image = images.find(model.container_spec.image_uri)
    known = next((files for start, files in _FILES.items() if image.name.startswith(start)), None)
    if known and len(found & set(known)) != 1:
        message = f"Model directory {top} is expected to contain exactly one of: [{', '.join(known)}]."
        raise FailedPreconditionError(message)
