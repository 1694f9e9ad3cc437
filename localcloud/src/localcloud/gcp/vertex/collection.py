"""What every collection of resources has in common: get, list, delete."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import empty_pb2

from localcloud.gcp.vertex.errors import NotFoundError
from localcloud.gcp.vertex.listing.pages import Listed, list_page
from localcloud.gcp.vertex.messages import pb
from localcloud.gcp.vertex.names import check_parent
from localcloud.gcp.vertex.operations import Operations
from localcloud.gcp.vertex.resources import Resources
from localcloud.gcp.vertex.server import Method


@dataclass(frozen=True)
class Kind:
    """How the API names one kind of resource.

    Args:
        service: Its service, as in JobService.
        word: Its message, as in CustomJob.
        collection: The part of a name, as in customJobs.
        field: The field of a list's answer, as in custom_jobs.
    """

    service: str
    word: str
    collection: str
    field: str


class Collection:
    """The resources of one kind. `check_deletable` refuses what must not be deleted yet."""

    def __init__(
        self,
        kind: Kind,
        resources: Resources,
        operations: Operations,
        check_deletable: Callable[[Any], None] = lambda _: None,
    ) -> None:
        """Look into `resources`."""
        self.kind = kind
        self._resources = resources
        self._operations = operations
        self._check_deletable = check_deletable

    def methods(self) -> Mapping[str, Method]:
        """Return Get…, List… and Delete…."""
        service, word = self.kind.service, self.kind.word
        return {
            f"{service}/Get{word}": lambda request: self.find(request.name),
            f"{service}/List{word}s": self._list,
            f"{service}/Delete{word}": lambda request: self.delete(request.name),
        }

    def find(self, name: str) -> Any:
        """Return a resource.

        Raises:
            NotFoundError: There is none.
        """
        found = self._resources.get(name)
        if found is None or found.DESCRIPTOR.name != self.kind.word:
            raise self.missing(name)
        return found

    def missing(self, name: str) -> NotFoundError:
        """Return the refusal of a name that names nothing."""
        return NotFoundError(f"The {self.kind.word} {name!r} does not exist.")

    def delete(self, name: str, also: Callable[[], None] = lambda: None) -> Any:
        """Delete a resource by an operation; `also` is done with it."""
        with self._resources.unchanging():
            self._check_deletable(self.find(name))

        def work() -> Any:
            with self._resources.unchanging():
                self._check_deletable(self.find(name))
                also()
                self._resources.remove(name)
            return empty_pb2.Empty()

        return self._operations.start(name, pb.DeleteOperationMetadata(), work)

    def _list(self, request: Any) -> Any:
        check_parent(request.parent)
        page = list_page(Listed.of(request), self._resources.under(request.parent, self.kind.collection))
        answer = getattr(pb, f"List{self.kind.word}sResponse")(next_page_token=page.next_token)
        getattr(answer, self.kind.field).extend(page.items)
        return answer
