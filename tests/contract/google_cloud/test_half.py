"""The Google half as a part of a running cloud: its state after a kill, its seed, its commands."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions

from localcloud.clients import client_environment
from localcloud.gcp.clients import PROJECT_ID, google_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.google_cloud.conftest import GoogleClients, StartGoogle

PARENT = f"projects/{PROJECT_ID}"


def _localcloud(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localcloud.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_kill(start_google: StartGoogle) -> None:
    """Whatever was answered before a kill is there after it: objects, unfinished uploads, secrets, the account."""
    first = start_google()
    bucket = first.storage.create_bucket("kept")
    blob = bucket.blob("object")
    blob.metadata = {"a": "1"}
    blob.upload_from_string("value", if_generation_match=0)
    session = bucket.blob("in-pieces").create_resumable_upload_session(size=4)
    with pytest.raises(urllib.error.HTTPError) as incomplete:
        _put_part(session, b"ab", "0-1/4")
    incomplete.value.close()
    secrets = first.secrets()
    described = {"replication": {"automatic": {}}}
    name = secrets.create_secret(parent=PARENT, secret_id="kept", secret=described).name  # noqa: S106 - its name
    secrets.add_secret_version(parent=name, payload={"data": b"value"})
    key = json.loads((first.cloud.root / "google" / "service-account.json").read_bytes())["private_key"]
    first.cloud.end(signal.SIGKILL)

    second = start_google()
    kept = second.storage.bucket("kept").get_blob("object")
    assert kept is not None
    assert (kept.download_as_bytes(), kept.metadata, kept.generation) == (b"value", {"a": "1"}, blob.generation)
    with pytest.raises(exceptions.PreconditionFailed):
        second.storage.bucket("kept").blob("object").upload_from_string("other", if_generation_match=0)
    _put_part(session.replace(first.endpoints.storage, second.endpoints.storage), b"cd", "2-3/4")
    assert second.storage.bucket("kept").blob("in-pieces").download_as_bytes() == b"abcd"
    assert second.secrets().access_secret_version(name=f"{name}/versions/latest").payload.data == b"value"
    again = json.loads((second.cloud.root / "google" / "service-account.json").read_bytes())
    assert (again["private_key"], again["token_uri"]) == (key, f"{second.endpoints.front}/token")


@pytest.mark.verify  # chance decides what the kill hits: it is worth the many runs of the full matrix
def test_kill_while_objects_are_written(start_google: StartGoogle) -> None:
    """Each object whose upload was answered is there after a kill, whole; what was not is whole or not there."""
    first = start_google()
    first.storage.create_bucket("many")
    answered: list[str] = []

    def write(writer: int) -> None:
        for number in range(1000):
            name = f"{writer}-{number}"
            address = f"{first.endpoints.storage}/upload/storage/v1/b/many/o?uploadType=media&name={name}"
            try:
                urllib.request.urlopen(address, data=name.encode() * 5000).close()  # noqa: S310 - loopback
            except OSError:
                return
            answered.append(name)
            if len(answered) == 40:
                first.cloud.process.send_signal(signal.SIGKILL)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    second = start_google()
    kept = {blob.name: blob.download_as_bytes() for blob in second.storage.bucket("many").list_blobs()}
    assert set(answered) <= kept.keys()
    assert {name: name.encode() * 5000 for name in kept} == kept
    # and the killed server's leftovers are gone
    assert len(list((second.cloud.root / "google" / "storage" / "bodies").iterdir())) == len(kept)


def test_seed(start_google: StartGoogle, tmp_path: Path) -> None:
    """What the seed file names exists in both clouds when they are ready; what was changed since is left alone."""
    seed = tmp_path / "seed.yaml"
    seed.write_text(
        "buckets: [here]\nsecrets: {airflow/variables/a: aws}\n"
        "google:\n  buckets: [there]\n"
        "  secrets: {airflow-variables-a: google, airflow-connections-b: {conn_type: x}}\n",
        encoding="utf-8",
    )
    first = start_google("--seed", str(seed))
    assert [bucket.name for bucket in first.storage.list_buckets()] == ["there"]
    secrets = first.secrets()
    names = [f"{PARENT}/secrets/{name}" for name in ("airflow-variables-a", "airflow-connections-b")]
    values = [secrets.access_secret_version(name=f"{name}/versions/latest").payload.data for name in names]
    assert values == [b"google", b'{"conn_type": "x"}']
    held = {bucket["Name"] for bucket in first.cloud.client("s3").list_buckets()["Buckets"]}
    assert held == {"data", "here"}
    secrets.add_secret_version(parent=names[0], payload={"data": b"changed"})
    # an end that was asked for is an orderly one, though a client's tunnel is open
    assert first.cloud.end() == 0
    assert first.cloud.errors.read_text(encoding="utf-8") == ""
    again = start_google("--seed", str(seed)).secrets()
    assert again.access_secret_version(name=f"{names[0]}/versions/latest").payload.data == b"changed"


@pytest.mark.verify  # a start of its own for a message
def test_refused_seed(tmp_path: Path) -> None:
    """A name that Google's cloud refuses ends the start with the file, the key, the rule, the name and the remedy."""
    seed = tmp_path / "seed.yaml"
    seed.write_text("google: {buckets: [UPPER]}\n", encoding="utf-8")
    refused = _localcloud("up", "--root", str(tmp_path / "root"), "--port", "0", "--google", "on", "--seed", str(seed))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(
        f"localcloud: seed file {seed}: google.buckets was refused by the cloud (Invalid bucket name: 'UPPER'."
    )
    assert refused.stderr.endswith("got 'UPPER'. Remedy: choose a valid, unique name.\n")


