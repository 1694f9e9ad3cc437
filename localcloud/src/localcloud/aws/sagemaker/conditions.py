"""What a user switches on to see how clients cope: quotas, throttling, spot interruptions, faults.

`PUT /_localcloud/conditions` replaces all conditions by those of its JSON body, `DELETE` removes them, `GET` shows
them. They concern SageMaker's operations and are gone when the server ends.

    {
      "quotas": {"training": {"ml.m5.large": 2}},              instances at once, by kind and instance type
      "spot": {"after_seconds": 30, "times": 1},               interrupts each managed spot training job
      "throttles": [{"operation": "Describe*", "rate": 2, "burst": 4}],        calls per second, and at once
      "faults": [{"operation": "CreateTrainingJob", "kind": "hold"}]
    }

Kinds: training, processing, transform, endpoint. `operation` is a name or a pattern with `*`. Kinds of fault, each for
the next `calls` calls, for `seconds` from now on, or (when neither is given) until the conditions change:

- `error`: answers `status` (default 500) and `code` (default InternalFailure) without carrying the operation out,
- `reset`: resets the connection without carrying the operation out,
- `hold`: carries the operation out and holds the answer back until the conditions change: a client that is killed
  meanwhile never learns that its call succeeded.

Bodies are read strictly: a key that is misspelt would otherwise be a fault that never happens.
"""

import fnmatch
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

KINDS = ("training", "processing", "transform", "endpoint")
FAULTS = ("error", "reset", "hold")
_LEAST_STATUS, _MOST_STATUS = 400, 599
_T = TypeVar("_T")


class ConditionsError(Exception):
    """The body breaks a rule; the message names field, rule, value and remedy."""


@dataclass(frozen=True)
class SpotInterruptions:
    """Each managed spot job is interrupted `times` times, `after_seconds` after its program has started."""

    after_seconds: float
    times: int


@dataclass
class Throttle:
    """A token bucket: `rate` calls per second, `burst` at once."""

    operation: str
    rate: float
    burst: float
    _tokens: float = field(default=0.0, init=False, repr=False)
    _filled: float = field(default_factory=time.monotonic, init=False, repr=False)

    def __post_init__(self) -> None:
        """Begin with a full bucket."""
        self._tokens = self.burst

    def admits(self) -> bool:
        """Take a token; False when there is none."""
        now = time.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass
class Fault:
    """A fault of the next `calls` calls, or of those in the next `seconds`."""

    operation: str
    kind: str
    status: int = 500
    code: str = "InternalFailure"
    calls: int | None = None
    seconds: float | None = None
    _since: float = field(default_factory=time.monotonic, init=False, repr=False)

    def strikes(self) -> bool:
        """Whether this call is hit; counts it."""
        if self.seconds is not None and time.monotonic() - self._since > self.seconds:
            return False
        if self.calls is None:
            return True
        if self.calls == 0:
            return False
        self.calls -= 1
        return True


THROTTLED = Fault(operation="*", kind="error", status=400, code="ThrottlingException")


