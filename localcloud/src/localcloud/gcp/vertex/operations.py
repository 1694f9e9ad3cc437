"""Long-running operations: what a call begins and a thread ends, and the service by which clients wait for it.

An operation is stored before the call that began it is answered, so that a client finds it after a restart; one that
was not done when the server ended is done with an error then.

Source: https://google.aip.dev/151, google/longrunning/operations.proto
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from google.rpc import status_pb2

from localcloud.gcp.vertex.errors import NotFoundError, VertexError
from localcloud.gcp.vertex.listing.pages import Listed, list_page
from localcloud.gcp.vertex.names import new_id
from localcloud.gcp.vertex.resources import Resources

COLLECTION = "operations"
_LONGEST_WAIT_SECONDS = 60.0


class Operations:
    """All operations of a cloud."""

    def __init__(self, resources: Resources) -> None:
        """Close what an earlier server left open."""
        self._resources = resources
        self._ended = threading.Condition()
        for left in resources.all(COLLECTION):
            if not left.done:
                self._finish(left.name, None, _status(grpc.StatusCode.ABORTED, "the local cloud was stopped meanwhile"))

    def start(self, resource: str, metadata: Any, work: Callable[[], Any]) -> Any:
        """Begin an operation on a resource and return it as it is then: not done.

        Args:
            resource: The name that the operation's own name begins with.
            metadata: What the operation tells about itself.
            work: Called in a thread of its own; returns the response. What it raises is the operation's error.
        """
        metadata.generic_metadata.create_time.GetCurrentTime()
        metadata.generic_metadata.update_time.CopyFrom(metadata.generic_metadata.create_time)
        begun = operations_pb2.Operation(name=f"{resource}/operations/{new_id()}")
        begun.metadata.Pack(metadata)
        self._resources.add(resource, COLLECTION, begun)
        threading.Thread(target=self._live, args=(begun.name, work), name="operation", daemon=True).start()
        return begun

    def methods(self) -> Mapping[str, Callable[[Any], Any]]:
        """Return the service google.longrunning.Operations."""
        service = "google.longrunning.Operations"
        return {
            f"{service}/GetOperation": lambda request: self._get(request.name),
            f"{service}/WaitOperation": self._wait,
            f"{service}/ListOperations": self._list,
            f"{service}/DeleteOperation": self._delete,
            f"{service}/CancelOperation": self._cancel,
        }

    def _live(self, name: str, work: Callable[[], Any]) -> None:
        try:
            response = work()
        except VertexError as error:
            self._finish(name, None, _status(error.code, str(error)))
        except Exception as error:  # noqa: BLE001 - a defect here must end the operation, not leave it open for ever
            self._finish(name, None, _status(grpc.StatusCode.INTERNAL, f"localcloud: {type(error).__name__}: {error}"))
        else:
            self._finish(name, response, None)

    def _finish(self, name: str, response: Any, error: status_pb2.Status | None) -> None:
        with self._resources.change(name) as operation:
            if operation is not None:
                operation.done = True
                if error is not None:
                    operation.error.CopyFrom(error)
                else:
                    operation.response.Pack(response)
        with self._ended:
            self._ended.notify_all()

    def _get(self, name: str) -> Any:
        found = self._resources.get(name)
        if not isinstance(found, operations_pb2.Operation):
            raise NotFoundError(f"The operation {name} does not exist.")
        return found

    def _wait(self, request: Any) -> Any:
        asked = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else _LONGEST_WAIT_SECONDS
        deadline = time.monotonic() + min(asked, _LONGEST_WAIT_SECONDS)
        with self._ended:
            while not (found := self._get(request.name)).done:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._ended.wait(left)
        return found

    def _list(self, request: Any) -> Any:
        found = self._resources.under(request.name.removesuffix("/operations"), COLLECTION)
        page = list_page(Listed.of(request), found)
        return operations_pb2.ListOperationsResponse(operations=page.items, next_page_token=page.next_token)

    def _delete(self, request: Any) -> Any:
        self._get(request.name)
        self._resources.remove(request.name)
        return empty_pb2.Empty()

    def _cancel(self, request: Any) -> Any:
        """Do nothing but look the name up: cancelling is at best effort, and operations here end within seconds."""
        self._get(request.name)
        return empty_pb2.Empty()


def _status(code: grpc.StatusCode, message: str) -> status_pb2.Status:
    return status_pb2.Status(code=code.value[0], message=message)
