"""The storage's HTTP server: connections that stay open, a thread for each, bodies in pieces."""

import socket
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from localcloud.gcp.storage.api import Api
from localcloud.gcp.storage.messages import CHUNK, Request, Response

# seconds after which a connection that nobody uses is closed
_IDLE_SECONDS = 300
_REASONS = {308: "Resume Incomplete", 499: "Client Closed Request"}


class StorageServer(ThreadingHTTPServer):
    """Serves an API on a socket that already listens."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, api: Api) -> None:
        """Take over the socket; `serve_forever` answers."""
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.api = listener, api

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that have gone; what goes wrong in a request is answered, and told, by the API."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "localcloud"
    timeout = _IDLE_SECONDS
    # headers and body leave in one piece, and at once
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    server: StorageServer

    def _serve(self) -> None:
        split = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self._body(headers)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        response = self.server.api.answer(Request(self.command, split.path, query, headers, body))
        for _ in body:  # what was not looked at would be taken for the next request
            pass
        self._send(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _send(self, response: Response) -> None:
        self.send_response(int(response.status), _REASONS.get(int(response.status)))
        for name, value in response.headers.items():
            self.send_header(name, value.encode().decode("latin-1"))
        if response.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            self.send_header("Content-Length", str(response.size))
        self.end_headers()
        for chunk in response.body:
            if self.command != "HEAD":
                self.wfile.write(chunk)
        self.wfile.flush()

    def _body(self, headers: dict[str, str]) -> Iterator[bytes]:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._pieces()
            return
        left = int(headers.get("content-length") or 0)
        while left > 0:
            data = self.rfile.read(min(CHUNK, left))
            if not data:
                message = f"{left} bytes of a request never came"
                raise ConnectionAbortedError(message)
            left -= len(data)
            yield data

    def _pieces(self) -> Iterator[bytes]:
        """Return a body whose length nobody told beforehand (RFC 9112, section 7.1)."""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def log_message(self, *_: Any) -> None:
        """Say nothing for each request."""
