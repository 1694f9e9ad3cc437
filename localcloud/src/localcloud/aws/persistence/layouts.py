"""How the state of a service is cut into parts: what can grow without end is kept piece by piece.

A part has a path: a group, such as ("keys", bucket), and a name in it. Everything of a backend that has no part of its
own is one part with the path (): whoever changes it pays for all of it, which is little for what describes resources.

A `Layout` tells what may have changed since it was last asked. Cheap signs (how many events a stream has, how often a
message was received) tell it for what grows; what has no sign is pickled and compared by `state`.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend
from moto.core.base_backend import BaseBackend
from moto.logs.models import LogEvent, LogGroup, LogsBackend, LogStream
from moto.s3.models import FakeBucket, FakeTableStorageBucket, MultipartDict, S3Backend, s3_backends
from moto.s3.utils import _VersionedKeyStore
from moto.sagemaker.models import SageMakerModelBackend
from moto.sqs.models import Queue, SQSBackend

from localcloud.aws.persistence.codec import Strip
from localcloud.aws.persistence.requests import Request

# what is not kept, by service, and why
NOT_KEPT: Mapping[str, str] = {
    "batch": "moto's Batch jobs are threads",
}
GONE = object()
BY_THREADS = Request(service=None, operation="", host="", path="", query="", body=b"")
REST: tuple[str, ...] = ()
Signs = dict[tuple[str, ...], dict[str, object]]
JOB_TABLES = ("training_jobs", "processing_jobs", "transform_jobs", "hyper_parameter_tuning_jobs")


@dataclass(frozen=True)
class Candidate:
    """A part that may have changed; `value` is GONE when it does not exist any more.

    Args:
        group: Where it belongs; REST is the backend itself.
        name: Its name in the group.
        sign: Anything that differs when the part has changed; None when there is no such sign.
        value: What has to be kept.
    """

    group: tuple[str, ...]
    name: str
    sign: object
    value: object


@dataclass
class Occasion:
    """Why a backend is looked at. Without a request everything in it is.

    Args:
        request: The request that reached it; `BY_THREADS` when only what threads have changed has to be looked at.
        changed: The records that threads have changed, by `id`.
        found: Those of them that were found.
    """

    request: Request | None = None
    changed: Mapping[int, object] = field(default_factory=dict)
    found: set[int] = field(default_factory=set)


class Layout:
    """The state of a service that has no parts of its own."""

    is_cut = False

    def rest(self, backend: BaseBackend) -> dict[str, Any]:
        """Return the attributes that are kept together."""
        return dict(vars(backend))

    def candidates(self, backend: BaseBackend, signs: Signs, occasion: Occasion) -> Iterator[Candidate]:  # noqa: ARG002 - every layout's signature
        """Return what may have changed since `signs` were noted; a backend's rest comes first."""
        yield Candidate(REST, "", None, self.rest(backend))

    def attach(self, backend: BaseBackend, group: tuple[str, ...], name: str, value: Any) -> object:
        """Put a part back to where it was; return its sign if the backend does not tell it.

        The rest is there already, and parts come in the order in which they were first written.
        """
        raise NotImplementedError


