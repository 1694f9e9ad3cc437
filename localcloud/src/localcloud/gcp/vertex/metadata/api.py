"""MetadataService: stores, contexts, executions and artifacts, which all of an experiment is made of.

What it does not do: metadata schemas, deletion of many at once.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#metadataservice
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import empty_pb2, field_mask_pb2

from localcloud.gcp.vertex.errors import AlreadyExistsError, FailedPreconditionError, NotFoundError, refuse
from localcloud.gcp.vertex.listing.pages import Listed, list_page
from localcloud.gcp.vertex.messages import pb
from localcloud.gcp.vertex.metadata.lineage import Lineage
from localcloud.gcp.vertex.models.registry import etag_of
from localcloud.gcp.vertex.names import check_parent, new_id
from localcloud.gcp.vertex.operations import Operations
from localcloud.gcp.vertex.resources import Resources
from localcloud.gcp.vertex.server import Method
from localcloud.gcp.vertex.surroundings import Surroundings

_STORE = re.compile(r"(projects/[^/]+/locations/[^/]+)/metadataStores/([^/]+)")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_FIXED = {"name", "create_time", "update_time", "etag"}


class Nodes:
    """Create, get, list, update and delete nodes of one kind: `word` as in Context."""

    def __init__(self, word: str, resources: Resources, operations: Operations, lineage: Lineage) -> None:
        """Serve the nodes of `resources`."""
        self._word, self._field = word, word.lower()
        self._collection = f"{self._field}s"
        self._resources = resources
        self._operations = operations
        self._lineage = lineage

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        return {
            f"MetadataService/Create{self._word}": self._create,
            f"MetadataService/Get{self._word}": lambda request: self.find(request.name),
            f"MetadataService/List{self._word}s": self._list,
            f"MetadataService/Update{self._word}": self._update,
            f"MetadataService/Delete{self._word}": self._delete,
        }

    def find(self, name: str) -> Any:
        """Return a node.

        Raises:
            NotFoundError: There is none.
        """
        found = self._resources.get(name)
        if found is None or found.DESCRIPTOR.name != self._word:
            raise NotFoundError(f"The {self._word} {name!r} does not exist.")
        return found

    def _create(self, request: Any) -> Any:
        return self._add(request.parent, getattr(request, self._field), getattr(request, f"{self._field}_id"))

    def _add(self, parent: str, node: Any, identity: str) -> Any:
        if self._resources.get(parent) is None:
            raise NotFoundError(f"The MetadataStore {parent!r} does not exist.")
        if identity and not _ID.fullmatch(identity):
            refuse((f"{self._field}_id", f"{identity!r} must match {_ID.pattern}."))
        node.name = f"{parent}/{self._collection}/{identity or new_id()}"
        node.create_time.GetCurrentTime()
        _touch(node)
        if self._resources.get(node.name) is not None:
            raise AlreadyExistsError(f"The {self._word} {node.name!r} already exists.")
        self._resources.add(parent, self._collection, node)
        return node

    def _list(self, request: Any) -> Any:
        found = self._resources.under(request.parent, self._collection)
        page = list_page(Listed.of(request), found, {"in_context": self._lineage.is_in})
        answer = getattr(pb, f"List{self._word}sResponse")(next_page_token=page.next_token)
        getattr(answer, self._collection).extend(page.items)
        return answer

    def _update(self, request: Any) -> Any:
        given = getattr(request, self._field)
        with self._resources.unchanging():
            if self._resources.get(given.name) is None and request.allow_missing:
                parent, _, identity = given.name.rpartition(f"/{self._collection}/")
                return self._add(parent, given, identity)
            found = self.find(given.name)
            if given.etag and given.etag != found.etag:
                message = f"The etag {given.etag!r} is not the {self._word}'s: {found.etag!r}."
                raise FailedPreconditionError(message)
            paths = list(request.update_mask.paths) or [field.name for field, _ in given.ListFields()]
            with self._resources.change(given.name) as node:
                _replace(node, given, [path for path in paths if path not in _FIXED])
                _touch(node)
                return node

    def _delete(self, request: Any) -> Any:
        self.find(request.name)

        def work() -> Any:
            self._lineage.forget(request.name)
            self._resources.remove(request.name)
            return empty_pb2.Empty()

        return self._operations.start(request.name, pb.DeleteOperationMetadata(), work)


class Metadata:
    """The whole service."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Serve the metadata of `surroundings`."""
        self._resources = surroundings.resources
        self._operations = surroundings.operations
        self._lineage = Lineage(surroundings.resources)
        self._nodes = {
            word: Nodes(word, surroundings.resources, surroundings.operations, self._lineage)
            for word in ("Context", "Execution", "Artifact")
        }

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        own: dict[str, Callable[[Any], Any]] = {
            "CreateMetadataStore": self._create_store,
            "GetMetadataStore": lambda request: self._store(request.name),
            "ListMetadataStores": self._list_stores,
            "DeleteMetadataStore": self._delete_store,
            "AddContextChildren": self._add_children,
            "RemoveContextChildren": self._remove_children,
            "AddContextArtifactsAndExecutions": self._add_members,
            "AddExecutionEvents": self._add_events,
            "QueryContextLineageSubgraph": self._query_context,
            "QueryExecutionInputsAndOutputs": self._query_execution,
            "QueryArtifactLineageSubgraph": self._query_artifact,
        }
        methods = {f"MetadataService/{name}": method for name, method in own.items()}
        for nodes in self._nodes.values():
            methods |= nodes.methods()
        return methods

    def _store(self, name: str) -> Any:
        found = self._resources.get(name)
        if found is None or not _STORE.fullmatch(name):
            raise NotFoundError(f"The MetadataStore {name!r} does not exist.")
        return found

    def _create_store(self, request: Any) -> Any:
        check_parent(request.parent)
        store = request.metadata_store
        store.name = f"{request.parent}/metadataStores/{request.metadata_store_id or 'default'}"
        if self._resources.get(store.name) is not None:
            raise AlreadyExistsError(f"The MetadataStore {store.name!r} already exists.")
        store.create_time.GetCurrentTime()
        store.update_time.CopyFrom(store.create_time)

        def work() -> Any:
            self._resources.add(request.parent, "metadataStores", store)
            return store

        return self._operations.start(store.name, pb.CreateMetadataStoreOperationMetadata(), work)

    def _list_stores(self, request: Any) -> Any:
        page = list_page(Listed.of(request), self._resources.under(request.parent, "metadataStores"))
        return pb.ListMetadataStoresResponse(metadata_stores=page.items, next_page_token=page.next_token)

    def _delete_store(self, request: Any) -> Any:
        self._store(request.name)

        def work() -> Any:
            self._resources.remove_under(request.name)
            self._resources.remove(request.name)
            return empty_pb2.Empty()

        return self._operations.start(request.name, pb.DeleteMetadataStoreOperationMetadata(), work)

    def _add_children(self, request: Any) -> Any:
        for child in request.child_contexts:
            self._nodes["Context"].find(child)
            with self._resources.change(child) as context:
                # the etag stays: the SDK goes on with the one that it got before
                if request.context not in context.parent_contexts:
                    context.parent_contexts.append(request.context)
        return pb.AddContextChildrenResponse()

    def _remove_children(self, request: Any) -> Any:
        for child in request.child_contexts:
            self._nodes["Context"].find(child)
            with self._resources.change(child) as context:
                kept = [parent for parent in context.parent_contexts if parent != request.context]
                del context.parent_contexts[:]
                context.parent_contexts.extend(kept)
        return pb.RemoveContextChildrenResponse()

    def _add_members(self, request: Any) -> Any:
        self._nodes["Context"].find(request.context)
        for artifact in request.artifacts:
            self._nodes["Artifact"].find(artifact)
            self._lineage.put_in(request.context, artifact)
        for execution in request.executions:
            self._nodes["Execution"].find(execution)
            self._lineage.put_in(request.context, execution)
        return pb.AddContextArtifactsAndExecutionsResponse()

    def _add_events(self, request: Any) -> Any:
        self._nodes["Execution"].find(request.execution)
        for event in request.events:
            self._nodes["Artifact"].find(event.artifact)
            event.execution = request.execution
            event.event_time.GetCurrentTime()
            self._lineage.add_event(event)
        return pb.AddExecutionEventsResponse()

    def _query_context(self, request: Any) -> Any:
        self._nodes["Context"].find(request.context)
        return self._lineage.of_context(request.context)

    def _query_execution(self, request: Any) -> Any:
        self._nodes["Execution"].find(request.execution)
        return self._lineage.around([request.execution], hops=1)

    def _query_artifact(self, request: Any) -> Any:
        self._nodes["Artifact"].find(request.artifact)
        return self._lineage.around([request.artifact], hops=request.max_hops or None)


def _touch(node: Any) -> None:
    node.update_time.GetCurrentTime()
    node.etag = etag_of(node)


def _replace(node: Any, given: Any, paths: list[str]) -> None:
    for path in paths:
        if path in {"metadata", "labels", "parent_contexts"}:  # a mask's merge would add to what there is
            node.ClearField(path)
    field_mask_pb2.FieldMask(paths=paths).MergeMessage(given, node, True, True)  # noqa: FBT003 - replace, both kinds
