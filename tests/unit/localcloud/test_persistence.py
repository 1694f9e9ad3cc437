"""The parts of the state's keeping: what pickle alone cannot do, which requests change something, files of bodies."""

import threading
import weakref
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moto.backend_index
import pytest
from moto.backends import get_backend
from moto.core.base_backend import AccountSpecificBackend
from moto.iam.models import iam_backends
from moto.s3.models import FakeKey
from moto.sqs.models import sqs_backends

from localcloud.aws.persistence.codec import UnknownBackendError, address_of, backend_at, decode, encode
from localcloud.aws.persistence.database import Database, Part
from localcloud.aws.persistence.layouts import NOT_KEPT, STRIPS, layout_of
from localcloud.aws.persistence.requests import Request, Target
from localcloud.aws.persistence.state import VERSIONS as STATE_VERSIONS
from localcloud.aws.persistence.state import State
from localcloud.errors import StateError

ACCOUNT = "123456789012"
PLACE = ("moto.s3.models:s3_backends", ACCOUNT, "aws")
VERSIONS = {"moto": "1", "python": "3"}


class Named(defaultdict[str, str]):
    """A dictionary whose constructor wants something, as moto has some."""

    def __init__(self, owner: str) -> None:
        super().__init__(str)
        self.owner = owner


class Held:
    """Something that a weak dictionary can hold."""


def again(value: Any) -> Any:
    """Return what is read of what was written; there are no bodies."""
    data, bodies = encode(value, STRIPS, lambda _name, _body: pytest.fail("no object has a body"))
    assert bodies == ()
    return decode(data, lambda _name: b"")


def made(word: str) -> Callable[[], str]:
    """Return a function that only a closure knows."""
    return lambda: f"made of {word}"


def test_backends_stay_themselves() -> None:
    """A reference to a backend is one to the live backend afterwards."""
    backend = iam_backends[ACCOUNT]["aws"]
    assert backend_at(*address_of(backend)) is backend
    assert again({"owner": backend})["owner"] is backend


def test_backend_without_address() -> None:
    """What only looks like a backend is refused, not copied."""

    class Stray(type(iam_backends[ACCOUNT]["aws"])):  # type: ignore[misc]
        """No table of moto holds it."""

    with pytest.raises(UnknownBackendError):
        address_of(Stray("us-east-1", ACCOUNT))


def test_functions() -> None:
    """Functions without a name are written as code, with what they close over."""
    assert again(made("word"))() == "made of word"
    table = again(defaultdict(lambda: "absent", known="here"))
    assert (table["known"], table["other"]) == ("here", "absent")


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, threading.Condition])
def test_locks(make: Callable[[], Any]) -> None:
    """Locks come back free."""
    lock = make()
    lock.acquire()
    assert again({"lock": lock})["lock"].acquire(blocking=False)


def test_dictionaries() -> None:
    """Dictionaries with constructors of their own, and weak ones, come back with what they held."""
    named = Named("me")
    named["a"] = "b"
    found = again(named)
    assert (type(found), found.owner, dict(found), found["missing"]) == (Named, "me", {"a": "b"}, "")
    held = Held()
    kept = again({"strong": held, "weak": weakref.WeakValueDictionary({"held": held})})
    assert kept["weak"]["held"] is kept["strong"]


def test_body_is_written_once() -> None:
    """An object's body is written when it is new or has changed, not with every change of what is said of it."""
    bodies: dict[str, bytes] = {}
    key = FakeKey("k", b"one", ACCOUNT, "us-east-1")
    (name,) = encode(key, STRIPS, bodies.__setitem__)[1]
    key.set_metadata({"a": "b"})
    data, named = encode(key, STRIPS, bodies.__setitem__)
    assert (named, bodies) == ((name,), {name: b"one"})
    found = decode(data, bodies.__getitem__)
    assert (found.value, found.etag, found.metadata["a"], found.last_modified) == (
        b"one", key.etag, "b", key.last_modified,
    )  # fmt: skip
    key.value = b"other"  # type: ignore[misc] # moto's setter
    assert encode(key, STRIPS, bodies.__setitem__)[1] != (name,)


