"""One running cloud: root, socket, engine, application; `serve` blocks until a signal ends it.

The order matters: the root is locked before anything in it is touched, the port is bound before jobs of an earlier
server are cleaned up, the state is restored before anybody is answered, and `ready` is said when a real request has
been answered, what was interrupted is closed or started again, and the seed is in place.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.aws.sagemaker.jobs.images import IMAGES
from localcloud.clients import DEFAULT_REGION
from localcloud.engine.engine import Engine
from localcloud.engine.environments import Environments
from localcloud.engine.indexes import index_settings
from localcloud.engine.isolation import choose_isolation
from localcloud.errors import GoogleUnavailableError, PortUnavailableError
from localcloud.images import Image, ImageMap, read_images
from localcloud.seed import Seed, apply_google_seed, apply_seed, read_seed
from localcloud.statefile import lock_root, publish, withdraw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.serving import BaseWSGIServer

    from localcloud.gcp.cloud import GoogleCloud

_GOOGLE_PACKAGES = ("grpc", "google_crc32c", "google.cloud.secretmanager_v1", "cryptography")
ENVIRONMENTS_VARIABLE = "LOCALCLOUD_ENVIRONMENTS"
_SIGNAL_SECONDS = 0.5


@dataclass(frozen=True)
class Settings:
    """What `localcloud up` was asked for.

    Attributes:
        root: The folder of everything that the cloud writes.
        host: The address to bind.
        port: The port of the AWS half; 0 for a free one.
        seed: A seed file.
        images: A file of container images.
        slots: Jobs that run at the same time.
        grace: Seconds between SIGTERM and SIGKILL of a stopped job.
        isolation: How jobs get their /opt/ml.
        google: Whether the Google half runs too: `on`, `off`, or `auto` for when its packages are installed.
        google_port: The port of the Google half's door, its storage has the next one. None stands for the one after
            `port`; two free ones where that is 0, or where this is.
    """

    root: Path
    host: str
    port: int
    seed: Path | None
    images: Path | None
    slots: int
    grace: float
    isolation: str
    google: str = "off"
    google_port: int | None = None


def serve(settings: Settings) -> None:
    """Run a cloud until SIGINT or SIGTERM."""
    root = settings.root.absolute()
    seed = read_seed(settings.seed) if settings.seed else Seed()
    images = read_images(settings.images) if settings.images else []
    IMAGES.extend(images)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    lock = lock_root(root)
    google = runs_google(settings.google)
    listener = _bind(settings.host, settings.port)
    with lock, listener, _bound_for_google(settings) if google else contextlib.nullcontext() as google_listeners:
        port = listener.getsockname()[1]
        # a client on this machine cannot connect to "all addresses"
        endpoint = f"http://{'127.0.0.1' if settings.host == '0.0.0.0' else settings.host}:{port}"  # noqa: S104 - compared only
        environments = Path(os.environ.get(ENVIRONMENTS_VARIABLE) or root / "environments").absolute()
        engine = Engine(
            root,
            environments=Environments(environments),
            isolation=choose_isolation(settings.isolation, root, environments),
            slots=settings.slots,
            grace=settings.grace,
        )
        try:
            with (
                _google_half(root, engine, google_listeners, images) if google_listeners else contextlib.nullcontext()
            ) as google_half:
                _serve_until(ended, engine, listener, endpoint, root, seed, settings.seed, google_half)
        finally:
            withdraw(root)
            engine.close()


def _serve_until(
    ended: threading.Event,
    engine: Engine,
    listener: socket.socket,
    endpoint: str,
    root: Path,
    seed: Seed,
    seed_path: Path | None,
    google: "GoogleCloud | None",
) -> None:
    # imported late: moto costs a second, and wrong arguments should be told at once
    from localcloud.aws.application import STATUS_PATH, build_application  # noqa: PLC0415 - moto, when it is served
    from localcloud.aws.connections import Connections  # noqa: PLC0415 - moto, when it is served
    from localcloud.aws.persistence.state import State  # noqa: PLC0415 - moto, when it is served
    from localcloud.aws.sagemaker.front import RunningJobs  # noqa: PLC0415 - moto, when it is served
    from localcloud.aws.sagemaker.service import resume  # noqa: PLC0415 - moto, when it is served

    def status() -> dict[str, Any]:
        return {
            "endpoint": endpoint,
            "pid": os.getpid(),
            "root": str(root),
            "isolation": engine.isolation.name,
            "jobs": [asdict(row) for row in engine.rows()],
            "environments": [asdict(environment) for environment in engine.environments.known()],
            "images": [asdict(image) for image in IMAGES.known()],
            "state": state.status(),
            "google": google.status() if google else None,
        }

    state = State(root / "state")
    state.restore()
    connections = Connections(endpoint)
    running = RunningJobs(engine, connections)
    application = build_application(running, state, status, root / "requests.jsonl")
    server = _make_server(listener, application)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    with urllib.request.urlopen(f"{endpoint}{STATUS_PATH}", timeout=30) as answer:  # noqa: S310 - our own address
        answer.read()
    # what the first job would otherwise pay for
    connections.objects()
    connections.logs(DEFAULT_REGION)
    resume(running)
    state.save_all()
    if seed_path is not None:
        apply_seed(seed, seed_path, lambda service: connections.client(service, DEFAULT_REGION))
        if google:
            apply_google_seed(seed, seed_path, google)
    publish(root, endpoint, google.endpoints if google else None)
    sys.stdout.write(f"ready {endpoint}\n")
    sys.stdout.flush()
    if engine.interrupted:
        sys.stderr.write(f"{engine.interrupted} job(s) of an earlier server were closed as failed\n")
    # the kernel may give a signal to another thread, which wakes nobody: its handler runs when this thread does
    while not ended.wait(_SIGNAL_SECONDS):
        pass
    server.shutdown()


def runs_google(choice: str) -> bool:
    """Whether the Google half runs.

    Raises:
        GoogleUnavailableError: It must, and its packages are not installed.
    """
    missing = [name for name in _GOOGLE_PACKAGES if not _is_installed(name)]
    if choice == "on" and missing:
        message = (
            f"--google on: the Google half needs packages that are not installed ({', '.join(missing)}). "
            "Install localcloud[gcp], or leave --google at auto."
        )
        raise GoogleUnavailableError(message)
    return choice != "off" and not missing


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


@contextlib.contextmanager
def _bound_for_google(settings: Settings) -> "Iterator[tuple[socket.socket, socket.socket]]":
    """Bind the ports of the Google half's door and storage while the block runs."""
    port = settings.google_port
    if port is None:
        port = settings.port + 1 if settings.port else 0
    with _bind(settings.host, port) as front, _bind(settings.host, port + 1 if port else 0) as storage:
        yield front, storage


