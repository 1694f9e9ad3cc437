"""Cloud Storage as google-cloud-storage sees it: objects, preconditions, lists, copies, uploads, refusals."""

from __future__ import annotations

import gzip
import io
import random
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions

from localcloud.gcp.clients import PROJECT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.storage import Bucket, Client

    from tests.contract.google_cloud.conftest import GoogleClients


@pytest.fixture(scope="module")
def client(google_cloud: GoogleClients) -> Client:
    """Return a client."""
    return google_cloud.storage


@pytest.fixture
def bucket(client: Client, request: pytest.FixtureRequest) -> Iterator[Bucket]:
    """Return a bucket of the test's own."""
    name = f"{request.node.originalname.replace('_', '-')}-{abs(hash(request.node.name)) % 10_000}"[:63]
    made = client.create_bucket(name)
    yield made
    made.delete(force=True)


def _put(bucket: Bucket, *names: str) -> None:
    for name in names:
        bucket.blob(name).upload_from_string(name)


def _names(bucket: Bucket, **query: Any) -> list[str]:
    return [blob.name for blob in bucket.list_blobs(**query)]


# Preconditions


def test_create_only(bucket: Bucket) -> None:
    """An object that must not exist yet is made once, whichever way its bytes come, and never replaced."""
    first = bucket.blob("record")
    first.upload_from_string("first", if_generation_match=0)
    in_pieces = bucket.blob("record", chunk_size=1 << 18)
    attempts = (
        lambda: bucket.blob("record").upload_from_string("second", if_generation_match=0),
        lambda: in_pieces.upload_from_file(io.BytesIO(bytes(1 << 19)), if_generation_match=0),
        lambda: bucket.blob("record").rewrite(first, if_generation_match=0),
        lambda: bucket.copy_blob(first, bucket, "record", if_generation_match=0),
        lambda: bucket.blob("record").compose([first], if_generation_match=0),
    )
    for attempt in attempts:
        with pytest.raises(exceptions.PreconditionFailed, match="pre-conditions you specified did not hold"):
            attempt()
    assert bucket.blob("record").download_as_bytes() == b"first"


