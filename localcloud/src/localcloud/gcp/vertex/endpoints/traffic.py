"""How an endpoint's traffic is shared out among its deployed models: percentages that add up to 100.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#google.cloud.aiplatform.v1.Endpoint
"""

import random
from collections.abc import Mapping
from typing import Any

from localcloud.gcp.vertex.errors import FailedPreconditionError, refuse

_WHOLE = 100


def check_split(split: Mapping[str, int], known: set[str]) -> None:
    """Refuse shares that do not add up to 100, or of models that are not deployed.

    Raises:
        InvalidArgumentError: in Vertex's manner.
    """
    unknown = sorted(set(split) - known)
    if unknown:
        refuse(("traffic_split", f"{unknown} are not among the deployed models {sorted(known)}."))
    if any(share < 0 for share in split.values()) or sum(split.values()) != _WHOLE:
        refuse(("traffic_split", f"The shares must not be negative and must add up to {_WHOLE}: {dict(split)}."))


def replace_split(endpoint: Any, split: Mapping[str, int]) -> None:
    """Share an endpoint's traffic out anew; nothing means that it takes none."""
    if split:
        check_split(split, {item.id for item in endpoint.deployed_models})
    endpoint.traffic_split.clear()
    endpoint.traffic_split.update(split)


def choose(endpoint: Any) -> Any:
    """Return one of the deployed models, by their shares.

    Raises:
        FailedPreconditionError: None takes traffic.
    """
    shares = {identity: share for identity, share in endpoint.traffic_split.items() if share}
    candidates = [item for item in endpoint.deployed_models if item.id in shares]
    if not candidates:
        message = f"Endpoint {endpoint.name} doesn't have any DeployedModel that takes traffic."
        raise FailedPreconditionError(message)
    weights = [shares[item.id] for item in candidates]
    return random.choices(candidates, weights)[0]  # noqa: S311 - traffic is no secret
