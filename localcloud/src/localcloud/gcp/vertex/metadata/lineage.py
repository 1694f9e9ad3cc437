"""How metadata hangs together: which artifacts and executions a context holds, and which events join them.

Both are kept as events: a membership has one of artifact and execution, a real event has both.
"""

from collections.abc import Iterable
from typing import Any

from localcloud.gcp.vertex.messages import pb
from localcloud.gcp.vertex.resources import Resources

_MEMBERS, _EVENTS = "contextMembers", "executionEvents"


class Lineage:
    """The edges of the graph."""

    def __init__(self, resources: Resources) -> None:
        """Keep edges in `resources`."""
        self._resources = resources

    def put_in(self, context: str, member: str) -> None:
        """Put an artifact or an execution into a context; doing it twice is doing it once."""
        key = f"{context}#{member}"
        if self._resources.get(key) is None:
            side = {"execution": member} if "/executions/" in member else {"artifact": member}
            self._resources.add(context, _MEMBERS, pb.Event(**side), key=key)

    def is_in(self, member: Any, context: str) -> bool:
        """Whether a node is in a context."""
        return self._resources.get(f"{context}#{member.name}") is not None

    def add_event(self, event: Any) -> None:
        """Join an execution and an artifact; the same event twice is one."""
        key = f"{event.execution}#{event.artifact}#{event.type_}"
        if self._resources.get(key) is None:
            self._resources.add(event.execution, _EVENTS, event, key=key)

    def of_context(self, context: str) -> Any:
        """Return what a context holds, and the events between its members."""
        members = [edge.artifact or edge.execution for edge in self._resources.under(context, _MEMBERS)]
        inside = set(members)
        events = [event for event in self._events() if event.execution in inside and event.artifact in inside]
        return self._graph(members, events)

    def around(self, nodes: Iterable[str], hops: int | None) -> Any:
        """Return what is joined to nodes by at most so many events; None is no limit."""
        events, found, border = self._events(), dict.fromkeys(nodes), set(nodes)
        while border and (hops is None or hops > 0):
            border = {
                other
                for event in events
                for one, other in ((event.artifact, event.execution), (event.execution, event.artifact))
                if one in border and other not in found
            }
            found |= dict.fromkeys(sorted(border))
            hops = None if hops is None else hops - 1
        inside = [event for event in events if event.artifact in found and event.execution in found]
        return self._graph(found, inside)

    def forget(self, node: str) -> None:
        """Drop a node's edges."""
        self._resources.remove_under(node)
        for event in self._events():
            if event.artifact == node:
                self._resources.remove(f"{event.execution}#{event.artifact}#{event.type_}")
        self._resources.remove_ending(f"#{node}")

    def _events(self) -> list[Any]:
        return self._resources.all(_EVENTS)

    def _graph(self, names: Iterable[str], events: list[Any]) -> Any:
        graph = pb.LineageSubgraph(events=events)
        for name in names:
            node = self._resources.get(name)
            if node is not None:
                getattr(graph, "executions" if "/executions/" in name else "artifacts").append(node)
        return graph
