"""What Cloud Storage refuses and how: a status, a reason and a message, as the JSON API's clients get them.

Source: https://cloud.google.com/storage/docs/json_api/v1/status-codes
"""

from http import HTTPStatus
from typing import Any


class StorageError(Exception):
    """Ends a request with a status; `reason` is the JSON API's word for it."""

    def __init__(self, status: HTTPStatus, reason: str, message: str) -> None:
        """Refuse with a message for the client."""
        super().__init__(message)
        self.status, self.reason = status, reason

    def content(self) -> dict[str, Any]:
        """Return the body of the answer."""
        problem = {"message": str(self), "domain": "global", "reason": self.reason}
        return {"error": {"code": self.status.value, "message": str(self), "errors": [problem]}}


def no_bucket() -> StorageError:
    """The bucket does not exist."""
    return StorageError(HTTPStatus.NOT_FOUND, "notFound", "The specified bucket does not exist.")


def no_object(bucket: str, name: str) -> StorageError:
    """The object does not exist, or not in the generation that was asked for."""
    return StorageError(HTTPStatus.NOT_FOUND, "notFound", f"No such object: {bucket}/{name}")


def invalid(message: str) -> StorageError:
    """The request breaks a rule."""
    return StorageError(HTTPStatus.BAD_REQUEST, "invalid", message)


def conflict(message: str) -> StorageError:
    """The state of a bucket does not allow it."""
    return StorageError(HTTPStatus.CONFLICT, "conflict", message)


def unimplemented(what: str) -> StorageError:
    """Cloud Storage can do it, and this one cannot."""
    message = f"localcloud does not implement {what}"
    return StorageError(HTTPStatus.NOT_IMPLEMENTED, "notImplemented", message)


def precondition_failed() -> StorageError:
    """The object or bucket is not as the request expects it."""
    message = "At least one of the pre-conditions you specified did not hold."
    return StorageError(HTTPStatus.PRECONDITION_FAILED, "conditionNotMet", message)


def not_modified() -> StorageError:
    """What the client has is still current."""
    return StorageError(HTTPStatus.NOT_MODIFIED, "notModified", "Not Modified")
