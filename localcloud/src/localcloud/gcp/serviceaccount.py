"""A made-up service account: its key file, and the token endpoint's decision about an assertion that it signed.

How it works: Google's clients read a key file (GOOGLE_APPLICATION_CREDENTIALS, or a connection's key path), sign an
assertion with its private key and change it for an access token at the file's `token_uri` [1]. The key here is thrown
away with the root, its account exists nowhere, and `token_uri` is this machine's: what a client sends there is of no
use to anybody else.

What it does not do: grant anything. The emulated services ask nobody for a token; the endpoint is strict all the same,
so that a client that signs wrongly learns it here and not in the cloud.

[1] https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

import base64
import binascii
import json
import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from localcloud.gcp.certificates import write_private
from localcloud.gcp.clients import PROJECT_ID, SERVICE_ACCOUNT

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# whom Google's own clients address, whatever the key file's token_uri is
AUDIENCE = "https://oauth2.googleapis.com/token"
# seconds that a token is good for, and that an assertion may be good for at most
TOKEN_SECONDS = 3599
ASSERTION_SECONDS = 3600
# seconds that two clocks may differ by
SKEW_SECONDS = 300


@dataclass(frozen=True)
class Answer:
    """What the token endpoint answers: a status and a JSON object."""

    status: HTTPStatus
    content: dict[str, Any]


class _InvalidAssertionError(Exception):
    """The assertion is no good; its text is what Google's endpoint says."""


class ServiceAccount:
    """The account whose key lies in a file; `token_uri` is where its assertions are changed for tokens."""

    def __init__(self, path: Path, token_uri: str) -> None:
        """Read the key file, or make one; write it again when `token_uri` has changed since."""
        self.path, self.token_uri = path, token_uri
        kept = self._kept()
        self._key = kept or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        content = json.dumps(self._file(), indent=2).encode()
        if kept is None or path.read_bytes() != content:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, content)

    def _kept(self) -> rsa.RSAPrivateKey | None:
        try:
            written = json.loads(self.path.read_bytes())["private_key"]
            key = load_pem_private_key(written.encode(), password=None)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return key if isinstance(key, rsa.RSAPrivateKey) else None

    def _file(self) -> dict[str, str]:
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {
            "type": "service_account",
            "project_id": PROJECT_ID,
            "private_key_id": "localcloud",
            "private_key": pem.decode(),
            "client_email": SERVICE_ACCOUNT,
            "client_id": "100000000000000000000",
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        }

    def token(self, form: bytes) -> Answer:
        """Answer a request for a token: a form with `grant_type` and `assertion`."""
        fields = parse_qs(form.decode(errors="replace"))
        grant = fields.get("grant_type", [""])[0]
        if grant != GRANT_TYPE:
            return _refused("unsupported_grant_type", f"Invalid grant_type: {grant}")
        try:
            claims = self._claims(fields.get("assertion", [""])[0])
        except _InvalidAssertionError as error:
            return _refused("invalid_grant", str(error))
        if "target_audience" in claims:
            return _refused("invalid_request", "localcloud issues access tokens, no identity tokens (target_audience)")
        if not claims.get("scope"):
            return _refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = {"access_token": f"localcloud.{secrets.token_urlsafe(24)}", "expires_in": TOKEN_SECONDS}
        return Answer(HTTPStatus.OK, {**token, "token_type": "Bearer"})

    def _claims(self, assertion: str) -> dict[str, Any]:
        """Return the claims of an assertion that this account has signed for this endpoint, and that is good now."""
        parts = assertion.split(".")
        try:
            header, claims = (json.loads(_decoded(part)) for part in parts[:2])
            signed, signature = f"{parts[0]}.{parts[1]}".encode(), _decoded(parts[2])
        except (ValueError, IndexError, binascii.Error) as error:
            message = "Invalid JWT: Failed to parse the assertion."
            raise _InvalidAssertionError(message) from error
        if not isinstance(header, dict) or not isinstance(claims, dict) or header.get("alg") != "RS256":
            message = "Invalid JWT: the header's alg must be RS256."
            raise _InvalidAssertionError(message)
        if claims.get("iss") != SERVICE_ACCOUNT:
            message = "Invalid grant: account not found"
            raise _InvalidAssertionError(message)
        try:
            self._key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as error:
            message = "Invalid JWT Signature."
            raise _InvalidAssertionError(message) from error
        if claims.get("aud") not in {AUDIENCE, self.token_uri}:
            message = f"Invalid JWT: aud must be {AUDIENCE} or {self.token_uri}, got {claims.get('aud')!r}."
            raise _InvalidAssertionError(message)
        issued, expires, now = claims.get("iat"), claims.get("exp"), time.time()
        if (
            not isinstance(issued, int)
            or not isinstance(expires, int)
            or not issued - SKEW_SECONDS <= now <= expires + SKEW_SECONDS
            or expires - issued > ASSERTION_SECONDS
        ):
            message = (
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            )
            raise _InvalidAssertionError(message)
        return claims


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _refused(error: str, description: str) -> Answer:
    return Answer(HTTPStatus.BAD_REQUEST, {"error": error, "error_description": description})
