"""The names of secrets and of their versions: `projects/<p>/secrets/<s>/versions/<number, alias or latest>`."""

import re
from dataclasses import dataclass

from grpc import StatusCode

LATEST = "latest"
_PROJECT = re.compile(r"projects/([^/]+)")
_SECRET = re.compile(r"projects/([^/]+)/secrets/([^/]+)")
_VERSION = re.compile(r"projects/([^/]+)/secrets/([^/]+)/versions/([^/]+)")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,255}")


class SecretManagerError(Exception):
    """A refusal, with its gRPC code."""

    def __init__(self, code: StatusCode, message: str) -> None:
        """Refuse with a code and a message for the client."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class SecretName:
    """A secret's name."""

    project: str
    secret: str

    def __str__(self) -> str:
        return f"projects/{self.project}/secrets/{self.secret}"


def project_of(parent: str) -> str:
    """Return the project of a request's `parent`."""
    if found := _PROJECT.fullmatch(parent):
        return found[1]
    raise _malformed("parent", parent, "projects/*")


def secret_of(name: str, field: str = "name") -> SecretName:
    """Return a secret's name as a request spells it."""
    if found := _SECRET.fullmatch(name):
        return SecretName(found[1], checked_identifier(found[2], field))
    raise _malformed(field, name, "projects/*/secrets/*")


def version_of(name: str) -> tuple[SecretName, str]:
    """Return the secret's name and the version's number or alias."""
    if found := _VERSION.fullmatch(name):
        return SecretName(found[1], checked_identifier(found[2], "name")), found[3]
    raise _malformed("name", name, "projects/*/secrets/*/versions/*")


def checked_identifier(identifier: str, field: str) -> str:
    """Return a secret's identifier."""
    if _IDENTIFIER.fullmatch(identifier):
        return identifier
    message = (
        f"The provided Secret ID [{identifier}] does not match the expected format [[a-zA-Z_0-9]+] ({field}: 1 to 255 "
        "letters, digits, hyphens and underscores)."
    )
    raise SecretManagerError(StatusCode.INVALID_ARGUMENT, message)


def _malformed(field: str, value: str, pattern: str) -> SecretManagerError:
    message = f"Invalid resource field value in the request: {field} must match {pattern}, got {value!r}."
    return SecretManagerError(StatusCode.INVALID_ARGUMENT, message)
