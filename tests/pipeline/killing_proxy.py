"""A way to the local cloud on which the process that sends a certain request dies, or on which requests fail.

Purpose: the moments right before and right after a request is carried out are too short to hit from outside. Here they
last as long as it takes to kill: the request was not passed on yet, or its answer was not passed back yet. And for as
long as a test wants, no request comes through: they are throttled, answered with status 500 or cut off, in turn.

How it works: a proxy on loopback that passes each request on to the local cloud, and finds the process at the other end
of a connection by the system's table of sockets. What it does not do: chunked bodies.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_OWN_HEADERS = {"connection", "content-length", "date", "server", "transfer-encoding"}


@dataclass(frozen=True)
class Kill:
    """One death: of whoever sends this SageMaker operation with this text.

    Args:
        operation: The operation.
        text: A part of the request.
        when: ``before`` or ``after`` the request is carried out.
        skip: How many of these requests come through before it.
    """

    operation: str
    text: str
    when: str
    skip: int = 0


@dataclass
class KillingProxy:
    """A running proxy; ``done`` says which process each kill has met."""

    endpoint: str
    planned: set[Kill] = field(default_factory=set)
    done: dict[Kill, int] = field(default_factory=dict)
    skipped: Counter[Kill] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    failures: Iterator[str] | None = None

    def __enter__(self) -> Self:
        proxy = self

        class Handler(_Handler):
            kills = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self._choosing = threading.Lock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def choose(self, operation: str, body: bytes) -> Kill | None:
        """Return the kill that a request is to meet; each is met once."""
        with self._choosing:
            found = next(
                (each for each in self.planned if each.operation == operation and each.text.encode() in body), None
            )
            if found is not None and self.skipped[found] < found.skip:
                self.skipped[found] += 1
                return None
            self.planned.discard(found)  # type: ignore[arg-type] # None is in no set
            return found

    @contextmanager
    def failing(self) -> Iterator[Counter[str]]:
        """Let every SageMaker request fail meanwhile; yields how many came, by operation."""
        self.calls.clear()
        self.failures = cycle(["throttled", "broken", "cut off"])
        try:
            yield self.calls
        finally:
            self.failures = None

    def kill(self, kill: Kill, peer: tuple[str, int]) -> None:
        """Kill the process at the other end of a connection and wait until it is gone."""
        (pid,) = {
            each.pid
            for each in psutil.net_connections("tcp4")
            if each.laddr == peer and each.raddr == self._server.server_address
        }
        process = psutil.Process(pid)
        process.kill()
        # a process whose parent is slow to hear of it stays as a zombie, which does nothing any more
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            threading.Event().wait(0.01)
        self.done[kill] = process.pid


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kills: KillingProxy

    def pass_on(self) -> None:
        """Pass a request on and its answer back, unless somebody has to die."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        _, sagemaker, operation = self.headers.get("X-Amz-Target", "").partition("SageMaker.")
        if sagemaker:
            self.kills.calls[operation] += 1
        if sagemaker and self.kills.failures is not None:
            self.fail(next(self.kills.failures))
            return
        kill = self.kills.choose(operation, body)
        if kill is None or kill.when == "after":
            address = urlsplit(self.kills.endpoint)
            connection = http.client.HTTPConnection(str(address.hostname), address.port)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
        if kill is not None:
            self.kills.kill(kill, self.client_address)
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OWN_HEADERS:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        self.wfile.write(content)

    def fail(self, how: str) -> None:
        """Answer with a failure, or not at all."""
        if how == "cut off":
            self.close_connection = True
            return
        code, status = ("ThrottlingException", 400) if how == "throttled" else ("InternalFailure", 500)
        content = json.dumps({"__type": code, "message": how}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = pass_on  # noqa: N815 - the standard library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""
