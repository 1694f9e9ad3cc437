"""The made-up service account: its key file, and which assertions the token endpoint changes for a token."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from localcloud.gcp.serviceaccount import AUDIENCE, GRANT_TYPE, Answer, ServiceAccount

if TYPE_CHECKING:
    from pathlib import Path

TOKEN_URI = "http://127.0.0.1:1/token"  # noqa: S105 - an address
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@pytest.fixture
def account(tmp_path: Path) -> ServiceAccount:
    """Return a new account."""
    return ServiceAccount(tmp_path / "key.json", TOKEN_URI)


def _file(account: ServiceAccount) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(account.path.read_bytes())
    return content


def _asked(
    account: ServiceAccount, key: rsa.RSAPrivateKey | None = None, algorithm: str = "RS256", **claims: Any
) -> Answer:
    """Ask for a token as a client does, with some claims of its own; None takes one away."""
    file, now = _file(account), int(time.time())
    good = {"iss": file["client_email"], "aud": file["token_uri"], "scope": SCOPE, "iat": now, "exp": now + 3600}
    content = {name: value for name, value in {**good, **claims}.items() if value is not None}
    parts = [_encoded(json.dumps(part).encode()) for part in ({"alg": algorithm, "typ": "JWT"}, content)]
    if key is None:
        loaded = load_pem_private_key(file["private_key"].encode(), password=None)
        assert isinstance(loaded, rsa.RSAPrivateKey)
        key = loaded
    signature = key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
    form = {"grant_type": GRANT_TYPE, "assertion": ".".join([*parts, _encoded(signature)])}
    return account.token(urlencode(form).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_token(account: ServiceAccount) -> None:
    """An assertion that the account has signed, for Google or for here, is changed for a token, good for an hour."""
    first, second = _asked(account), _asked(account, aud=AUDIENCE)
    assert (first.status, first.content["token_type"], first.content["expires_in"]) == (200, "Bearer", 3599)
    assert first.content["access_token"] != second.content["access_token"]


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"aud": "https://example.com/token"}, f"Invalid JWT: aud must be {AUDIENCE} or {TOKEN_URI}, got"),
        ({"iss": "somebody@else.iam.gserviceaccount.com"}, "Invalid grant: account not found"),
        ({"iat": 1, "exp": 3601}, "Invalid JWT: Token must be a short-lived token"),
        ({"exp": int(time.time()) + 90_000}, "Invalid JWT: Token must be a short-lived token"),
        ({"exp": None}, "Invalid JWT: Token must be a short-lived token"),
        ({"scope": None}, "Invalid OAuth scope"),
        ({"target_audience": "https://example.com"}, "localcloud issues access tokens"),
        ({"algorithm": "HS256"}, "Invalid JWT: the header's alg must be RS256"),
    ],
)
def test_a_wrong_assertion(account: ServiceAccount, claims: dict[str, Any], expected: str) -> None:
    """An assertion for somebody else, of somebody else, or for another time is refused with what is wrong."""
    refused = _asked(account, **claims)
    assert refused.status == 400
    assert refused.content["error_description"].startswith(expected)


def test_another_key(account: ServiceAccount) -> None:
    """An assertion in the account's name with another key's signature is refused."""
    refused = _asked(account, rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert refused.content == {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


@pytest.mark.parametrize("form", [b"", b"grant_type=password", b"\xff\xfe", b"grant_type=" + GRANT_TYPE.encode()])
def test_no_assertion(account: ServiceAccount, form: bytes) -> None:
    """A request that is none is refused."""
    assert account.token(form).status == 400


def test_the_key_is_kept(account: ServiceAccount) -> None:
    """The same key is used again, at a new address too, so that what a client has loaded goes on being accepted."""
    before = _file(account)
    again = ServiceAccount(account.path, "http://127.0.0.1:2/token")
    assert _file(again) == {**before, "token_uri": "http://127.0.0.1:2/token"}
    assert oct(again.path.stat().st_mode & 0o777) == "0o600"


def test_a_damaged_key(account: ServiceAccount) -> None:
    """A file that holds no key is replaced."""
    account.path.write_text('{"private_key": "nothing"}', encoding="utf-8")
    assert _asked(ServiceAccount(account.path, TOKEN_URI)).status == 200
