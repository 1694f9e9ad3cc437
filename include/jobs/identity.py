"""Who a remote resource belongs to: names and tags that a task instance finds again, whichever process asks.

How it works: a name is a readable prefix and a digest of the deployment, DAG, run, task, map index and what tells this
resource from the task instance's others (a job's attempt, a model's request). Nothing random, no time and none of
Airflow's try numbers goes in, so a retry computes the same names. The tags say the same in words, and hold the digest
of the request.

What it does not do: call a cloud. Known limitation: a tag's value is cut at 256 characters, the name's digest is not.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sagemaker.type_defs import TagTypeDef

MAX_NAME = 63
MAX_TAG_VALUE = 256
REQUEST_TAG = "flightdeck:request"
_DIGEST_LENGTH = 16


@dataclass(frozen=True)
class TaskIdentity:
    """One task instance, in whichever try.

    Args:
        deployment: What tells this Airflow from others in the same account and region.
        dag: The DAG's id.
        run: The run's id.
        task: The task's id.
        map_index: Which instance of a mapped task; -1 of one that is not mapped.
    """

    deployment: str
    dag: str
    run: str
    task: str
    map_index: int

    def name(self, prefix: str, which: str, length: int = MAX_NAME) -> str:
        """Return a name of [a-zA-Z0-9-].

        Args:
            prefix: What a reader sees first; cut where the digest begins.
            which: What tells this resource from others of the same task instance.
            length: How long it may be.
        """
        parts = [self.deployment, self.dag, self.run, self.task, self.map_index, which]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_DIGEST_LENGTH]
        readable = re.sub(r"[^a-zA-Z0-9-]", "-", prefix)[: length - 1 - _DIGEST_LENGTH].strip("-")
        return f"{readable}-{digest}" if readable else digest

    def tags(self, request: str) -> dict[str, str]:
        """Return the tags of a resource that was made from the request of this digest."""
        return {
            "flightdeck:deployment": _tag_value(self.deployment),
            "flightdeck:dag": _tag_value(self.dag),
            "flightdeck:run": _tag_value(self.run),
            "flightdeck:task": _tag_value(self.task),
            "flightdeck:map-index": str(self.map_index),
            REQUEST_TAG: request,
        }


def task_of(tags: Mapping[str, str]) -> TaskIdentity | None:
    """Return whose resource carries these tags; None when it is nobody's, or when a tag was too long to be whole."""
    try:
        parts = [tags[f"flightdeck:{part}"] for part in ("deployment", "dag", "run", "task")]
        map_index = int(tags["flightdeck:map-index"])
    except (KeyError, ValueError):
        return None
    if any(len(part) >= MAX_TAG_VALUE for part in parts):
        return None
    deployment, dag, run, task = map(_untagged, parts)
    return TaskIdentity(deployment, dag, run, task, map_index)


def request_digest(request: Mapping[str, Any], name_field: str) -> str:
    """Return the digest of a request, whatever the order of its keys and the name in ``name_field``."""
    unnamed = {field: value for field, value in request.items() if field != name_field}
    return hashlib.sha256(json.dumps(unnamed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def as_tag_list(tags: Mapping[str, str]) -> list[TagTypeDef]:
    """Return tags in the form of AWS's requests."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _tag_value(text: str) -> str:
    """Write what AWS allows in no tag, for example a run id's ``~``, as ``=7E``; ``=`` itself too."""
    quoted = (
        character
        if re.fullmatch(r"[a-zA-Z0-9_.:/+@ -]", character)
        else "".join(f"={byte:02X}" for byte in _utf8(character))
        for character in text
    )
    return "".join(quoted)[:MAX_TAG_VALUE]


def _untagged(value: str) -> str:
    """Read what ``_tag_value`` wrote."""
    content = re.sub(rb"=([0-9A-F]{2})", lambda match: bytes.fromhex(match[1].decode()), value.encode())
    return content.decode("utf-8", errors="surrogatepass")


def _utf8(character: str) -> bytes:
    return character.encode("utf-8", errors="surrogatepass")