class _Objects(Layout):
    """S3: one part for each key with all its versions and their tags, one for each upload of parts."""

    is_cut = True

    def rest(self, backend: Any) -> dict[str, Any]:
        tags = {arn: held for arn, held in backend.tagger.tags.items() if "/" not in arn.rpartition(":")[2]}
        return {**vars(backend), "tagger": _with(backend.tagger, tags=tags)}

    def candidates(self, backend: Any, signs: Signs, occasion: Occasion) -> Iterator[Candidate]:
        request = occasion.request
        target = request.s3_target() if request else None
        if target is not None and target.key is not None:
            bucket = backend.buckets.get(target.bucket)
            if bucket is not None:
                yield self._key(backend, bucket, target.key)
                yield from self._uploads(bucket, signs)
            return
        yield Candidate(REST, "", None, self.rest(backend))
        for group in list(signs):
            if group and group[1] not in backend.buckets:
                yield from _gone(signs, group, ())
        for bucket in list(backend.buckets.values()):
            yield from self._uploads(bucket, signs)
            group = ("keys", bucket.name)
            yield from _gone(signs, group, bucket.keys)
            for name in list(bucket.keys):
                # what a request to a bucket does to its objects is to remove them or to mark them as deleted
                yield self._key(backend, bucket, name, compare=target is not None)

    def _key(self, backend: Any, bucket: FakeBucket, name: str, *, compare: bool = False) -> Candidate:
        versions = bucket.keys.getlist(name)
        if not versions:
            return Candidate(("keys", bucket.name), name, None, GONE)
        arns = [version.arn for version in versions if hasattr(version, "arn")]
        tags = {arn: backend.tagger.tags[arn] for arn in arns if arn in backend.tagger.tags}
        sign = tuple(map(id, versions))
        return Candidate(("keys", bucket.name), name, sign if compare else _Always(sign), (versions, tags))

    def _uploads(self, bucket: FakeBucket, signs: Signs) -> Iterator[Candidate]:
        group = ("uploads", bucket.name)
        yield from _gone(signs, group, bucket.multiparts)
        for name, upload in list(bucket.multiparts.items()):
            yield Candidate(group, name, tuple((number, id(part)) for number, part in upload.parts.items()), upload)

    def attach(self, backend: Any, group: tuple[str, ...], name: str, value: Any) -> object:
        kind, bucket = group
        if kind == "uploads":
            backend.buckets[bucket].multiparts[name] = value
        else:
            versions, tags = value
            backend.buckets[bucket].keys.setlist(name, versions)
            backend.tagger.tags.update(tags)
        return None


class _Logs(Layout):
    """CloudWatch Logs: one part for each stream, and its events as they came."""

    is_cut = True

    def candidates(self, backend: Any, signs: Signs, occasion: Occasion) -> Iterator[Candidate]:
        yield from super().candidates(backend, signs, occasion)
        for kind, group, *stream in [known for known in signs if known != REST]:
            if group not in backend.groups or (stream and stream[0] not in backend.groups[group].streams):
                yield from _gone(signs, (kind, group, *stream), ())
        for group in list(backend.groups.values()):
            streams = ("streams", group.name)
            yield from _gone(signs, streams, group.streams)
            for name, stream in list(group.streams.items()):
                sign = (stream.creation_time, stream.upload_sequence_token, len(stream.events))
                if signs.get(streams, {}).get(name) == sign:
                    continue
                yield Candidate(streams, name, sign, stream)
                yield from _appended(signs, ("events", group.name, name), stream.events, stream.creation_time)

    def attach(self, backend: Any, group: tuple[str, ...], name: str, value: Any) -> object:
        if group[0] == "streams":
            value.log_group = backend.groups[group[1]]
            backend.groups[group[1]].streams[name] = value
            return None
        stream = backend.groups[group[1]].streams[group[2]]
        stream.events += value
        LogEvent._event_id = max(LogEvent._event_id, *(event.event_id + 1 for event in value))  # noqa: SLF001
        return len(value), stream.creation_time


class _Metrics(Layout):
    """CloudWatch: the data as they came."""

    is_cut = True

    def rest(self, backend: Any) -> dict[str, Any]:
        return {**vars(backend), "metric_data": [], "paged_metric_data": {}}

    def candidates(self, backend: Any, signs: Signs, occasion: Occasion) -> Iterator[Candidate]:
        yield from super().candidates(backend, signs, occasion)
        yield from _appended(signs, ("data",), backend.metric_data, None)

    def attach(self, backend: Any, group: tuple[str, ...], name: str, value: Any) -> object:  # noqa: ARG002 - see Layout
        backend.metric_data += value
        return len(value), None


class _Queues(Layout):
    """SQS: one part for each message. A number that it keeps gives its place in the queue."""

    is_cut = True

    def __init__(self) -> None:
        # later than any number of an earlier server
        self._numbers = itertools.count(time.time_ns())

    def candidates(self, backend: Any, signs: Signs, occasion: Occasion) -> Iterator[Candidate]:
        yield from super().candidates(backend, signs, occasion)
        for group in list(signs):
            if group and group[1] not in backend.queues:
                yield from _gone(signs, group, ())
        for queue in list(backend.queues.values()):
            group, held = ("messages", queue.name), {}
            for message in list(queue._messages):  # noqa: SLF001 - the property leaves out those that are in flight
                number = vars(message).setdefault("localcloud_number", next(self._numbers))
                held[str(number)] = message
            yield from _gone(signs, group, held)
            for name, message in held.items():
                pending = message in queue.pending_messages
                sign = (message.approximate_receive_count, message.visible_at, message.delayed_until, pending)
                yield Candidate(group, name, sign, (message, pending))

    def attach(self, backend: Any, group: tuple[str, ...], name: str, value: Any) -> object:  # noqa: ARG002 - see Layout
        message, pending = value
        queue = backend.queues[group[1]]
        queue._messages.append(message)  # noqa: SLF001 - see above
        if pending:
            queue.pending_messages.add(message)
        return None


