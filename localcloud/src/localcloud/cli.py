"""The command line: `localcloud up | env | status | down`."""

import argparse
import json
import os
import shlex
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from localcloud.clients import client_environment
from localcloud.engine.isolation import MODES
from localcloud.errors import LocalCloudError, NotRunningError, StopTimeoutError
from localcloud.gcp.clients import google_environment
from localcloud.statefile import find_running, is_locked

ROOT_VARIABLE = "LOCALCLOUD_ROOT"
DEFAULT_PORT = 4567
STOP_SECONDS = 20.0
_STATUS_PATH = "/_localcloud/status"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except LocalCloudError as error:
        sys.stderr.write(f"localcloud: {error}\n")
        return 1


def _up(options: argparse.Namespace) -> int:
    from localcloud.server import Settings, serve  # noqa: PLC0415 - the other commands should start fast

    serve(
        Settings(
            root=options.root,
            host=options.host,
            port=options.port,
            seed=options.seed,
            images=options.images,
            slots=options.slots,
            grace=options.grace,
            isolation=options.isolation,
            google=options.google,
            google_port=options.google_port,
        )
    )
    return 0


def _env(options: argparse.Namespace) -> int:
    running = find_running(options.root)
    values = client_environment(running.endpoint)
    if running.google is not None:
        values |= google_environment(running.google)
    for name, value in values.items():
        _say(f"export {name}={shlex.quote(value)}")
    return 0


def _status(options: argparse.Namespace) -> int:
    running = find_running(options.root)
    try:
        with urllib.request.urlopen(f"{running.endpoint}{_STATUS_PATH}", timeout=10) as answer:  # noqa: S310 - loopback
            status = json.load(answer)
    except (urllib.error.URLError, OSError) as error:
        message = f"root {options.root}: process {running.pid} does not answer at {running.endpoint} ({error})."
        raise NotRunningError(message) from error
    if options.json:
        _say(json.dumps(status, indent=2))
        return 0
    _say(f"{status['endpoint']}  pid {status['pid']}  root {status['root']}  isolation {status['isolation']}")
    if google := status["google"]:
        _say(f"{google['front']}  storage {google['storage']}  project {google['project']}")
    for job in status["jobs"]:
        _say(f"{job['kind']:<11} {job['name']:<63} {job['status']:<10} {job['reason'] or ''}".rstrip())
    return 0


def _down(options: argparse.Namespace) -> int:
    running = find_running(options.root)
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while is_locked(options.root):
        if time.monotonic() > deadline:
            message = (
                f"root {options.root}: process {running.pid} did not end within {STOP_SECONDS:g} s of SIGTERM. "
                f"Look at what it does, or end it with `kill -9 {running.pid}`."
            )
            raise StopTimeoutError(message)
        time.sleep(0.05)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localcloud", description=__doc__)
    commands = parser.add_subparsers(required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get(ROOT_VARIABLE) or ".local/cloud"),
        help=f"folder for everything the cloud writes (default: .local/cloud, or ${ROOT_VARIABLE})",
    )
    up = commands.add_parser("up", parents=[common], help="run a cloud in the foreground; prints `ready` and where")
    up.add_argument("--host", default="127.0.0.1", help="address to bind (a container sets 0.0.0.0)")
    up.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to bind; 0 picks a free one")
    up.add_argument("--seed", type=Path, help="YAML file of buckets, secrets and roles to create")
    up.add_argument("--images", type=Path, help="YAML file of container images and the packages that stand in for them")
    up.add_argument("--slots", type=_positive, default=2, help="jobs that run at the same time; more wait")
    up.add_argument("--grace", type=float, default=120.0, help="seconds a stopped job has to tidy up before SIGKILL")
    up.add_argument("--isolation", choices=MODES, default="auto", help="how jobs get their /opt/ml")
    up.add_argument(
        "--google",
        choices=("auto", "on", "off"),
        default="auto",
        help="run the Google half too: auto does where its packages (localcloud[gcp]) are installed",
    )
    up.add_argument(
        "--google-port",
        type=int,
        help="port of the Google half, whose storage has the next one; 0 picks free ones (default: --port + 1)",
    )
    up.set_defaults(command=_up)
    env = commands.add_parser("env", parents=[common], help="print shell exports for any AWS or Google client")
    env.set_defaults(command=_env)
    status = commands.add_parser("status", parents=[common], help="show the running cloud and its jobs")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(command=_status)
    down = commands.add_parser("down", parents=[common], help="end the running cloud and its jobs")
    down.set_defaults(command=_down)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        message = f"must be at least 1, got {number}"
        raise argparse.ArgumentTypeError(message)
    return number


if __name__ == "__main__":
    sys.exit(main())
