"""The storage's parts, each by itself: patterns, lists, preconditions, multipart bodies, checksums, what is kept."""

from __future__ import annotations

import base64
import hashlib
from bisect import bisect_left
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.gcp.storage.conditions import Preconditions
from localcloud.gcp.storage.digests import Digests
from localcloud.gcp.storage.errors import StorageError
from localcloud.gcp.storage.globs import compiled
from localcloud.gcp.storage.listing import listed
from localcloud.gcp.storage.store import Store, StoredObject
from localcloud.gcp.storage.uploads import parts_of

if TYPE_CHECKING:
    from pathlib import Path

names = st.text(alphabet="ab/é\U0001f600", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.csv", ["a.csv", ".csv"], ["d/a.csv", "a.csvx"]),
        ("**.csv", ["a.csv", "d/e/a.csv"], ["a.txt"]),
        ("**/*.csv", ["a.csv", "d/a.csv", "d/e/a.csv"], ["d/a.txt"]),
        ("d/**/a", ["d/a", "d/e/a", "d/e/f/a"], ["da", "d/ea"]),
        ("d/**", ["d/a", "d/e/f", "d/"], ["d", "e/d/a"]),
        ("a?c", ["abc", "a.c"], ["ac", "a/c", "abbc"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[!a-c]x", ["dx", "-x"], ["ax", "/x"]),
        ("*.{csv,txt}", ["a.csv", "a.txt"], ["a.tx", "a.{csv,txt}"]),
        ("{a*,b/{c,d}}", ["axe", "b/c", "b/d"], ["b/e", "c"]),
        (r"a\*b", ["a*b"], ["axb"]),
        ("a,b.c", ["a,b.c"], ["a,bxc"]),
        ("[[]x", ["[x"], ["x"]),
    ],
)
def test_patterns(pattern: str, matching: list[str], others: list[str]) -> None:
    """A pattern matches whole names, as Cloud Storage's documentation has it."""
    expression = compiled(pattern)
    assert [name for name in [*matching, *others] if expression.fullmatch(name)] == matching


@pytest.mark.parametrize("pattern", ["{a,b", "[z-a]"])
def test_patterns_without_sense(pattern: str) -> None:
    """A pattern that cannot be read is the client's mistake."""
    with pytest.raises(StorageError, match="Invalid matchGlob") as refusal:
        compiled(pattern)
    assert refusal.value.status == HTTPStatus.BAD_REQUEST


@given(
    st.sets(names, max_size=12),
    st.sampled_from(["", "a", "a/", "é"]),
    st.sampled_from(["", "/", "b"]),
    st.integers(1, 4),
    st.sampled_from([None, "a", "b/"]),
    st.sampled_from([None, "b", "é"]),
)
def test_pages_of_a_list(
    kept: set[str], prefix: str, delimiter: str, size: int, start: str | None, end: str | None
) -> None:
    """The pages of a list, one after another, hold each name and each prefix once, in the order of their bytes."""
    ordered = sorted(kept, key=str.encode)
    keys = [name.encode() for name in ordered]
    wanted = [
        name
        for name in ordered
        if name.startswith(prefix)
        and (start is None or name.encode() >= start.encode())
        and (end is None or name.encode() < end.encode())
    ]
    gathered = [
        name
        if not delimiter or delimiter not in name[len(prefix) :]
        else name[: name.index(delimiter, len(prefix)) + len(delimiter)]
        for name in wanted
    ]
    query = {"prefix": prefix, "delimiter": delimiter, "maxResults": str(size)}
    query |= {key: value for key, value in (("startOffset", start), ("endOffset", end)) if value is not None}
    found: list[str] = []
    while True:
        page = listed(query, lambda at, count: ordered[bisect_left(keys, at.encode()) :][:count])
        assert len(page.names) + len(page.prefixes) <= size
        found += sorted([*page.names, *page.prefixes], key=str.encode)
        if page.following is None:
            break
        query["pageToken"] = page.following
    assert list(dict.fromkeys(gathered)) == found


KEPT = {"generation": "7", "metageneration": "2"}


@pytest.mark.parametrize(
    ("query", "current"),
    [
        ({}, None),
        ({"ifGenerationMatch": "0"}, None),
        ({"ifGenerationMatch": "7"}, KEPT),
        ({"ifGenerationNotMatch": "0"}, KEPT),
        ({"ifMetagenerationMatch": "2"}, KEPT),
        ({"ifMetagenerationNotMatch": "1", "ifGenerationMatch": "7"}, KEPT),
    ],
)
def test_preconditions_that_hold(query: dict[str, str], current: dict[str, str] | None) -> None:
    """A request whose preconditions hold goes on; what does not exist has the generation 0."""
    Preconditions.of(query).check(current)


@pytest.mark.parametrize(
    ("query", "current", "expected"),
    [
        ({"ifGenerationMatch": "0"}, KEPT, 412),
        ({"ifGenerationMatch": "8"}, KEPT, 412),
        ({"ifGenerationMatch": "8"}, None, 412),
        ({"ifGenerationNotMatch": "0"}, None, 412),
        ({"ifGenerationNotMatch": "7"}, KEPT, 412),
        ({"ifMetagenerationMatch": "1"}, KEPT, 412),
        ({"ifMetagenerationNotMatch": "2"}, KEPT, 412),
        ({"ifGenerationMatch": "7", "ifMetagenerationMatch": "1"}, KEPT, 412),
        ({"ifGenerationMatch": "x"}, KEPT, 400),
    ],
)
def test_preconditions_that_do_not(query: dict[str, str], current: dict[str, str] | None, expected: int) -> None:
    """A request of which one precondition does not hold is refused."""
    with pytest.raises(StorageError) as refusal:
        Preconditions.of(query).check(current)
    assert expected == refusal.value.status


def test_preconditions_of_readers() -> None:
    """A reader who has what is current is told so, and that is no failure."""
    with pytest.raises(StorageError) as answer:
        Preconditions.of({"ifGenerationNotMatch": "7"}).check({"generation": "7", "metageneration": "1"}, reading=True)
    assert answer.value.status == HTTPStatus.NOT_MODIFIED


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_multipart_bodies(first: bytes, second: bytes) -> None:
    """Bytes come out of a multipart body as they went in, line breaks at their ends included."""
    boundary = "===1=="
    if boundary.encode() in first + second:
        return
    body = b"".join(
        b"--" + boundary.encode() + b"\r\nContent-Type: x/" + kind + b"\r\n\r\n" + data + b"\r\n"
        for kind, data in ((b"a", first), (b"b", second))
    )
    found = parts_of(body + b"--" + boundary.encode() + b"--\r\n", boundary)
    assert found == [({"content-type": "x/a"}, first), ({"content-type": "x/b"}, second)]


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_checksums(pieces: list[bytes]) -> None:
    """Checksums do not depend on the pieces that bytes come in."""
    digests, whole = Digests(), Digests()
    for piece in pieces:
        digests.add(piece)
    data = b"".join(pieces)
    whole.add(data)
    assert digests.fields() == whole.fields()
    assert digests.fields()["md5Hash"] == base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def test_known_checksum() -> None:
    """CRC32C is written big-endian; the value is that of RFC 3720, B.4, for 32 bytes of zeros."""
    digests = Digests()
    digests.add(bytes(32))
    assert base64.b64decode(digests.fields()["crc32c"]).hex() == "8a9136aa"


def _stored(name: str, body: str) -> StoredObject:
    return StoredObject({"bucket": "b", "name": name, "generation": "1", "metageneration": "1"}, body)


def _body(store: Store, data: bytes) -> str:
    name, file = store.new_body()
    with file:
        file.write(data)
    return name


def test_shared_bytes(tmp_path: Path) -> None:
    """The bytes that two objects share go with the last of them; what nobody names goes at the next start."""
    store = Store(tmp_path)
    store.write_bucket({"name": "b"})
    body = _body(store, b"data")
    with store.changing():
        store.write_object(_stored("first", body))
        store.write_object(_stored("second", body))
    leftover = _body(store, b"of a server that was killed")
    with store.changing():
        store.delete_object(_stored("first", body))
    store.close()
    again = Store(tmp_path)
    assert {file.name for file in (tmp_path / "bodies").iterdir()} == {body} != {leftover}
    with again.changing():
        again.delete_object(_stored("second", body))
    assert list((tmp_path / "bodies").iterdir()) == []
    again.close()


def test_many_names(tmp_path: Path) -> None:
    """A list of more names than are read at once loses none, and a folder of many of them is one prefix."""
    store = Store(tmp_path)
    store.write_bucket({"name": "b"})
    body = _body(store, b"")
    written = [*(f"a{number:04}" for number in range(1500)), *(f"b/{number:04}" for number in range(1500)), "c"]
    with store.changing():
        for name in written:
            store.write_object(_stored(name, body))
    found: list[str] = []
    query: dict[str, str] = {}
    while True:
        page = listed(query, lambda start, size: store.names("b", start, size))
        found += page.names
        if page.following is None:
            break
        query = {"pageToken": page.following}
    assert found == written
    page = listed({"delimiter": "/", "startOffset": "a1499"}, lambda start, size: store.names("b", start, size))
    assert (page.names, page.prefixes, page.following) == (["a1499", "c"], ["b/"], None)
    store.close()


def test_a_change_that_fails(tmp_path: Path) -> None:
    """All of a change is kept, or nothing of it; the bytes that it would have replaced stay."""
    store = Store(tmp_path)
    store.write_bucket({"name": "b"})
    before, after = _body(store, b"before"), _body(store, b"after")
    with store.changing():
        store.write_object(_stored("name", before))

    def fail() -> None:
        with store.changing():
            store.write_object(_stored("name", after))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    kept = store.object("b", "name")
    assert kept is not None
    with store.open_body(kept.body) as file:
        assert file.read() == b"before"
    store.close()


def test_generations_only_rise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No generation is given out twice, though the machine's clock goes back and the server is started anew."""
    store = Store(tmp_path)
    with store.changing():
        first = store.new_generation()
    store.close()
    monkeypatch.setattr("time.time_ns", lambda: 0)
    again = Store(tmp_path)
    with again.changing():
        assert again.new_generation() == first + 1
    again.close()
