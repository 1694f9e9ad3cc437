"""The door of the Google half: a CONNECT proxy for the emulated hosts, the token endpoint, and nothing behind it.

    CONNECT <host>:443      a tunnel to this machine's own server for an emulated host; 403 for every other one
    POST /token             an access token for an assertion of the made-up service account
    GET …/allowedLocations  what google-auth asks iamcredentials.googleapis.com in the background: no boundary

How it works: one thread runs one event loop. A tunnel to a gRPC service carries the client's TLS to the gRPC server;
the other emulated hosts speak HTTP/1.1, and a second listener takes their TLS off and passes the bytes on to the
storage server or back to this door. So it does with a client that would speak REST to a gRPC service: its first bytes
tell, and it is told to speak gRPC. Every connection that is opened goes to an address of this process on 127.0.0.1:
where a tunnel leads is looked up by name in a table, and no name is ever resolved.

What it does not do: forward. A host that is not in the table is refused, and plain HTTP through the proxy is as well.
"""

import asyncio
import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from localcloud.gcp.certificates import Certificates
from localcloud.gcp.serviceaccount import ServiceAccount

Address = tuple[str, int]
TOKEN_PATH = "/token"  # noqa: S105 - a path
GRPC_HOSTS = re.compile(r"(?:(?:[a-z]+-[a-z]+\d+-)?aiplatform|secretmanager|cloudresourcemanager)\.googleapis\.com")
STORAGE_HOSTS = re.compile(r"(?:[a-z0-9._-]+\.)?storage\.googleapis\.com")
OWN_HOSTS = re.compile(r"oauth2\.googleapis\.com|iamcredentials\.googleapis\.com")
_LOCATIONS = re.compile(r"/v1/projects/-/serviceAccounts/[^/]+/allowedLocations")
# sizes in bytes; what is larger is no request of a Google client to this door
_HEAD, _BODY, _CHUNK = 1 << 16, 1 << 20, 1 << 16
_IDLE_SECONDS = 75.0
_LISTED = "<region>-aiplatform, secretmanager, cloudresourcemanager, storage, oauth2 and iamcredentials.googleapis.com"
# in the list of protocols by which a TLS client says that it speaks HTTP/2 (RFC 7301), as all gRPC clients do
_SPEAKS_HTTP_2 = b"\x02h2"


@dataclass(frozen=True)
class _Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class _Reply:
    status: HTTPStatus
    content: dict[str, Any]
    # what a client shows of a refused tunnel
    reason: str | None = None