def test_create_only_by_many(google_cloud: GoogleClients, bucket: Bucket) -> None:
    """Of many who create the same object at once, exactly one succeeds, and its bytes are the object's."""
    succeeded: list[bytes] = []
    barrier = threading.Barrier(8)

    def create(value: bytes) -> None:
        address = f"{google_cloud.endpoints.storage}/upload/storage/v1/b/{bucket.name}/o"
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{address}?uploadType=media&name=lock&ifGenerationMatch=0", data=value, method="POST"
        )
        barrier.wait()
        try:
            urllib.request.urlopen(request).close()  # noqa: S310 - loopback
            succeeded.append(value)
        except urllib.error.HTTPError as error:
            error.close()

    threads = [threading.Thread(target=create, args=(str(number).encode(),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert succeeded == [bucket.blob("lock").download_as_bytes()]


def test_changes_of_another_generation(bucket: Bucket) -> None:
    """What was meant for a generation, or for a metageneration, that is no more changes nothing."""
    _put(bucket, "object")
    old = bucket.get_blob("object")
    assert old is not None
    bucket.blob("object").upload_from_string("new")
    new = bucket.get_blob("object")
    assert new is not None
    assert new.generation > old.generation
    for attempt in (
        lambda: new.delete(if_generation_match=old.generation),
        lambda: new.upload_from_string("newer", if_generation_match=old.generation),
        lambda: new.patch(if_generation_match=old.generation),
        lambda: bucket.copy_blob(new, bucket, "copy", if_source_generation_match=old.generation),
        lambda: new.reload(if_metageneration_match=2),
    ):
        with pytest.raises(exceptions.PreconditionFailed):
            attempt()
    with pytest.raises(exceptions.NotFound, match=f"object#{old.generation}"):
        old.download_as_bytes()
    assert _names(bucket) == ["object"]
    assert new.download_as_bytes(if_generation_match=new.generation) == b"new"
    new.delete(if_generation_match=new.generation)
    assert _names(bucket) == []


def test_metadata(bucket: Bucket) -> None:
    """What is said of an object is kept, counts up its metageneration, and leaves its generation and its bytes."""
    blob = bucket.blob("object")
    blob.metadata, blob.cache_control = {"a": "1", "b": "ü"}, "no-store"
    blob.upload_from_string("value", content_type="text/plain")
    generation = blob.generation
    blob.metadata = {"b": "2"}
    blob.patch(if_metageneration_match=1)
    kept = bucket.get_blob("object")
    assert kept is not None
    assert (kept.metadata, kept.metageneration, kept.generation) == ({"a": "1", "b": "2"}, 2, generation)
    assert (kept.content_type, kept.cache_control, kept.size) == ("text/plain", "no-store", 5)
    with pytest.raises(exceptions.PreconditionFailed):
        kept.patch(if_metageneration_match=1)


def test_metadata_in_headers(google_cloud: GoogleClients, bucket: Bucket) -> None:
    """What is said of an object is answered in headers too, and cannot make headers of its own."""
    blob = bucket.blob("object")
    blob.metadata = {"a": "1\r\nX-Evil: 2", "b c": "3", "d": "ü"}
    blob.upload_from_string("value")
    address = f"{google_cloud.endpoints.storage}/{bucket.name}/object"
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - loopback
        sent = {name.lower(): value for name, value in answer.headers.items()}
    assert {name: value for name, value in sent.items() if "meta-" in name or "evil" in name} == {
        "x-goog-meta-a": "1  X-Evil: 2",
        "x-goog-meta-d": "ü".encode().decode("latin-1"),
    }
    kept = bucket.get_blob("object")
    assert kept is not None
    assert kept.metadata == {"a": "1\r\nX-Evil: 2", "b c": "3", "d": "ü"}


# Bytes and names


def test_names(bucket: Bucket) -> None:
    """Any name is a name: slashes make no folders, and nothing leads out of the bucket."""
    names = [
        "a",
        "a/b",
        "a//b",
        "/lead",
        "trail/",
        "../../up",
        "ü/é",
        "a b",
        "100%",
        "q?x",
        "h#x",
        "b\\c",
        "acl",
        "x/o/y",
    ]
    _put(bucket, *names)
    assert _names(bucket) == sorted(names, key=str.encode)
    assert {name: bucket.blob(name).download_as_bytes() for name in names} == {name: name.encode() for name in names}


def test_bytes(bucket: Bucket) -> None:
    """Bytes come back as they were sent, in one request or in several, whatever they are."""
    noise = random.Random(1).randbytes(700_001)  # noqa: S311 - no secret, and the same each time
    pieces = [b"", b"\r\n", b"a\r", b"\n", b"--x\r\n\r\n", bytes(range(256)) * 9, noise]
    for data in pieces:
        for chunk_size in (None, 1 << 18):
            blob = bucket.blob("object", chunk_size=chunk_size)
            blob.upload_from_file(io.BytesIO(data), checksum="crc32c")
            assert blob.size == len(data)
            assert bucket.blob("object").download_as_bytes(checksum="md5") == data


def test_ranges(bucket: Bucket) -> None:
    """A part of an object is read from its start, its middle and its end; past the end there is nothing."""
    bucket.blob("object").upload_from_string("0123456789")
    blob = bucket.blob("object")
    found = [blob.download_as_bytes(start=first, end=last) for first, last in ((0, 0), (2, 4), (7, 99), (-3, None))]
    assert found == [b"0", b"234", b"789", b"789"]
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=10)


def test_compressed_objects(google_cloud: GoogleClients, bucket: Bucket) -> None:
    """An object that is kept compressed is answered so to those who can read it, and unpacked to the others."""
    blob = bucket.blob("object")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(b"hello"), content_type="text/plain")
    assert blob.download_as_bytes() == b"hello"
    address = f"{google_cloud.endpoints.storage}/storage/v1/b/{bucket.name}/o/object?alt=media"
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - loopback
        assert (answer.read(), answer.headers["Content-Encoding"]) == (b"hello", None)


def test_wrong_checksum(bucket: Bucket) -> None:
    """Bytes that are not those of the checksum sent along are no object."""
    blob = bucket.blob("object")
    blob.md5_hash = "AAAAAAAAAAAAAAAAAAAAAA=="
    with pytest.raises(exceptions.BadRequest, match="Provided MD5 hash"):
        blob.upload_from_string("value", checksum=None)
    assert _names(bucket) == []


def test_a_broken_upload_goes_on(google_cloud: GoogleClients, bucket: Bucket) -> None:
    """An upload in pieces says how far it came and goes on there; bytes that come again are not written twice."""
    address = bucket.blob("object").create_resumable_upload_session(size=10)
    assert address.startswith(google_cloud.endpoints.storage)

    def put(data: bytes, part: str) -> tuple[int, str | None]:
        request = urllib.request.Request(address, data, {"Content-Range": f"bytes {part}"}, method="PUT")  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
                return answer.status, answer.headers["Range"]
        except urllib.error.HTTPError as answer:
            answer.close()
            return answer.code, answer.headers["Range"]

    assert put(b"", "*/10") == (308, None)
    assert put(b"01234", "0-4/10") == (308, "bytes=0-4")
    assert put(b"", "*/10") == (308, "bytes=0-4")
    assert put(b"3456", "3-6/10") == (308, "bytes=0-6")
    assert put(b"9", "9-9/10") == (503, None)
    assert _names(bucket) == []
    assert put(b"789", "7-9/10") == (200, None)
    assert bucket.blob("object").download_as_bytes() == b"0123456789"
    assert put(b"", "*/10") == (404, None)


# Lists


def test_lists(bucket: Bucket) -> None:
    """Names are listed in the order of their bytes, by prefix and range, in folders and in pages."""
    _put(bucket, "b/2", "b/1", "B", "a", "b/c/3", "é")
    assert _names(bucket) == ["B", "a", "b/1", "b/2", "b/c/3", "é"]
    assert _names(bucket, prefix="b/") == ["b/1", "b/2", "b/c/3"]
    assert _names(bucket, start_offset="a", end_offset="b/2") == ["a", "b/1"]
    folders = bucket.list_blobs(delimiter="/", page_size=2)
    pages = [[blob.name for blob in page] for page in folders.pages]
    assert (pages, folders.prefixes) == ([["B", "a"], ["é"]], {"b/"})
    inside = bucket.list_blobs(prefix="b/", delimiter="/")
    assert ([blob.name for blob in inside], inside.prefixes) == (["b/1", "b/2"], {"b/c/"})
    assert [[blob.name for blob in page] for page in bucket.list_blobs(page_size=4).pages] == [
        ["B", "a", "b/1", "b/2"],
        ["b/c/3", "é"],
    ]


def test_patterns(bucket: Bucket) -> None:
    """Of many objects those are listed that a pattern matches, folders and alternatives included."""
    _put(bucket, "a.csv", "d/b.csv", "d/e/c.csv", "d/x.txt")
    assert _names(bucket, match_glob="*.csv") == ["a.csv"]
    assert _names(bucket, match_glob="**/*.csv") == ["a.csv", "d/b.csv", "d/e/c.csv"]
    assert _names(bucket, match_glob="d/*.{csv,txt}") == ["d/b.csv", "d/x.txt"]
    with pytest.raises(exceptions.BadRequest, match="Invalid matchGlob"):
        _names(bucket, match_glob="{a")


# Copies, compositions, batches


def test_copies(client: Client, bucket: Bucket) -> None:
    """A copy has the bytes and what is said of them; it stays when its source goes, in another bucket too."""
    source = bucket.blob("source")
    source.metadata = {"a": "1"}
    source.upload_from_string("value", content_type="text/csv")
    there = client.create_bucket(f"{bucket.name[:50]}-there")
    copied = bucket.copy_blob(source, there, "copied")
    token, rewritten, total = there.blob("rewritten").rewrite(source)
    source.delete()
    assert (token, rewritten, total) == (None, 5, 5)
    for name in ("copied", "rewritten"):
        kept = there.get_blob(name)
        assert kept is not None
        assert (kept.download_as_bytes(), kept.content_type, kept.metadata) == (b"value", "text/csv", {"a": "1"})
    assert copied.generation != source.generation
    there.delete(force=True)


def test_composition(bucket: Bucket) -> None:
    """Objects are joined into one, in their order, with a CRC32C and without an MD5."""
    _put(bucket, "a", "b")
    joined = bucket.blob("joined")
    joined.compose([bucket.blob("b"), bucket.blob("a"), bucket.blob("b")])
    joined.reload()
    assert (joined.download_as_bytes(), joined.component_count, joined.md5_hash) == (b"bab", 3, None)
    with pytest.raises(exceptions.NotFound, match="No such object"):
        bucket.blob("other").compose([bucket.blob("a"), bucket.blob("none")])
    assert _names(bucket) == ["a", "b", "joined"]


def test_batches(client: Client, bucket: Bucket) -> None:
    """Many requests go in one; each has its own answer."""
    _put(bucket, "a", "b", "c")
    with client.batch():
        bucket.delete_blobs([bucket.blob("a"), bucket.blob("b")])
    assert _names(bucket) == ["c"]
    with pytest.raises(exceptions.NotFound, match="No such object"), client.batch():
        bucket.delete_blob("none")


def test_signed_addresses(google_cloud: GoogleClients, bucket: Bucket) -> None:
    """An address that was signed without asking anybody is read and written with no more than itself."""
    address = f"{google_cloud.endpoints.storage}/{bucket.name}/folder/a%20b?X-Goog-Algorithm=GOOG4-RSA-SHA256"
    request = urllib.request.Request(address, b"value", {"Content-Type": "text/plain"}, method="PUT")  # noqa: S310 - loopback
    urllib.request.urlopen(request).close()  # noqa: S310 - loopback
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - loopback
        assert (answer.read(), answer.headers["Content-Type"]) == (b"value", "text/plain")
    assert _names(bucket) == ["folder/a b"]
    condition = {"x-goog-if-generation-match": "0"}
    again = urllib.request.Request(address, b"other", condition, method="PUT")  # noqa: S310 - loopback
    with pytest.raises(urllib.error.HTTPError, match="412"):
        urllib.request.urlopen(again)  # noqa: S310 - loopback


# Buckets and refusals


def test_buckets(client: Client) -> None:
    """A bucket has a name, a place and labels; it exists once, and goes when it is empty."""
    made = client.create_bucket("a-bucket", location="us-central1")
    made.labels = {"a": "1"}
    made.patch()
    kept = client.get_bucket("a-bucket")
    assert (kept.location, kept.labels, kept.metageneration) == ("US-CENTRAL1", {"a": "1"}, 2)
    assert kept.iam_configuration.uniform_bucket_level_access_enabled is True
    with pytest.raises(exceptions.Conflict, match="you already own it"):
        client.create_bucket("a-bucket")
    assert [bucket.name for bucket in client.list_buckets(prefix="a-b")] == ["a-bucket"]
    _put(made, "object")
    made.labels = {"b": "2"}
    made.patch()
    assert _names(client.get_bucket("a-bucket")) == ["object"]
    with pytest.raises(exceptions.Conflict, match="not empty"):
        made.delete()
    made.delete(force=True)
    assert client.lookup_bucket("a-bucket") is None


def test_what_does_not_exist(client: Client, bucket: Bucket) -> None:
    """A bucket or an object that does not exist is told by name, to readers and to writers."""
    with pytest.raises(exceptions.NotFound, match=f"No such object: {bucket.name}/none"):
        bucket.blob("none").reload()
    for attempt in (
        lambda: client.get_bucket("no-bucket"),
        lambda: client.bucket("no-bucket").blob("object").upload_from_string("x"),
        lambda: list(client.bucket("no-bucket").list_blobs()),
        lambda: bucket.copy_blob(bucket.blob("none"), client.bucket("no-bucket"), "copy"),
    ):
        with pytest.raises(exceptions.NotFound, match=r"bucket does not exist|No such object"):
            attempt()


@pytest.mark.parametrize("name", ["ab", "Upper", "under..dots", "googly"])
def test_wrong_buckets(client: Client, name: str) -> None:
    """A name that no bucket may have is refused with the rule."""
    with pytest.raises(exceptions.BadRequest, match="Invalid bucket name"):
        client.create_bucket(name)


def test_what_is_not_implemented(client: Client, bucket: Bucket) -> None:
    """What the storage does not do it refuses by name, instead of doing half of it."""
    bucket.versioning_enabled = True
    with pytest.raises(exceptions.MethodNotImplemented, match="versioning"):
        bucket.patch()
    with pytest.raises(exceptions.BadRequest, match="no soft delete policy"):
        _names(bucket, soft_deleted=True)
    with pytest.raises(exceptions.BadRequest, match="uniform bucket-level access"):
        bucket.blob("object").upload_from_string("x", predefined_acl="publicRead")
    with pytest.raises(exceptions.MethodNotImplemented, match="GET /storage/v1/projects"):
        client.get_service_account_email(PROJECT_ID)
