"""Secret Manager as google-cloud-secret-manager's client sees it, through the door and its TLS."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import google_crc32c
import grpc
import pytest
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import Secret, SecretManagerServiceClient, SecretVersion
from google.protobuf.field_mask_pb2 import FieldMask

from localcloud.gcp.clients import PROJECT_ID
from tests.contract.local_cloud import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.google_cloud.conftest import GoogleClients

PARENT = f"projects/{PROJECT_ID}"
State = SecretVersion.State


@pytest.fixture(scope="module")
def client(google_cloud: GoogleClients) -> Iterator[SecretManagerServiceClient]:
    """Return a client."""
    with google_cloud.secrets() as secrets:
        yield secrets


def _created(client: SecretManagerServiceClient, identity: str, *values: bytes, **described: object) -> str:
    """Create a secret with versions; return its name."""
    secret = {"replication": {"automatic": {}}, **described}
    name: str = client.create_secret(parent=PARENT, secret_id=identity, secret=secret).name
    for value in values:
        client.add_secret_version(parent=name, payload={"data": value})
    return name


@pytest.mark.executes("SecretManagerService.AccessSecretVersion", "SecretManagerService.AddSecretVersion")
def test_life_of_a_secret(client: SecretManagerServiceClient) -> None:
    """A version is read by its number and as the latest, disabled, enabled, destroyed, and goes with its secret."""
    name = _created(client, "life", b"one")
    second = client.add_secret_version(parent=name, payload={"data": b"two"})
    assert (second.name, second.state) == (f"{name}/versions/2", State.ENABLED)
    answers = {number: client.access_secret_version(name=f"{name}/versions/{number}") for number in ("1", "latest")}
    assert {number: (answer.name, answer.payload.data) for number, answer in answers.items()} == {
        "1": (f"{name}/versions/1", b"one"),
        "latest": (f"{name}/versions/2", b"two"),
    }
    assert answers["1"].payload.data_crc32c == google_crc32c.value(b"one")
    assert client.disable_secret_version(name=second.name).state == State.DISABLED
    # the latest is the one that was added last, whatever its state
    with pytest.raises(exceptions.FailedPrecondition, match=r"versions/2\] is in DISABLED state"):
        client.access_secret_version(name=f"{name}/versions/latest")
    assert client.enable_secret_version(name=second.name).state == State.ENABLED
    destroyed = client.destroy_secret_version(name=second.name)
    assert (destroyed.state, destroyed.destroy_time is not None) == (State.DESTROYED, True)
    with pytest.raises(exceptions.FailedPrecondition, match="is in DESTROYED state"):
        client.access_secret_version(name=second.name)
    with pytest.raises(exceptions.FailedPrecondition, match="is in DESTROYED state"):
        client.enable_secret_version(name=second.name)
    # a number is never used again
    assert client.add_secret_version(parent=name, payload={"data": b"three"}).name == f"{name}/versions/3"
    client.delete_secret(name=name)
    for call in (client.get_secret, client.delete_secret, client.get_secret_version):
        version = "/versions/1" if call == client.get_secret_version else ""
        with pytest.raises(exceptions.NotFound, match=rf"Secret \[{name}\] not found"):
            call(name=f"{name}{version}")


def test_lists(client: SecretManagerServiceClient) -> None:
    """Secrets and versions are listed newest first, page by page, and filtered by name, label and state."""
    for number in range(3):
        _created(client, f"listed-{number}", b"a", b"b", labels={"number": str(number)})
    wanted = [f"{PARENT}/secrets/listed-{number}" for number in (2, 1, 0)]
    pages = client.list_secrets(request={"parent": PARENT, "page_size": 2, "filter": "name:listed-"}).pages
    assert [[secret.name for secret in page.secrets] for page in pages] == [wanted[:2], wanted[2:]]
    labelled = client.list_secrets(request={"parent": PARENT, "filter": "name:listed- AND labels.number=1"})
    assert [secret.name for secret in labelled] == [wanted[1]]
    client.disable_secret_version(name=f"{wanted[0]}/versions/2")
    versions = client.list_secret_versions(parent=wanted[0])
    assert [(version.name, version.state) for version in versions] == [
        (f"{wanted[0]}/versions/2", State.DISABLED),
        (f"{wanted[0]}/versions/1", State.ENABLED),
    ]
    enabled = client.list_secret_versions(request={"parent": wanted[0], "filter": "state:ENABLED"})
    assert [version.name for version in enabled] == [f"{wanted[0]}/versions/1"]
    with pytest.raises(exceptions.InvalidArgument, match="filter: localcloud understands"):
        client.list_secrets(request={"parent": PARENT, "filter": "create_time>2020-01-01"})


def test_checksums(client: SecretManagerServiceClient) -> None:
    """A payload that does not match its checksum is refused; one that does is noted on its version."""
    name = _created(client, "checked")
    payload = {"data": b"value", "data_crc32c": google_crc32c.value(b"value")}
    assert client.add_secret_version(parent=name, payload=payload).client_specified_payload_checksum is True
    assert client.add_secret_version(parent=name, payload={"data": b"v"}).client_specified_payload_checksum is False
    with pytest.raises(exceptions.InvalidArgument, match="checksum of the payload does not match"):
        client.add_secret_version(parent=name, payload={**payload, "data": b"valve"})
    assert [version.name for version in client.list_secret_versions(parent=name)] == [
        f"{name}/versions/2",
        f"{name}/versions/1",
    ]


def test_changes_for_another_state(client: SecretManagerServiceClient) -> None:
    """A change that carries the etag of another state is refused, and changes nothing."""
    name = _created(client, "tagged", b"value")
    old = client.get_secret_version(name=f"{name}/versions/1").etag
    new = client.disable_secret_version(request={"name": f"{name}/versions/1", "etag": old}).etag
    assert new != old
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        client.enable_secret_version(request={"name": f"{name}/versions/1", "etag": old})
    assert client.get_secret_version(name=f"{name}/versions/1").state == State.DISABLED


def test_update(client: SecretManagerServiceClient) -> None:
    """The fields that the mask names are replaced, the others stay; an alias leads to its version."""
    name = _created(client, "updated", b"one", b"two", labels={"a": "1"}, annotations={"kept": "yes"})
    change = Secret(name=name, labels={"b": "2"}, version_aliases={"stable": 1}, annotations={"kept": "no"})
    mask = FieldMask(paths=["labels", "version_aliases"])
    updated = client.update_secret(secret=change, update_mask=mask)
    assert (dict(updated.labels), dict(updated.annotations)) == ({"b": "2"}, {"kept": "yes"})
    assert client.access_secret_version(name=f"{name}/versions/stable").payload.data == b"one"
    with pytest.raises(exceptions.InvalidArgument, match="update_mask must name fields among"):
        client.update_secret(secret=change, update_mask=FieldMask(paths=["replication"]))


def test_times(client: SecretManagerServiceClient) -> None:
    """A secret is gone when its time to live is over; a version is destroyed when its delay is over."""
    described = {"replication": {"automatic": {}}, "ttl": timedelta(seconds=1)}
    short = client.create_secret(parent=PARENT, secret_id="short", secret=described)  # noqa: S106 - its name
    assert abs(short.expire_time - short.create_time - timedelta(seconds=1)) < timedelta(seconds=0.5)
    delayed = f"{_created(client, 'delayed', b'value', version_destroy_ttl=timedelta(seconds=1))}/versions/1"
    scheduled = client.destroy_secret_version(name=delayed)
    assert (scheduled.state, scheduled.scheduled_destroy_time is not None) == (State.DISABLED, True)
    until(lambda: client.get_secret_version(name=delayed).state == State.DESTROYED, "the version's destruction")

    def gone() -> bool:
        try:
            client.get_secret(name=short.name)
        except exceptions.NotFound:
            return True
        return False

    until(gone, "the secret's end")


@pytest.mark.refuses("SecretManagerService.CreateSecret")
@pytest.mark.parametrize(
    ("identity", "secret", "expected"),
    [
        ("with/slash", {"replication": {"automatic": {}}}, "does not match the expected format"),
        ("a" * 256, {"replication": {"automatic": {}}}, "does not match the expected format"),
        ("unreplicated", {}, "Secret.replication must be provided"),
        ("labelled", {"replication": {"automatic": {}}, "labels": {"Big": "x"}}, "Secret.labels must be at most 64"),
    ],
)
def test_wrong_secrets(client: SecretManagerServiceClient, identity: str, secret: dict, expected: str) -> None:  # type: ignore[type-arg]
    """A secret that breaks a rule is not made, and the message names the rule."""
    with pytest.raises(exceptions.InvalidArgument, match=expected):
        client.create_secret(parent=PARENT, secret_id=identity, secret=secret)


@pytest.mark.refuses("SecretManagerService.GetSecret")
def test_wrong_requests(client: SecretManagerServiceClient) -> None:
    """What exists twice, does not exist, is too large or has no name is refused with its code."""
    name = _created(client, "wrong")
    with pytest.raises(exceptions.AlreadyExists, match=rf"Secret \[{name}\] already exists"):
        _created(client, "wrong")
    with pytest.raises(exceptions.NotFound, match="not found or has no versions"):
        client.access_secret_version(name=f"{name}/versions/latest")
    with pytest.raises(exceptions.NotFound, match=rf"Secret Version \[{name}/versions/9\] not found"):
        client.get_secret_version(name=f"{name}/versions/9")
    with pytest.raises(exceptions.InvalidArgument, match="must be at most 65536 bytes, got 65537"):
        client.add_secret_version(parent=name, payload={"data": bytes(65_537)})
    with pytest.raises(exceptions.InvalidArgument, match="Secret Payload cannot be empty"):
        client.add_secret_version(parent=name, payload={"data": b""})
    with pytest.raises(exceptions.InvalidArgument, match=r"name must match projects/\*/secrets/\*, got 'nothing'"):
        client.get_secret(name="nothing")


def test_methods_that_are_not_implemented(google_cloud: GoogleClients, client: SecretManagerServiceClient) -> None:
    """A method that nobody implements is refused by name, in this service and in any other."""
    with pytest.raises(exceptions.MethodNotImplemented, match=r"SecretManagerService\.GetIamPolicy"):
        client.get_iam_policy(request={"resource": f"{PARENT}/secrets/x"})
    call = google_cloud.channel("secretmanager.googleapis.com").unary_unary("/google.pubsub.v1.Publisher/Publish")
    with pytest.raises(grpc.RpcError) as refusal:
        call(b"", timeout=10)
    assert refusal.value.details() == "localcloud does not implement google.pubsub.v1.Publisher.Publish"  # type: ignore[attr-defined]


def test_log(google_cloud: GoogleClients, client: SecretManagerServiceClient) -> None:
    """Each call leaves a line that names it, its resource and its outcome; never a value."""
    name = _created(client, "logged", b"never-to-be-seen")
    with pytest.raises(exceptions.NotFound):
        client.access_secret_version(name=f"{name}/versions/7")
    mine = [entry for entry in google_cloud.requests() if "secrets/logged" in entry.get("resource", "")]
    assert [(entry["service"].rsplit(".", 1)[-1], entry["operation"], entry["status"]) for entry in mine] == [
        ("SecretManagerService", "AddSecretVersion", "OK"),
        ("SecretManagerService", "AccessSecretVersion", "NOT_FOUND"),
    ]
    assert "never-to-be-seen" not in (google_cloud.cloud.root / "requests.jsonl").read_text(encoding="utf-8")


def test_speed(client: SecretManagerServiceClient) -> None:
    """A call through the door and its TLS takes milliseconds; the bound leaves room for a machine that is busy."""
    name = _created(client, "timed", b"value")
    measured = []
    for _ in range(50):
        started = time.perf_counter()
        client.access_secret_version(name=f"{name}/versions/latest")
        measured.append(time.perf_counter() - started)
    assert sorted(measured)[len(measured) // 2] < 0.05
