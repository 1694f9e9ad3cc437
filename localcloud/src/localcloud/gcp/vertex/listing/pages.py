"""A list request's answer: filtered, ordered, one page of it.

A page's token holds where the next page begins and a digest of what was asked, as a token must not be used with
another filter or order. What is created meanwhile comes first, as the newest do, and does not shift the pages: a token
names the last resource that was shown, and its place for the case that it has gone.

Source: https://google.aip.dev/132, https://google.aip.dev/158
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from google.protobuf import field_mask_pb2, timestamp_pb2

from localcloud.gcp.vertex.errors import InvalidArgumentError
from localcloud.gcp.vertex.listing.filters import Functions, compile_filter

DEFAULT_PAGE, LARGEST_PAGE = 100, 1000
_DIRECTIONS = {"", "asc", "desc"}


@dataclass(frozen=True)
class Listed:
    """What a list request asks for."""

    filter: str = ""
    order_by: str = ""
    page_size: int = 0
    page_token: str = ""
    paths: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Any) -> Self:
        """Read a request, which need not have all of the fields."""
        mask = getattr(request, "read_mask", None)
        return cls(
            getattr(request, "filter", ""),
            getattr(request, "order_by", ""),
            request.page_size,
            request.page_token,
            tuple(mask.paths) if mask is not None else (),
        )

    @property
    def digest(self) -> str:
        """Of what has to stay the same from page to page."""
        return hashlib.sha256(json.dumps([self.filter, self.order_by]).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Page:
    """One page; `next_token` is empty on the last one."""

    items: list[Any]
    next_token: str


def list_page(asked: Listed, stored: Sequence[Any], functions: Functions = MappingProxyType({})) -> Page:
    """Return the page that was asked for of `stored`, which is oldest first; without an order, newest first.

    Args:
        asked: What the request asks for.
        stored: All resources of the list.
        functions: The functions of its filter.

    Raises:
        InvalidArgumentError: The filter, the order, the size or the token cannot be understood.
    """
    if asked.page_size < 0:
        raise InvalidArgumentError(f"page_size must not be negative, got {asked.page_size}.")
    passes = compile_filter(asked.filter, functions)
    found = _ordered([item for item in reversed(stored) if passes(item)], asked.order_by)
    start = _start(asked, found)
    size = min(asked.page_size or DEFAULT_PAGE, LARGEST_PAGE)
    shown = found[start : start + size]
    token = _token(asked, shown[-1].name, start + size) if start + size < len(found) else ""
    return Page([_masked(item, asked.paths) for item in shown], token)


def _ordered(items: list[Any], order_by: str) -> list[Any]:
    for clause in reversed([part.split() for part in order_by.split(",") if part.strip()]):
        field, direction = clause[0], " ".join(clause[1:])
        if direction not in _DIRECTIONS:
            raise InvalidArgumentError(f"Invalid order_by {order_by!r}: {direction!r} is neither asc nor desc.")
        items = sorted(items, key=lambda item, path=field: _key(item, path, order_by), reverse=direction == "desc")  # type: ignore[misc] # bound by default
    return items


def _key(item: Any, path: str, order_by: str) -> Any:
    value = item
    for part in path.split("."):
        descriptor = getattr(value, "DESCRIPTOR", None)
        field = descriptor and (descriptor.fields_by_name.get(part) or descriptor.fields_by_camelcase_name.get(part))
        if not field:
            raise InvalidArgumentError(f"Invalid order_by {order_by!r}: there is no field {path!r} to order by.")
        value = getattr(value, field.name)
    return (value.seconds, value.nanos) if isinstance(value, timestamp_pb2.Timestamp) else value


def _start(asked: Listed, found: Sequence[Any]) -> int:
    if not asked.page_token:
        return 0
    try:
        digest, last, position = json.loads(base64.urlsafe_b64decode(asked.page_token.encode()))
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(f"Invalid page_token {asked.page_token!r}.") from error
    if digest != asked.digest:
        raise InvalidArgumentError("page_token belongs to a list with another filter or order_by.")
    names = [item.name for item in found]
    return names.index(last) + 1 if last in names else int(position)


def _token(asked: Listed, last: str, position: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([asked.digest, last, position]).encode()).decode()


def _masked(item: Any, paths: Sequence[str]) -> Any:
    if not paths or "*" in paths:
        return item
    shown = type(item)()
    field_mask_pb2.FieldMask(paths=paths).MergeMessage(item, shown)
    return shown
