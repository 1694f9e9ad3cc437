"""Which requests may change something, and what they name; the WSGI middleware that saves before the answer leaves."""

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# the first word of an operation that changes nothing; some move a clock (a secret's LastAccessedDate), which is lost
_READS = re.compile(
    r"^(?:Get|BatchGet|List|Describe|BatchDescribe|Head|Search|Query|Scan|Lookup|Filter|Select|Simulate|Validate|Preview"
    r"|Estimate|Verify|Decrypt)(?=[A-Z?]|$)|^(?:GET|HEAD|OPTIONS)\b|^Test(?:EventPattern|MetricFilter)$"
)
# models answer these; what they leave behind goes through other requests
_INVOCATION = re.compile(r"^POST /endpoints/[^/]+/(?:async-)?invocations")
_LOOPBACK = re.compile(r"^(?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1\])(?::\d+)?$")


@dataclass(frozen=True)
class Target:
    """What a request to S3 is about; `key` is None when it is about a bucket or about many objects."""

    bucket: str
    key: str | None


@dataclass(frozen=True)
class Request:
    """A request as it was carried out."""

    service: str | None
    operation: str
    host: str
    path: str
    query: str
    body: bytes

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return bool(_READS.match(self.operation) or _INVOCATION.match(self.operation))

    def s3_target(self) -> Target | None:
        """Return the target of a request to S3; None when it is not one, or does not tell."""
        if self.service != "s3" or not _LOOPBACK.match(self.host):
            return None
        bucket, _, key = self.path.lstrip("/").partition("/")
        if not bucket:
            return None
        several = "delete" in parse_qs(self.query, keep_blank_values=True)
        return Target(bucket, None if several or not key else key)

    def names(self, name: str) -> bool:
        """Whether the body has a name in it."""
        return name.encode() in self.body


class Saved:
    """WSGI middleware: carries a request out, then lets `save` keep what it changed, then lets the answer go."""

    def __init__(self, application: Callable[..., Any], save: "Callable[[Request, Callable[[], Any]], Any]") -> None:
        """Wrap `application`; `save` calls it and returns what it returns."""
        self._application, self._save = application, save

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer."""
        known, stream = environ["localcloud.request"], environ.get("wsgi.input")
        request = Request(
            service=known["service"],
            operation=known["operation"],
            host=environ.get("HTTP_HOST", ""),
            # as moto reads it: bytes of UTF-8
            path=environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace"),
            query=environ.get("QUERY_STRING", ""),
            # the request log has read it where it matters
            body=stream.getvalue() if isinstance(stream, io.BytesIO) else b"",
        )
        answer: Iterable[bytes] = self._save(request, lambda: self._application(environ, start_response))
        return answer
