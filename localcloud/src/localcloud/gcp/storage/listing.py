"""Lists of objects: prefix, delimiter, range of names, matchGlob, pages.

Source: https://cloud.google.com/storage/docs/json_api/v1/objects/list. Names are in the order of their bytes in UTF-8.
A token is the name that the next page begins with, in base64. All versions of a bucket are its live objects, as it
keeps no others.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from localcloud.gcp.storage.conditions import whole_number
from localcloud.gcp.storage.errors import invalid
from localcloud.gcp.storage.globs import compiled

PAGE = 1000
# what comes after every name that begins with a prefix begins with the prefix and this
_LAST = "\U0010ffff"
Names = Callable[[str, int], list[str]]


@dataclass
class Page:
    """One page: the objects' names, the prefixes that stand for more of them, and the token of the next page."""

    names: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    following: str | None = None


def listed(query: Mapping[str, str], names: Names) -> Page:
    """Return the page that a request asks for; `names` gives a bucket's names from one on, so many at once.

    Raises:
        StorageError: 400, when a parameter makes no sense.
    """
    if query.get("softDeleted", "").lower() == "true":
        message = "The bucket has no soft delete policy, so that it has no soft-deleted objects to list."
        raise invalid(message)
    delimiter, glob = query.get("delimiter", ""), query.get("matchGlob")
    if glob is not None and delimiter not in {"", "/"}:
        message = f"When listing with a matchGlob, the only delimiter is '/', got {delimiter!r}."
        raise invalid(message)
    matches = compiled(glob).fullmatch if glob is not None else (lambda _: True)
    size = min(whole_number(query, "maxResults") or PAGE, PAGE)
    page = Page()
    for name, is_prefix in _entries(query, names, delimiter):
        if not matches(name):
            continue
        if len(page.names) + len(page.prefixes) == size:
            page.following = base64.urlsafe_b64encode(name.encode()).decode()
            return page
        (page.prefixes if is_prefix else page.names).append(name)
        if is_prefix and query.get("includeTrailingDelimiter", "").lower() == "true" and names(name, 1) == [name]:
            page.names.append(name)
    return page


def _entries(query: Mapping[str, str], names: Names, delimiter: str) -> Iterator[tuple[str, bool]]:
    """Return the names in question, those that a delimiter gathers as one prefix each."""
    prefix, end = query.get("prefix", ""), query.get("endOffset")
    at = max(prefix, query.get("startOffset", ""), _token(query), key=str.encode)
    while found := names(at, PAGE):
        at = f"{found[-1]}\0"
        for name in found:
            if not name.startswith(prefix) or (end is not None and name.encode() >= end.encode()):
                return
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                gathered = prefix + rest[: rest.index(delimiter)] + delimiter
                yield gathered, True
                at = f"{gathered}{_LAST}"
                break
            yield name, False


def _token(query: Mapping[str, str]) -> str:
    token = query.get("pageToken", "")
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, ValueError) as error:
        message = f"Invalid pageToken {token!r}: give one that a list has answered as nextPageToken."
        raise invalid(message) from error
