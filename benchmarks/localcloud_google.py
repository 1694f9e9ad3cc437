"""Measure the local cloud's Google half: ``python -m benchmarks.localcloud_google [--starts 5] [--calls 500]``.

What it costs to have it (CPU seconds until `ready`, resident memory), and what a call costs: a secret read through the
door and its TLS, the same straight at the gRPC server, and small and large objects. CPU seconds and memory are the
server's own, wall milliseconds the client's, which is one thread of another process.
"""

# A benchmark's result is what it prints; no DAG file imports it.
# ruff: noqa: T201, TID253

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import psutil
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from benchmarks.localcloud_persistence import memory, processor_seconds
from localcloud.gcp.clients import PROJECT_ID
from tests.contract.google_cloud.conftest import GoogleClients
from tests.contract.local_cloud import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "secretmanager.googleapis.com"


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.localcloud_google", allow_abbrev=False)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--calls", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"load {os.getloadavg()[0]:.0f}")
        for half in ("off", "on"):
            measure_starts(Path(folder), half, options.starts)
        cloud = LocalCloud(Path(folder) / "calls", "--google", "on")
        try:
            measure_calls(GoogleClients(cloud), options.calls)
            print(f"RSS after the calls: {memory(cloud)} MB")
        finally:
            cloud.end(signal.SIGKILL)


def measure_starts(folder: Path, half: str, starts: int) -> None:
    """Print what a start costs, the first one on a new root (keys are made) left out."""
    found: list[tuple[float, float, int]] = []
    for number in range(starts + 1):
        started = time.perf_counter()
        cloud = LocalCloud(folder / half, "--google", half)
        found.append((time.perf_counter() - started, processor_seconds(cloud), memory(cloud)))
        if number == 0:
            first = found.pop()
        cloud.end()
        cloud_data = folder / half / "state"  # the bucket that LocalCloud makes would be refused the next time
        for file in sorted(cloud_data.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
    wall, processor, resident = (spread([item[which] for item in found]) for which in range(3))
    print(f"google {half}: ready after {wall} s wall, {processor} s CPU, RSS {resident} MB (n = {starts})", end="; ")
    print(f"on a new root {first[0]:.2f} s wall, {first[1]:.2f} s CPU")


def measure_calls(clients: GoogleClients, calls: int) -> None:
    """Print what each kind of call costs."""
    through = clients.secrets()
    described = {"replication": {"automatic": {}}}
    name = through.create_secret(parent=f"projects/{PROJECT_ID}", secret_id="s", secret=described).name  # noqa: S106
    through.add_secret_version(parent=name, payload={"data": b"x" * 1000})
    straight = _straight(clients)
    bucket = clients.storage.create_bucket("bench")
    small, large = b"x" * 1000, os.urandom(1 << 20) * 32
    bucket.blob("read").upload_from_string(small)
    version = f"{name}/versions/latest"
    few = max(calls // 100, 3)
    operations: dict[str, tuple[int, Callable[[int], object]]] = {
        "access a secret, through door and TLS": (calls, lambda _: through.access_secret_version(name=version)),
        "access a secret, straight, TLS": (calls, lambda _: straight.access_secret_version(name=version)),
        "write an object of 1 KB": (calls, lambda number: bucket.blob(f"k{number}").upload_from_string(small)),
        "read an object of 1 KB": (calls, lambda _: bucket.blob("read").download_as_bytes()),
        "write 32 MB": (few, lambda _: bucket.blob("large").upload_from_string(large)),
        "read 32 MB": (few, lambda _: bucket.blob("large").download_as_bytes()),
    }
    print("| operation | n | wall ms, mean ± sd | median | server CPU ms |")
    print("|---|---|---|---|---|")
    for title, (times, operation) in operations.items():
        operation(0)
        processor, walls = processor_seconds(clients.cloud), []
        for number in range(times):
            started = time.perf_counter()
            operation(number)
            walls.append((time.perf_counter() - started) * 1000)
        spent = (processor_seconds(clients.cloud) - processor) * 1000 / times
        print(f"| {title} | {times} | {spread(walls)} | {statistics.median(walls):.2f} | {spent:.2f} |")
    clients.close()


def _straight(clients: GoogleClients) -> SecretManagerServiceClient:
    """Return a client that goes around the door, to the gRPC server itself."""
    listening = {
        found.laddr.port
        for found in psutil.Process(clients.cloud.process.pid).net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.laddr.ip == "::ffff:127.0.0.1"
    }
    (port,) = listening
    trusted = grpc.ssl_channel_credentials(Path(clients.endpoints.ca).read_bytes())
    options = [("grpc.ssl_target_name_override", HOST)]
    channel = grpc.secure_channel(f"127.0.0.1:{port}", trusted, options)
    return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))


def spread(values: list[float] | list[int]) -> str:
    """Return mean and standard deviation."""
    return f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f}"


if __name__ == "__main__":
    main()
