"""Preconditions of a request: the generation and the metageneration that it expects of an object or a bucket.

Source: https://cloud.google.com/storage/docs/request-preconditions. The generation of an object that does not exist is
0, so that `ifGenerationMatch=0` means "create only" and `ifGenerationNotMatch=0` means "replace only".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.gcp.storage.errors import StorageError, invalid, not_modified, precondition_failed


@dataclass(frozen=True)
class Preconditions:
    """What is expected; None where nothing is."""

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str], prefix: str = "if") -> "Preconditions":
        """Read them from a request's parameters; `ifSource` is the prefix of those on the source of a copy."""
        return cls(
            whole_number(query, f"{prefix}GenerationMatch"),
            whole_number(query, f"{prefix}GenerationNotMatch"),
            whole_number(query, f"{prefix}MetagenerationMatch"),
            whole_number(query, f"{prefix}MetagenerationNotMatch"),
        )

    def check(self, current: Mapping[str, Any] | None, *, reading: bool = False) -> None:
        """Refuse when the resource, or None where there is none, is not as expected.

        Raises:
            StorageError: 412; 304 where a reader has what is current.
        """
        generation = int(current.get("generation", 0)) if current else 0
        metageneration = int(current["metageneration"]) if current else 0
        if self.generation not in {None, generation} or self.metageneration not in {None, metageneration}:
            raise precondition_failed()
        if self.not_generation == generation or self.not_metageneration == metageneration:
            raise not_modified() if reading else precondition_failed()


def whole_number(query: Mapping[str, str], name: str) -> int | None:
    """Return a parameter that is a whole number; None when it is not given.

    Raises:
        StorageError: 400, when it is something else.
    """
    text = query.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise _no_number(name, text)
    return int(text)


def _no_number(name: str, text: str) -> StorageError:
    return invalid(f"Invalid value for parameter {name}: it must be a whole number, got {text!r}.")
