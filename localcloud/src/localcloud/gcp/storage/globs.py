r"""The patterns of `matchGlob`, as regular expressions over object names.

    *        any characters but /            ?        one character but /
    **       any characters                  **/      any number of whole folders, none too
    [a-c]    one of these                    [!a-c]   one that is not of these
    {a,b}    either of these                 \        the next character is meant as it is

Source: https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-object-glob
"""

import re
from functools import lru_cache

from localcloud.gcp.storage.errors import invalid

_TOKEN = re.compile(
    r"(?P<folders>(?:(?<=/)|\A)\*{2,}/)|(?P<any>\*{2,})|(?P<some>\*)|(?P<one>\?)|(?P<list>\[[!^]?[^]]+\])"
    r"|(?P<escaped>\\.)|(?P<open>\{)|(?P<close>\})|(?P<comma>,)|(?P<plain>.)",
    re.DOTALL,
)
_MEANS = {"folders": "(?:.*/)?", "any": ".*", "some": "[^/]*", "one": "[^/]", "open": "(?:", "close": ")", "comma": "|"}


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return the regular expression that a whole name has to match.

    Raises:
        StorageError: 400, when a brace is not closed or a list of characters makes no sense.
    """
    depth, parts = 0, []
    for token in _TOKEN.finditer(pattern):
        kind, text = token.lastgroup or "", token[0]
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if kind == "list":
            negated = text[1] in "!^"
            listed = re.sub(r"([\\\[^])", r"\\\1", text[1 + negated : -1])
            parts.append(f"(?!/)[{'^' * negated}{listed}]")
        elif kind == "escaped":
            parts.append(re.escape(text[1]))
        elif kind == "comma" and depth == 0:
            parts.append(",")
        else:
            parts.append(_MEANS.get(kind) or re.escape(text))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as error:
        message = (
            f"Invalid matchGlob {pattern!r} ({error}). Close its brackets, or write \\ before those that are names'."
        )
        raise invalid(message) from error
