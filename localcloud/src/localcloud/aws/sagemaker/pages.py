"""Filters, order and pages of the List operations, as AWS has them.

moto sorts ascending where AWS's default is descending, and lists all models whatever is asked for.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from moto.sagemaker.exceptions import ValidationError

DEFAULT_PAGE, PAGE_LIMIT = 10, 100
_Item = TypeVar("_Item")


def listed(
    items: Iterable[_Item],
    request: Mapping[str, Any],
    name: Callable[[_Item], str],
    *,
    status: Callable[[_Item], str] = lambda _: "",
    orders: Mapping[str, Callable[[_Item], Any]] | None = None,
) -> tuple[list[_Item], str | None]:
    """Return one page of `items` for a List request, and the token of the next page if there is one.

    The items have the attributes `creation_time` and, where the request may ask for it, `last_modified_time`, in UTC
    without a zone. `orders` are further values of SortBy.

    Raises:
        ValidationError: the page's size or token is none that AWS takes.
    """
    found = [item for item in items if _passes(item, request, name, status)]
    order: Callable[[_Item], Any] = {
        "Name": name,
        "Status": status,
        **(orders or {}),
    }.get(request.get("SortBy", "CreationTime"), lambda item: item.creation_time)  # type: ignore[attr-defined]
    found.sort(key=order, reverse=request.get("SortOrder", "Descending") == "Descending")
    start = _start(request.get("NextToken"))
    size = request.get("MaxResults", DEFAULT_PAGE)
    if size > PAGE_LIMIT:
        message = (
            f"1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: "
            f"Member must have value less than or equal to {PAGE_LIMIT}"
        )
        raise ValidationError(message)
    end = start + size
    return found[start:end], _token(end) if end < len(found) else None


def _passes(item: Any, request: Mapping[str, Any], name: Callable[[Any], str], status: Callable[[Any], str]) -> bool:
    if request.get("NameContains", "").lower() not in name(item).lower():
        return False
    if "StatusEquals" in request and status(item) != request["StatusEquals"]:
        return False
    for field, attribute in (("CreationTime", "creation_time"), ("LastModifiedTime", "last_modified_time")):
        before, after = request.get(f"{field}Before"), request.get(f"{field}After")
        if before is not None and getattr(item, attribute) >= _time(before):
            return False
        if after is not None and getattr(item, attribute) <= _time(after):
            return False
    return True


def _time(value: float) -> datetime:
    return datetime.fromtimestamp(value, UTC).replace(tzinfo=None)


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(str(start).encode()).decode()


def _start(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error) as error:
        message = "Invalid NextToken"
        raise ValidationError(message) from error
