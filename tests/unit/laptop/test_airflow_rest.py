"""What the client of Airflow's REST interface does with answers that are no success."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from deploy.laptop.airflow_rest import AirflowRest
from deploy.laptop.errors import RestFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCKED = (500, {"detail": {"reason": "Database error", "orig_error": "database is locked"}})
BROKEN = (500, {"detail": "a bug"})
DONE = (200, {})


class Scripted(ThreadingHTTPServer):
    """A server that gives the answers of a script, one a request, and notes the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ScriptedHandler)
        self.answers: list[tuple[int, object]] = [(201, {"access_token": "token"})]
        self.requests: list[str] = []


class ScriptedHandler(BaseHTTPRequestHandler):
    """Gives the next answer."""

    server: Scripted

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(f"{self.command} {self.path}")
        status, body = self.server.answers.pop(0)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PATCH = do_POST  # noqa: N815 - the name is the library's

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A scripted server that lets everybody log in."""
    with Scripted() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def rest(server: Scripted) -> Iterator[AirflowRest]:
    """A client of it, logged in."""
    with closing(AirflowRest(f"http://127.0.0.1:{server.server_port}", "admin", "password")) as made:
        server.requests.clear()
        yield made


def test_a_request_that_the_database_refused_is_sent_again(server: Scripted, rest: AirflowRest) -> None:
    """Nothing of it was done; the caller does not notice."""
    server.answers += [LOCKED, LOCKED, DONE]

    rest.unpause("ingest")

    assert ["PATCH /api/v2/dags/ingest"] * 3 == server.requests


def test_a_database_that_refuses_for_ever_is_an_error(server: Scripted, rest: AirflowRest) -> None:
    """The message says what the server said."""
    server.answers += [LOCKED] * 5

    with pytest.raises(RestFailed, match="database is locked"):
        rest.unpause("ingest")


def test_any_other_error_is_told_at_once(server: Scripted, rest: AirflowRest) -> None:
    """Who knows what was done."""
    server.answers += [BROKEN, DONE]

    with pytest.raises(RestFailed, match=r"status 500: .*a bug"):
        rest.unpause("ingest")

    assert 1 == len(server.requests)
