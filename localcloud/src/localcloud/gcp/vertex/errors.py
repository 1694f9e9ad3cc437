"""What Vertex AI refuses and how: a status code of gRPC and a message, as the API's clients get them.

VertexError
├── InvalidArgumentError    a request breaks a rule; Vertex lists all the fields that do
├── NotFoundError           what a name names does not exist
├── AlreadyExistsError      a name or an alias is taken
├── FailedPreconditionError  the resource's state does not allow it
└── UnimplementedError      Vertex can do it, and the local cloud cannot

Source of the codes: https://cloud.google.com/apis/design/errors
"""

from typing import NoReturn

import grpc


class VertexError(Exception):
    """Ends a call with a code and a message."""

    code = grpc.StatusCode.INTERNAL

    @property
    def number(self) -> int:
        """The code as google.rpc.Status has it."""
        number: int = self.code.value[0]
        return number


class InvalidArgumentError(VertexError):
    """A request breaks a rule."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFoundError(VertexError):
    """What a name names does not exist."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(VertexError):
    """A name or an alias is taken."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPreconditionError(VertexError):
    """The resource's state does not allow it."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class UnimplementedError(VertexError):
    """Vertex can do it, and the local cloud cannot."""

    code = grpc.StatusCode.UNIMPLEMENTED


def refuse(*problems: tuple[str, str]) -> NoReturn:
    """Refuse a request whose fields break rules, in Vertex's words.

    Args:
        problems: The fields' paths, each with what is wrong about it.
    """
    listed = "".join(f"\t{number}.Field: {field}; Message: {text}" for number, (field, text) in enumerate(problems, 1))
    raise InvalidArgumentError(f"List of found errors:{listed}\t")


def unsupported(what: str) -> NoReturn:
    """Refuse what Vertex can do and the local cloud cannot."""
    raise UnimplementedError(f"localcloud does not run {what}; see docs/local-vertex-ai.md for what it covers")
