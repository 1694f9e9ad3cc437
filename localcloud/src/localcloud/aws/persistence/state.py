"""The state of the cloud on one root: restored at the start, saved with each change, cleared by a reset."""

import hashlib
import pickle
import platform
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import moto
from moto.core.base_backend import BaseBackend

from localcloud.aws.persistence import reached
from localcloud.aws.persistence.codec import address_of, backend_at, decode, encode
from localcloud.aws.persistence.database import Address, Database, Part, unreadable
from localcloud.aws.persistence.layouts import (
    BY_THREADS,
    GONE,
    NOT_KEPT,
    REST,
    STRIPS,
    Candidate,
    Occasion,
    Signs,
    layout_of,
    noted,
    restored,
)
from localcloud.aws.persistence.requests import Request

_T = TypeVar("_T")
# another thread may be changing what is pickled; its own request, or the next look, comes after
_TRIES = 50
# how long what threads change may wait when nobody asks, in seconds
_PAUSE_SECONDS = 0.05
VERSIONS = {
    "moto": moto.__version__,
    "localcloud": version("localcloud"),
    "python": ".".join(platform.python_version_tuple()[:2]),
}


class State:
    """What is kept of a cloud. `not_kept`: what could not be kept, by the backend's address, and why."""

    def __init__(self, folder: Path) -> None:
        """Open it.

        Raises:
            StateError: It cannot be read here.
        """
        self._folder = folder
        self._database = Database(folder, VERSIONS)
        self._signs: dict[Address, Signs] = {}
        self._digests: dict[tuple[Address, tuple[str, ...]], bytes] = {}
        # the requests that are being carried out and may change something, with the backends that each has reached
        self._unsaved: dict[int, tuple[Request, dict[int, BaseBackend]]] = {}
        self.not_kept: dict[str, str] = self._database.problems()
        for place, why in self.not_kept.items():
            _say(place, why)

    def restore(self) -> None:
        """Put back what is kept, then note all changes.

        Raises:
            StateError: Something cannot be read; nothing is served then.
        """
        parts = list(self._database.parts())
        found: dict[Address, BaseBackend] = {}
        try:
            for address, part in sorted(parts, key=lambda item: item[1].path != REST):  # a backend before its parts
                value = decode(part.data or b"", self._database.read_body)
                backend = found.setdefault(address, backend_at(*address))
                if part.path == REST:
                    vars(backend).clear()
                    vars(backend).update(value)
                else:
                    sign = layout_of(backend).attach(backend, part.path[:-1], part.path[-1], value)
                    if sign is not None:
                        signs = self._signs.setdefault(address, {})
                        signs.setdefault(part.path[:-1], {})[part.path[-1]] = sign
                self._digests[address, part.path] = _digest(part.data or b"")
        except (
            pickle.UnpicklingError,
            LookupError,
            AttributeError,
            ImportError,
            OSError,
            TypeError,
            ValueError,
        ) as error:
            raise unreadable(self._folder, f"{type(error).__name__}: {error}") from error
        for address, backend in found.items():
            restored(backend)
            signs = self._signs.setdefault(address, {})
            for candidate in list(layout_of(backend).candidates(backend, signs, Occasion())):
                signs.setdefault(candidate.group, {})[candidate.name] = noted(candidate.sign)
        reached.watch()
        threading.Thread(target=self._save_for_ever, name="state", daemon=True).start()

    def around(self, request: Request, carry_out: Callable[[], _T]) -> _T:
        """Carry a request out and keep what it changed, and what it may have seen; return its answer."""
        with reached.by_request() as backends:
            if not request.reads:
                self._unsaved[id(backends)] = (request, backends)
            try:
                return carry_out()
            finally:
                own = self._unsaved.pop(id(backends), None)
                self.save([*([own] if own else []), *self._seen(backends)])

    def _seen(self, backends: dict[int, BaseBackend]) -> Iterator[tuple[Request, dict[int, BaseBackend]]]:
        """Return the requests whose changes can be seen in some backends before they are saved."""
        for request, others in list(self._unsaved.values()):
            shared = {key: backend for key, backend in list(others.items()) if key in backends}
            if shared:
                yield request, shared

    def save(self, requests: Sequence[tuple[Request, Mapping[int, BaseBackend]]] = ()) -> None:
        """Keep what requests have changed in the backends that each has reached, and what threads have changed."""
        if not any(backends for _, backends in requests) and not reached.changed_outside.is_set():
            return
        with reached.CHANGES, reached.unnoticed():
            outside, changed = reached.take()
            for request, backends in requests:
                for backend in backends.values():
                    self._save(backend, Occasion(request, changed))
            for backend in outside:
                self._save(backend, Occasion(None, changed))
            if changed:
                for backend in _sagemaker_backends():
                    self._save(backend, Occasion(BY_THREADS, changed))

    def save_all(self) -> None:
        """Keep what has changed in any backend that was kept before."""
        with reached.CHANGES, reached.unnoticed():
            for address in list(self._signs):
                self._save(backend_at(*address), Occasion())

    def clear(self, reset: Callable[[], _T]) -> _T:
        """Reset the cloud and forget everything; return the reset's answer."""
        with reached.CHANGES:
            answer = reset()
            reached.take()
            self._database.clear()
            self._signs.clear()
            self._digests.clear()
        return answer

    def status(self) -> dict[str, Any]:
        """Return what the status page shows: bytes written since the start, and what is not kept and why."""
        return {"bytes_written": self._database.bytes_written, "not_kept": {**NOT_KEPT, **self.not_kept}}

    def _save(self, backend: BaseBackend, occasion: Occasion) -> None:
        """Keep what has changed in a backend; what cannot be kept is said, and does not break the request."""
        place, service = type(backend).__module__, type(backend).__module__.split(".")[1]
        if service in NOT_KEPT:
            self._cannot_keep(place, NOT_KEPT[service])
            return
        try:
            address = address_of(backend)
            place = " ".join(address)
            # after a failure nobody knows what is missing
            self._write(backend, address, Occasion(None, occasion.changed) if place in self.not_kept else occasion)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request was carried out and has to be answered
            self._cannot_keep(place, f"{type(error).__name__}: {error}")
        else:
            if self.not_kept.pop(place, None) is not None:
                self._database.note_problem(place, None)

    def _cannot_keep(self, place: str, why: str) -> None:
        if place not in self.not_kept:
            _say(place, why)
            self._database.note_problem(place, why)
        self.not_kept[place] = why

    def _write(self, backend: BaseBackend, address: Address, occasion: Occasion) -> None:
        signs = self._signs.setdefault(address, {})
        candidates = _stable(lambda: list(layout_of(backend).candidates(backend, signs, occasion)))
        parts = [part for candidate in candidates for part in self._changed(backend, address, signs, candidate)]
        if parts:
            self._database.write(address, parts)
        for part in parts:
            if part.data is None:
                self._digests.pop((address, part.path), None)
            else:
                self._digests[address, part.path] = _digest(part.data)
        for candidate in candidates:
            if candidate.value is not GONE:
                signs.setdefault(candidate.group, {})[candidate.name] = noted(candidate.sign)
            elif candidate.group in signs:
                signs[candidate.group].pop(candidate.name, None)
                if not signs[candidate.group]:
                    del signs[candidate.group]

    def _changed(self, backend: BaseBackend, address: Address, signs: Signs, candidate: Candidate) -> Iterator[Part]:
        """Return the candidate's part if it differs from what is kept."""
        path = _path(candidate)
        if candidate.value is GONE:
            yield Part(path, None)
            return
        if candidate.sign is not None and signs.get(candidate.group, {}).get(candidate.name) == candidate.sign:
            return
        data, bodies = _stable(lambda: encode(candidate.value, STRIPS, self._database.write_body))
        if self._digests.get((address, path)) == _digest(data):
            return
        if path == REST and not layout_of(backend).is_cut:
            # what cannot be read again has to be known now, not at the next start
            decode(data, self._database.read_body)
        yield Part(path, data, bodies)

    def _save_for_ever(self) -> None:
        """Keep what threads change when no request comes."""
        pause = threading.Event()
        while True:
            reached.changed_outside.wait()
            pause.wait(_PAUSE_SECONDS)
            self.save()


def _sagemaker_backends() -> list[BaseBackend]:
    from moto.sagemaker.models import sagemaker_backends  # noqa: PLC0415

    return [backend for _, _, backend in sagemaker_backends.iter_backends()]


def _say(place: str, why: str) -> None:
    sys.stderr.write(f"not kept for the next start: {place}: {why}\n")
    sys.stderr.flush()


def _path(candidate: Candidate) -> tuple[str, ...]:
    return (*candidate.group, candidate.name) if candidate.group else REST


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _stable(read: Callable[[], _T]) -> _T:
    """Read what other threads may be changing: again when it changed in between."""
    for _ in range(_TRIES):
        try:
            return read()
        except RuntimeError:  # a dictionary or a set changed its size
            continue
    return read()