class _SageMaker(Layout):
    """SageMaker: one part for each job. A job changes by a request that names it, or by `reached.changing`."""

    is_cut = True

    def rest(self, backend: Any) -> dict[str, Any]:
        return {**vars(backend), **{table: {} for table in JOB_TABLES}}

    def candidates(self, backend: Any, signs: Signs, occasion: Occasion) -> Iterator[Candidate]:
        request, changed = occasion.request, occasion.changed
        jobs: list[Candidate] = []
        for table in JOB_TABLES:
            group, held = (table,), getattr(backend, table)
            jobs += _gone(signs, group, held)
            for name, stored in list(held.items()):
                by_thread = id(stored) in changed
                if by_thread:
                    occasion.found.add(id(stored))
                if by_thread or name not in signs.get(group, {}) or request is None or request.names(name):
                    jobs.append(Candidate(group, name, None, stored))
        if request is not BY_THREADS or changed.keys() - occasion.found:
            yield Candidate(REST, "", None, self.rest(backend))
        yield from jobs

    def attach(self, backend: Any, group: tuple[str, ...], name: str, value: Any) -> object:
        getattr(backend, group[0])[name] = value
        return None


class _Always:
    """A sign that equals no other but can be compared with: what it holds is noted."""

    def __init__(self, sign: object) -> None:
        self.sign = sign


def noted(sign: object) -> object:
    """Return what is noted of a sign."""
    return sign.sign if isinstance(sign, _Always) else sign


def _gone(signs: Signs, group: tuple[str, ...], held: Mapping[str, object] | Sequence[str]) -> Iterator[Candidate]:
    for name in [name for name in signs.get(group, ()) if name not in held]:
        yield Candidate(group, name, None, GONE)


def _appended(signs: Signs, group: tuple[str, ...], items: Sequence[Any], identity: object) -> Iterator[Candidate]:
    """Return what was appended to a list; its identity and its length tell whether it is still the same list."""
    kept: dict[str, Any] = signs.get(group, {})
    length = sum(count for count, _ in kept.values())
    same = all(known == identity for _, known in kept.values()) and length <= len(items)
    if not same:
        yield from _gone(signs, group, ())
        length = 0
    if length < len(items):
        new = list(items[length:])
        yield Candidate(group, str(length), (len(new), identity), new)


def _with(value: Any, **attributes: Any) -> Any:
    """Return a shallow copy of an object with other attributes."""
    copied = object.__new__(type(value))
    copied.__dict__.update({**vars(value), **attributes})
    return copied


def _without(**emptied: Callable[[], Any]) -> Strip:
    return lambda value: {**vars(value), **{name: make() for name, make in emptied.items()}}


# what has parts of its own is left out of the object that holds it
STRIPS: Mapping[type, Strip] = {
    FakeBucket: _without(keys=_VersionedKeyStore, multiparts=MultipartDict),
    FakeTableStorageBucket: _without(keys=_VersionedKeyStore, multiparts=MultipartDict),
    LogGroup: _without(streams=dict),
    LogStream: _without(events=list, log_group=lambda: None),
    Queue: _without(_messages=list, _pending_messages=set, deleted_messages=set),
}
_LAYOUTS: Mapping[type, Layout] = {
    S3Backend: _Objects(),
    LogsBackend: _Logs(),
    CloudWatchBackend: _Metrics(),
    SQSBackend: _Queues(),
    SageMakerModelBackend: _SageMaker(),
}
_WHOLE = Layout()


def layout_of(backend: BaseBackend) -> Layout:
    """Return how a backend's state is cut."""
    return _LAYOUTS.get(type(backend), _WHOLE)


def restored(backend: BaseBackend) -> None:
    """Put right what a restored backend tells outside of itself."""
    if isinstance(backend, S3Backend):
        for bucket in backend.buckets.values():
            s3_backends.bucket_accounts[bucket.name] = (bucket.partition, bucket.account_id)
