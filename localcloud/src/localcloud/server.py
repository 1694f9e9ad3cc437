"""One running cloud: root, socket, engine, application; `serve` blocks until a signal ends it.

The order matters: the root is locked before anything in it is touched, the port is bound before jobs of an earlier
server are cleaned up, the state is restored before anybody is answered, and `ready` is said when a real request has
been answered, what was interrupted is closed or started again, and the seed is in place.
"""

import os
import signal
import socket
import sys
import threading
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.aws.sagemaker.jobs.images import IMAGES
from localcloud.clients import DEFAULT_REGION
from localcloud.engine.engine import Engine
from localcloud.engine.environments import Environments
from localcloud.engine.isolation import choose_isolation
from localcloud.errors import PortUnavailableError
from localcloud.images import read_images
from localcloud.seed import Seed, apply_seed, read_seed
from localcloud.statefile import lock_root, publish, withdraw

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

ENVIRONMENTS_VARIABLE = "LOCALCLOUD_ENVIRONMENTS"


@dataclass(frozen=True)
class Settings:
    """What `localcloud up` was asked for. `grace`: seconds between SIGTERM and SIGKILL of a stopped job."""

    root: Path
    host: str
    port: int
    seed: Path | None
    images: Path | None
    slots: int
    grace: float
    isolation: str


def serve(settings: Settings) -> None:
    """Run a cloud until SIGINT or SIGTERM."""
    root = settings.root.absolute()
    seed = read_seed(settings.seed) if settings.seed else Seed()
    if settings.images:
        IMAGES.extend(read_images(settings.images))
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    lock = lock_root(root)
    listener = _bind(settings.host, settings.port)
    with lock, listener:
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
            _serve_until(ended, engine, listener, endpoint, root, seed, settings.seed)
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
    publish(root, endpoint)
    sys.stdout.write(f"ready {endpoint}\n")
    sys.stdout.flush()
    if engine.interrupted:
        sys.stderr.write(f"{engine.interrupted} job(s) of an earlier server were closed as failed\n")
    ended.wait()
    server.shutdown()


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = (
            f"address {host}:{port} cannot be bound ({error.strerror}), and the local cloud needs it for itself. "
            "End what listens there, or choose another --port (0 picks a free one)."
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
