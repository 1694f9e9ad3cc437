"""The authority and the server's certificate that Google's clients trust on this machine."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from localcloud.gcp.certificates import Certificates, ensure_certificates

if TYPE_CHECKING:
    from pathlib import Path


def _contents(kept: Certificates) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (kept.ca, kept.certificate, kept.key)}


def _greeted(served: Certificates, trusted: Path, name: str) -> str:
    """Return what a client that trusts one authority alone reads from a server that it takes for `name`."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(served.certificate, served.key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(trusted)
    here, there = socket.socketpair()

    def serve() -> None:
        with there:
            try:
                with server.wrap_socket(there, server_side=True) as connection:
                    connection.sendall(b"hello")
            except (ssl.SSLError, OSError):
                pass  # the client did not trust it, and says so itself

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with here, client.wrap_socket(here, server_hostname=name) as connection:
            return connection.recv(16).decode()
    finally:
        thread.join()


@pytest.mark.parametrize("name", ["us-central1-aiplatform.googleapis.com", "secretmanager.googleapis.com", "127.0.0.1"])
def test_it_is_trusted(tmp_path: Path, name: str) -> None:
    """A client that trusts the authority takes the server for any Google service, and for this machine."""
    kept = ensure_certificates(tmp_path)
    assert _greeted(kept, kept.ca, name) == "hello"


def test_it_is_no_other_name(tmp_path: Path) -> None:
    """The server's certificate is good for no name outside of Google's services."""
    kept = ensure_certificates(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'google\.com'"):
        _greeted(kept, kept.ca, "google.com")


def test_another_checkout(tmp_path: Path) -> None:
    """A client of one checkout does not trust the server of another."""
    ours, theirs = ensure_certificates(tmp_path / "ours"), ensure_certificates(tmp_path / "theirs")
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        _greeted(theirs, ours.ca, "us-central1-aiplatform.googleapis.com")


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    """The files are for their user alone, and the authority's key is not among them."""
    kept = ensure_certificates(tmp_path)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in kept.ca.parent.iterdir()}
    assert modes == {"ca.pem": "0o600", "server.pem": "0o600", "server.key": "0o600"}
    assert oct(kept.ca.parent.stat().st_mode & 0o777) == "0o700"


def test_they_are_kept(tmp_path: Path) -> None:
    """Certificates that still hold are used again, so that running clients go on trusting the server."""
    before = _contents(ensure_certificates(tmp_path))
    assert _contents(ensure_certificates(tmp_path)) == before


def test_they_are_renewed(tmp_path: Path) -> None:
    """Certificates with less than 30 days left are replaced, and the new ones are trusted."""
    now = datetime.now(UTC)
    before = _contents(ensure_certificates(tmp_path, now - timedelta(days=340)))
    assert _contents(ensure_certificates(tmp_path, now - timedelta(days=6))) == before
    kept = ensure_certificates(tmp_path, now)
    after = _contents(kept)
    assert [name for name in after if after[name] == before[name]] == []
    assert _greeted(kept, kept.ca, "localhost") == "hello"


@pytest.mark.parametrize("name", ["ca.pem", "server.pem", "server.key"])
@pytest.mark.parametrize("damage", ["missing", "no PEM", "another checkout's"])
def test_damaged_files(tmp_path: Path, name: str, damage: str) -> None:
    """A file that is missing, damaged or does not belong to the others is replaced with all of them."""
    kept, other = ensure_certificates(tmp_path / "root"), ensure_certificates(tmp_path / "other")
    file = kept.ca.with_name(name)
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(b"damaged" if damage == "no PEM" else other.ca.with_name(name).read_bytes())
    kept = ensure_certificates(tmp_path / "root")
    assert _greeted(kept, kept.ca, "localhost") == "hello"