class Conditions:
    """The conditions of one cloud, as they are now."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = threading.Lock()
        self.quotas: dict[str, dict[str, int]] = {}
        self.spot: SpotInterruptions | None = None
        self._throttles: list[Throttle] = []
        self._faults: list[Fault] = []
        # set when the conditions are no longer these
        self._changed = threading.Event()
        # how many answers are held back
        self.held = 0

    def replace(self, content: object) -> None:
        """Replace all conditions.

        Raises:
            ConditionsError: A rule is broken; nothing has changed then.
        """
        body = _mapping("(body)", content, ("quotas", "spot", "throttles", "faults"))
        quotas = _quotas(body.get("quotas", {}))
        spot = _read("spot", body["spot"], SpotInterruptions) if body.get("spot") else None
        throttles = [_read(f"throttles[{n}]", item, Throttle) for n, item in _items(body, "throttles")]
        faults = [_read(f"faults[{n}]", item, Fault) for n, item in _items(body, "faults")]
        for number, fault in enumerate(faults):
            if fault.kind not in FAULTS:
                raise _wrong(f"faults[{number}].kind", f"must be one of {', '.join(FAULTS)}", fault.kind)
            if not _LEAST_STATUS <= fault.status <= _MOST_STATUS:
                raise _wrong(f"faults[{number}].status", "must be a status of HTTP's errors", fault.status)
        self._set(quotas, spot, throttles, faults)

    def clear(self) -> None:
        """Remove all conditions, and let go what is held."""
        self._set({}, None, [], [])

    def shown(self) -> dict[str, Any]:
        """Return the conditions as their JSON; `calls` as many as are left."""
        with self._lock:
            return {
                "quotas": self.quotas,
                "spot": asdict(self.spot) if self.spot else None,
                "throttles": [_public(throttle) for throttle in self._throttles],
                "faults": [_public(fault) for fault in self._faults],
                "held": self.held,
            }

    def strike(self, operation: str) -> Fault | None:
        """Return the fault that hits this call of an operation, if one does."""
        with self._lock:
            for throttle in self._throttles:
                if fnmatch.fnmatchcase(operation, throttle.operation) and not throttle.admits():
                    return THROTTLED
            for fault in self._faults:
                if fnmatch.fnmatchcase(operation, fault.operation) and fault.strikes():
                    return fault
        return None

    def hold(self) -> None:
        """Wait until the conditions change."""
        with self._lock:
            changed = self._changed
            self.held += 1
        changed.wait()

    def _set(
        self,
        quotas: dict[str, dict[str, int]],
        spot: SpotInterruptions | None,
        throttles: list[Throttle],
        faults: list[Fault],
    ) -> None:
        with self._lock:
            self._changed.set()
            self._changed = threading.Event()
            self.held = 0
            self.quotas, self.spot, self._throttles, self._faults = quotas, spot, throttles, faults


def _quotas(content: object) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for kind, limits in _mapping("quotas", content, KINDS).items():
        found[kind] = {}
        for instance_type, limit in _mapping(f"quotas.{kind}", limits, None).items():
            if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
                raise _wrong(f"quotas.{kind}.{instance_type}", "must be a number of instances from 0 on", limit)
            found[kind][instance_type] = limit
    return found


def _items(body: Mapping[str, Any], key: str) -> list[tuple[int, object]]:
    content = body.get(key, [])
    if not isinstance(content, list):
        raise _wrong(key, "must be a list", content)
    return list(enumerate(content))


def _read(where: str, content: object, kind: type[_T]) -> _T:
    """Return a dataclass from a mapping of its fields, each of the annotated type."""
    accepted: dict[object, tuple[type, ...]] = {
        str: (str,),
        int: (int,),
        int | None: (int,),
        float: (int, float),
        float | None: (int, float),
    }
    fields = {name: annotation for name, annotation in kind.__annotations__.items() if not name.startswith("_")}
    given = _mapping(where, content, tuple(fields))
    for name, value in given.items():
        if (
            not isinstance(value, accepted[fields[name]])
            or isinstance(value, bool)
            or (isinstance(value, int | float) and not 0 <= value < math.inf)
        ):
            raise _wrong(f"{where}.{name}", f"must be of type {fields[name]} and not negative", value)
    try:
        return kind(**given)
    except TypeError as error:
        raise _wrong(where, f"is incomplete ({error})", content) from error


def _mapping(where: str, content: object, keys: tuple[str, ...] | None) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise _wrong(where, "must be an object", content)
    for key in content:
        if keys is not None and key not in keys:
            raise _wrong(f"{where}.{key}", f"is not one of {', '.join(keys)}", content[key])
    return content


def _public(rule: Throttle | Fault) -> dict[str, Any]:
    return {name: value for name, value in vars(rule).items() if not name.startswith("_") and value is not None}


def _wrong(where: str, rule: str, value: object) -> ConditionsError:
    return ConditionsError(
        f"conditions: {where} {rule}, got {value!r}. Remedy: correct it; the keys and their values are listed in the "
        "documentation of localcloud.aws.sagemaker.conditions."
    )
