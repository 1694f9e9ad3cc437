"""Which of moto's backends are reached, and by whom: what has to be looked at when a request is over.

Every operation finds its backend by `backends[account][region]`, also when one service calls another (an object's
notification to a queue, a rule's target). That look-up is the one place of moto that is wrapped.

Threads of jobs change records outside of any request: they say so with `changing`.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from moto.core.base_backend import AccountSpecificBackend, BaseBackend

# held while a record changes and while state is pickled: what a reader saw is what is saved before its answer leaves
CHANGES = threading.RLock()
# set when something was changed outside of a request
changed_outside = threading.Event()

_local = threading.local()
_outside: dict[int, BaseBackend] = {}
_changed: dict[int, object] = {}
_find = AccountSpecificBackend.__getitem__


def watch() -> None:
    """Note each look-up of a backend from now on."""

    def find(backends: "AccountSpecificBackend[Any]", region_name: str) -> Any:
        backend = _find(backends, region_name)
        found = getattr(_local, "backends", None)
        if found is not None:
            found[id(backend)] = backend
        else:
            _outside[id(backend)] = backend
            changed_outside.set()
        return backend

    AccountSpecificBackend.__getitem__ = find  # type: ignore[method-assign]


@contextlib.contextmanager
def by_request() -> Iterator[dict[int, BaseBackend]]:
    """Collect the backends that this thread reaches while the block runs."""
    before = getattr(_local, "backends", None)
    found: dict[int, BaseBackend] = {}
    _local.backends = found
    try:
        yield found
    finally:
        _local.backends = before


@contextlib.contextmanager
def unnoticed() -> Iterator[None]:
    """Let this thread reach backends without a note: it saves or restores them."""
    with by_request():
        yield


@contextlib.contextmanager
def changing(stored: object) -> Iterator[None]:
    """Change a stored SageMaker record while the block runs; it is saved before an answer can tell of the change."""
    with CHANGES:
        _changed[id(stored)] = stored
        yield
    changed_outside.set()


def take() -> tuple[list[BaseBackend], dict[int, object]]:
    """Return, and forget, what was reached and what was changed outside of requests."""
    with CHANGES:
        changed_outside.clear()
        backends = [_outside.pop(key) for key in list(_outside)]
        changed = dict(_changed)
        _changed.clear()
    return backends, changed