@contextlib.contextmanager
def _google_half(
    root: Path, engine: Engine, listeners: tuple[socket.socket, socket.socket], images: Sequence[Image]
) -> "Iterator[GoogleCloud]":
    """Run the Google half while the block runs."""
    # imported late: gRPC and Google's types cost a second, and a taken port should be told at once
    from localcloud.gcp.clients import google_environment  # noqa: PLC0415 - see above
    from localcloud.gcp.cloud import GoogleCloud, Listeners  # noqa: PLC0415 - see above
    from localcloud.gcp.vertex.jobs.access import for_jobs  # noqa: PLC0415 - see above
    from localcloud.gcp.vertex.jobs.images import BUILT_IN  # noqa: PLC0415 - see above
    from localcloud.gcp.vertex.service import Vertex  # noqa: PLC0415 - see above
    from localcloud.gcp.vertex.surroundings import JobAccess, Surroundings  # noqa: PLC0415 - see above

    google = GoogleCloud(root, Listeners(*listeners))
    known = ImageMap(BUILT_IN)
    known.extend(images)
    access = JobAccess.of(for_jobs(google_environment(google.endpoints), index_settings(os.environ)))
    vertex = Vertex(Surroundings(engine, root, google.endpoints.storage, access, known))
    google.start([vertex.handler])
    try:
        yield google
    finally:
        google.close()


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = (
            f"address {host}:{port} cannot be bound ({error.strerror}), and the local cloud needs it for itself. "
            "End what listens there, or choose another --port or --google-port (0 picks free ones)."
        )
        raise PortUnavailableError(message) from error
    listener.listen(128)
    return listener


def _make_server(listener: socket.socket, application: Any) -> "BaseWSGIServer":
    import logging  # noqa: PLC0415 - only to silence the line per request

    from moto.moto_server.werkzeug_app import MotoRequestHandler  # noqa: PLC0415 - see above
    from werkzeug.serving import make_server  # noqa: PLC0415 - moto, when it is served

    class Handler(MotoRequestHandler):
        def send_response(self, code: int, message: str | None = None) -> None:
            # Headers and body leave in one piece: botocore takes headers whose body never came, because the server
            # was killed between the two, for an empty answer. ("100 Continue" does not come by here, and may not wait.)
            self.wfile = self.connection.makefile("wb", 1 << 16)
            super().send_response(code, message)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    host, port = listener.getsockname()[:2]
    return make_server(host, port, application, threaded=True, request_handler=Handler, fd=listener.fileno())