class Front:
    """The door, on a listening socket that it takes over. `log` is given method, target and status of each request."""

    def __init__(
        self,
        listener: socket.socket,
        account: ServiceAccount,
        certificates: Certificates,
        *,
        grpc: Address,
        storage: Address,
        log: Callable[[tuple[str, str, int]], None],
    ) -> None:
        """Prepare it; `start` opens it. `grpc` speaks TLS, `storage` does not."""
        self._listener, self._account, self._log = listener, account, log
        self._grpc, self._storage = grpc, storage
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificates.certificate, certificates.key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="google-front", daemon=True)
        self._routes: list[tuple[re.Pattern[str], Address]] = []
        self._connections: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    def close(self) -> None:
        """End all tunnels and the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _open(self) -> None:
        own: Address = self._listener.getsockname()[:2]
        if own[0] == "0.0.0.0":  # noqa: S104 - compared only
            own = ("127.0.0.1", own[1])
        to_storage = await self._uncovering(self._storage)
        self._uncovered = await self._uncovering(own)
        self._routes = [(GRPC_HOSTS, self._grpc), (STORAGE_HOSTS, to_storage), (OWN_HOSTS, self._uncovered)]
        self._server = await asyncio.start_server(self._accepted(self._serve), sock=self._listener, limit=_HEAD)

    async def _end(self) -> None:
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _uncovering(self, target: Address) -> Address:
        """Listen for TLS and pass on what it carried; return where."""

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _joined(reader, writer, target)

        server = await asyncio.start_server(self._accepted(relay), "127.0.0.1", 0, ssl=self._tls)
        address: Address = server.sockets[0].getsockname()[:2]
        return address

    def _accepted(self, serve: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what serves a connection: it is known while it runs, and closed whatever becomes of it."""

        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine that asyncio started
            self._connections.add(task)
            try:
                await serve(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                pass  # the client has gone, or talks something else
            except asyncio.CancelledError:
                pass  # the door closes
            finally:
                self._connections.discard(task)
                writer.close()

        return connection

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await asyncio.wait_for(_read(reader), _IDLE_SECONDS)
            if request is None:
                return
            if request.method == "CONNECT":
                target = self._target(request.target)
                if target is not None:
                    self._log(("CONNECT", request.target, HTTPStatus.OK.value))
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    hello = await asyncio.wait_for(reader.read(_CHUNK), _IDLE_SECONDS)
                    if target == self._grpc and _SPEAKS_HTTP_2 not in hello:
                        target = self._uncovered
                    await _joined(reader, writer, target, hello)
                    return
            reply = self._reply(request)
            self._log((request.method, request.target.split("?")[0], reply.status.value))
            await _write(writer, reply)

    def _target(self, named: str) -> Address | None:
        """Return where a tunnel leads; None when it may not be dug."""
        host, _, port = named.lower().rpartition(":")
        if port != "443":
            return None
        return next((address for hosts, address in self._routes if hosts.fullmatch(host)), None)

    def _reply(self, request: _Request) -> _Reply:
        if request.method == "CONNECT":
            message = (
                f"localcloud's proxy refuses {request.target}: it forwards nothing, and emulated are port 443 of "
                f"{_LISTED} only. Unset grpc_proxy and https_proxy for what has to reach it."
            )
            refusal = _error(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED", message)
            return replace(refusal, reason=f"Refused by localcloud: {request.target} is not emulated")
        if not request.target.startswith("/"):
            message = f"localcloud's proxy forwards nothing, and {request.target.split('?')[0]!r} is another host."
            return _error(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED", message)
        path = request.target.split("?")[0]
        if path == TOKEN_PATH and request.method == "POST":
            answer = self._account.token(request.body)
            return _Reply(answer.status, answer.content)
        if _LOCATIONS.fullmatch(path) and request.method == "GET":
            # the value that stands for "anywhere"
            return _Reply(HTTPStatus.OK, {"locations": [], "encodedLocations": "0x0"})
        host = request.headers.get("host", "").partition(":")[0]
        if GRPC_HOSTS.fullmatch(host):
            message = (
                f"localcloud speaks gRPC on {host}, no REST. Have the client use its transport `grpc`; the Vertex AI "
                "SDK does when aiplatform.init is given a project."
            )
            return _error(HTTPStatus.NOT_IMPLEMENTED, "UNIMPLEMENTED", message)
        message = f"localcloud does not implement {request.method} {path}; it answers POST {TOKEN_PATH} here."
        return _error(HTTPStatus.NOT_FOUND, "NOT_FOUND", message)


async def _read(reader: asyncio.StreamReader) -> _Request | None:
    """Read a request; None when the client has closed the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, *_ = [*first.split(" "), "", ""]
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    size = int(length) if (length := headers.get("content-length", "0")).isdigit() else 0
    if size > _BODY:
        message = f"a body of {size} bytes"
        raise OSError(message)
    return _Request(method, target, headers, await reader.readexactly(size))


async def _write(writer: asyncio.StreamWriter, reply: _Reply) -> None:
    body = json.dumps(reply.content).encode()
    head = (
        f"HTTP/1.1 {reply.status.value} {reply.reason or reply.status.phrase}\r\n"
        f"Content-Type: application/json; charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()


def _error(status: HTTPStatus, name: str, message: str) -> _Reply:
    return _Reply(status, {"error": {"code": status.value, "message": message, "status": name}})


async def _joined(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Address, first: bytes = b""
) -> None:
    """Open a connection to one of this process's own addresses and pass bytes on both ways until both have ended.

    Args:
        reader: What the client sends.
        writer: What the client reads.
        target: The address.
        first: What the client has sent before.
    """
    there, answering = await asyncio.open_connection(*target)
    answering.write(first)
    ways = [asyncio.create_task(way) for way in (_pass_on(reader, answering), _pass_on(there, writer))]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        answering.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError, NotImplementedError):
        if writer.can_write_eof():
            writer.write_eof()
        else:  # TLS cannot be closed one way only
            writer.close()
