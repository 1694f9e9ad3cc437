"""The local Cloud Storage in a process of its own: `storage_process.py <folder>`; prints its port and serves."""

import socket
import sys
from pathlib import Path

from localcloud.gcp.storage.api import Api
from localcloud.gcp.storage.server import StorageServer
from localcloud.gcp.storage.store import Store


def main() -> None:
    """Serve until killed."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = StorageServer(listener, Api(Store(Path(sys.argv[1]))))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


main()
