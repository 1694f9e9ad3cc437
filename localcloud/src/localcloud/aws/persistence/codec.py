"""Objects of moto to bytes and back: pickle, and what pickle alone cannot do.

- A backend is written as its address and read as the live one, so that objects stay connected to their backend.
- Locks, conditions and weak dictionaries are made anew; lambdas (moto's default factories) are written as code, and
  private keys (KMS) as bytes.
- The body of an S3 object goes to a file of its own, once, and is named by the object that has it.
- What a layout keeps in parts of its own is left out of the object that holds it.
"""

import importlib
import io
import marshal
import pickle
import sys
import threading
import types
import uuid
import weakref
from collections import defaultdict
from collections.abc import Callable, Mapping
from copyreg import __newobj__ as new_object  # type: ignore[attr-defined]
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend
from moto.s3.models import FakeKey

_LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())
_BODY = "localcloud_body"
# leaves out of an object's attributes what is kept apart from it
Strip = Callable[[Any], dict[str, Any]]
WriteBody = Callable[[str, bytes], None]
ReadBody = Callable[[str], bytes]


class UnknownBackendError(LookupError):
    """A backend that moto's tables do not hold: it has no address."""


def address_of(backend: BaseBackend) -> tuple[str, str, str]:
    """Return where a backend is found: the variable that holds its service's backends, account and region."""
    kind = type(backend)
    module = sys.modules[kind.__module__]
    for name, value in vars(module).items():
        if isinstance(value, BackendDict) and value.backend is kind:
            return f"{kind.__module__}:{name}", backend.account_id, backend.region_name
    message = f"no table of {kind.__module__} holds {kind.__qualname__}"
    raise UnknownBackendError(message)


def backend_at(variable: str, account: str, region: str) -> BaseBackend:
    """Return the live backend at an address."""
    module, _, name = variable.partition(":")
    found: BaseBackend = getattr(importlib.import_module(module), name)[account][region]
    return found


def encode(value: object, strips: Mapping[type, Strip], write_body: WriteBody) -> tuple[bytes, tuple[str, ...]]:
    """Return an object's bytes and the names of the bodies that they refer to.

    Raises:
        Exception: whatever pickle raises for what it cannot write.
    """
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, strips, write_body)
    pickler.dump(value)
    return buffer.getvalue(), tuple(pickler.bodies)


def decode(data: bytes, read_body: ReadBody) -> Any:
    """Return the object that `encode` wrote."""
    _reading.body = read_body
    return pickle.loads(data)  # noqa: S301 - our own folder, see the package's docstring


_reading = threading.local()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, strips: Mapping[type, Strip], write_body: WriteBody) -> None:
        super().__init__(file, protocol=5)
        self.bodies: list[str] = []
        self._strips, self._write_body = strips, write_body

    def reducer_override(self, value: Any) -> Any:  # noqa: PLR0911 - one answer for each kind
        kind = type(value)
        if kind in self._strips:
            return new_object, (kind,), self._strips[kind](value)
        if kind is FakeKey:
            return new_object, (kind,), self._object(value), None, None, _fill_object
        if kind is types.FunctionType and "<" in value.__qualname__:
            return _function, _parts_of(value)
        if isinstance(value, BaseBackend):
            return backend_at, address_of(value)
        if kind in _MADE_ANEW:
            return _MADE_ANEW[kind], ()
        if kind.__module__.startswith("cryptography.") and hasattr(value, "private_bytes"):
            return _private_key, (_key_bytes(value),)
        if kind is weakref.WeakValueDictionary:
            return weakref.WeakValueDictionary, (dict(value),)
        if isinstance(value, defaultdict) and kind is not defaultdict:
            # whose constructor wants more than the factory that pickle would give it
            state = (dict(vars(value)), value.default_factory)
            return new_object, (kind,), state, None, iter(list(value.items())), _fill_default
        return NotImplemented

    def _object(self, key: FakeKey) -> dict[str, Any]:
        state = dict(vars(key))
        del state["_value_buffer"], state["lock"]
        name, *known = state.get(_BODY) or ("",)
        content = [key.etag, key.contentsize] if not key.disposed else ["", 0]
        if known != content:
            name = uuid.uuid4().hex
            self._write_body(name, b"" if key.disposed else key.value)
            state[_BODY] = vars(key)[_BODY] = (name, *content)
        self.bodies.append(name)
        return state


_MADE_ANEW: Mapping[type, Callable[[], Any]] = {
    _LOCK: threading.Lock,
    _RLOCK: threading.RLock,
    threading.Condition: threading.Condition,
    threading.Event: threading.Event,
}


def _fill_object(key: FakeKey, state: dict[str, Any]) -> None:
    key.__setstate__({**state, "value": _reading.body(state[_BODY][0])})


def _fill_default(value: "defaultdict[Any, Any]", state: tuple[dict[str, Any], Any]) -> None:
    attributes, value.default_factory = state
    vars(value).update(attributes)


def _key_bytes(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only who has a key has the library

    form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    data: bytes = key.private_bytes(*form)
    return data


def _private_key(data: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_private_key  # noqa: PLC0415 - see above

    return load_der_private_key(data, None)


def _parts_of(function: types.FunctionType) -> tuple[Any, ...]:
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    return function.__module__, marshal.dumps(function.__code__), function.__qualname__, function.__defaults__, cells


def _function(module: str, code: bytes, name: str, defaults: tuple[Any, ...] | None, cells: tuple[Any, ...]) -> Any:
    compiled: types.CodeType = marshal.loads(code)  # noqa: S302 - see `decode`
    closure = tuple(types.CellType(content) for content in cells)
    found = types.FunctionType(compiled, vars(importlib.import_module(module)), None, defaults, closure)
    found.__qualname__ = name
    return found