def test_commands(google_cloud: GoogleClients) -> None:
    """`env` exports both clouds for any shell, and `status` shows where both answer."""
    root = str(google_cloud.cloud.root)
    exports = _localcloud("env", "--root", root).stdout.splitlines()
    expected = {**client_environment(google_cloud.cloud.endpoint), **google_environment(google_cloud.endpoints)}
    assert exports == [f"export {name}={shlex.quote(value)}" for name, value in expected.items()]
    half = {
        "project": PROJECT_ID,
        "front": google_cloud.endpoints.front,
        "storage": google_cloud.endpoints.storage,
    }
    assert json.loads(_localcloud("status", "--json", "--root", root).stdout)["google"] == half
    shown = _localcloud("status", "--root", root).stdout.splitlines()[1]
    assert shown == f"{half['front']}  storage {half['storage']}  project {PROJECT_ID}"


@pytest.mark.parametrize(
    "file",
    # two more starts that show the same for the other file
    ["secrets.db", pytest.param("storage/storage.db", marks=pytest.mark.verify)],
)
def test_unreadable_state(tmp_path: Path, file: str) -> None:
    """State that is damaged, or of another version, is told with its file and left as it is."""
    path = tmp_path / "root" / "google" / file
    path.parent.mkdir(parents=True)
    command = ("up", "--root", str(tmp_path / "root"), "--port", "0", "--google", "on")
    path.write_bytes(b"no database" * 1000)
    refused = _localcloud(*command)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"localcloud: state {path}: cannot be read (file is not a database).")
    assert path.read_bytes() == b"no database" * 1000
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version=7")
    message = f"localcloud: state {path}: cannot be read (it has the version 7, and this localcloud reads version 1)."
    assert _localcloud(*command).stderr.startswith(message)


@pytest.mark.verify  # three starts for a message and an absence
def test_without_its_packages(tmp_path: Path) -> None:
    """Where the extra is not installed the half can be asked for in vain, and is left out without being asked for."""
    without = "import sys; sys.modules['grpc'] = None; from localcloud.cli import main; sys.exit(main(sys.argv[1:]))"
    up = ["up", "--root", str(tmp_path / "root"), "--port", "0", "--google"]
    command = [sys.executable, "-c", without, *up]
    refused = subprocess.run([*command, "on"], capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "localcloud: --google on: the Google half needs packages that are not installed (grpc). "
        "Install localcloud[gcp], or leave --google at auto.\n"
    )
    with subprocess.Popen([*command, "auto"], stdout=subprocess.PIPE, text=True) as left_out:
        assert left_out.stdout is not None
        assert left_out.stdout.readline().startswith("ready ")
        assert "GOOGLE" not in _localcloud("env", "--root", str(tmp_path / "root")).stdout
        left_out.terminate()


@pytest.mark.verify  # a start of its own for a small thing
def test_chosen_ports(start_google: StartGoogle) -> None:
    """The door has the port that was chosen, and the storage the next one, so that a restart moves nothing."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            break
    endpoints = start_google("--google-port", str(port)).endpoints
    assert (endpoints.front, endpoints.storage) == (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}")


def _put_part(address: str, data: bytes, part: str) -> None:
    request = urllib.request.Request(address, data, {"Content-Range": f"bytes {part}"}, method="PUT")  # noqa: S310 - loopback
    urllib.request.urlopen(request).close()  # noqa: S310 - loopback