def test_bodies_go_with_the_last_that_names_them(tmp_path: Path) -> None:
    """A file goes when no part names it any more, and at the start when no part ever did."""
    database = Database(tmp_path / "state", VERSIONS)
    for name in ("shared", "own"):
        database.write_body(name, b"body")
    database.write(PLACE, [Part(("a",), b"1", ("shared", "own")), Part(("b",), b"2", ("shared",))])
    database.write(PLACE, [Part(("a",), None)])
    assert [file.name for file in (tmp_path / "state" / "objects").iterdir()] == ["shared"]
    database.write_body("half", b"bo")
    later = Database(tmp_path / "state", VERSIONS)
    assert list(later.parts()) == [(PLACE, Part(("b",), b"2", ("shared",)))]
    assert [file.name for file in (tmp_path / "state" / "objects").iterdir()] == ["shared"]
    later.write(PLACE, [Part(("b",), b"3")])
    assert list((tmp_path / "state" / "objects").iterdir()) == []


def test_versions(tmp_path: Path) -> None:
    """Other versions are refused; the message names both, and what can be done."""
    Database(tmp_path, VERSIONS)
    with pytest.raises(StateError, match=r"by moto 1 python 3, and this is moto 2 python 3.*choose another --root"):
        Database(tmp_path, {**VERSIONS, "moto": "2"})


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("GetObject", True),
        ("HeadObject", True),
        ("ListObjectsV2", True),
        ("GET object?tagging", True),
        ("GET bucket?versioning", True),
        ("DescribeTrainingJob", True),
        ("BatchGetSecretValue", True),
        ("FilterLogEvents", True),
        ("GET /v2/things", True),
        ("POST /endpoints/live/invocations", True),
        ("PutObject", False),
        ("PUT object?tagging", False),
        ("POST bucket?delete", False),
        ("ReceiveMessage", False),
        ("StartQuery", False),
        ("AssumeRole", False),
        ("Getaway", False),
        ("POST /v2/things", False),
    ],
)
def test_reads(operation: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    """What an operation is called tells whether it changes something; in doubt it does."""
    assert expected == Request("any", operation, "127.0.0.1", "/", "", b"").reads


@pytest.mark.parametrize(
    ("host", "path", "query", "expected"),
    [
        ("127.0.0.1:4567", "/bucket/a/b", "", Target("bucket", "a/b")),
        ("localhost:4567", "/bucket/a", "tagging", Target("bucket", "a")),
        ("127.0.0.1:4567", "/bucket", "versioning", Target("bucket", None)),
        ("127.0.0.1:4567", "/bucket/", "delete", Target("bucket", None)),
        ("127.0.0.1:4567", "/", "", None),
        ("bucket.localhost:4567", "/a", "", None),
    ],
)
def test_targets(host: str, path: str, query: str, expected: Target | None) -> None:
    """A request to S3 names its object by its path, unless its host names the bucket."""
    assert expected == Request("s3", "PutObject", host, path, query, b"").s3_target()


def test_what_was_seen_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader's answer leaves when what it saw is kept, also while the request that made it is not over."""
    monkeypatch.setattr(AccountSpecificBackend, "__getitem__", AccountSpecificBackend.__getitem__)
    state = State(tmp_path)
    state.restore()
    made, seen = threading.Event(), threading.Event()

    def create() -> None:
        sqs_backends[ACCOUNT]["eu-north-1"].create_queue("seen-early")
        made.set()
        seen.wait(60)

    writer = threading.Thread(
        target=state.around, args=(Request("sqs", "CreateQueue", "127.0.0.1", "/", "", b"seen-early"), create)
    )
    writer.start()
    try:
        assert made.wait(60)
        read = Request("sqs", "ListQueues", "127.0.0.1", "/", "", b"")
        assert state.around(read, lambda: list(sqs_backends[ACCOUNT]["eu-north-1"].queues)) == ["seen-early"]
        kept = [part.data or b"" for _, part in Database(tmp_path, STATE_VERSIONS).parts()]
    finally:
        seen.set()
        writer.join()
    assert any(b"seen-early" in data for data in kept)


@pytest.mark.verify
def test_every_service_can_be_kept() -> None:
    """The empty state of every service that moto has can be written and read; the others are named as not kept."""
    names = {name for name, _ in moto.backend_index.backend_url_patterns}
    for name in sorted(names - {"moto_api._internal", "instance_metadata", *NOT_KEPT}):
        regions: Any = get_backend(name)[ACCOUNT]  # type: ignore[call-overload] # a literal for each
        backend = regions["us-east-1" if "us-east-1" in regions else "aws"]
        data, _ = encode(layout_of(backend).rest(backend), STRIPS, lambda _name, _body: None)
        assert decode(data, lambda _name: b"").keys() >= {"account_id", "region_name"}, name
