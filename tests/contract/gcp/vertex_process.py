"""One local Vertex AI in a process of its own: `vertex_process.py <root> <storage endpoint> <images file>`.

Prints `ready <port>` and serves until SIGTERM; the port speaks plain text. It stands on the engine as `localcloud up`
does, so that a test can kill it.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from localcloud.engine.engine import Engine
from localcloud.engine.environments import Environments
from localcloud.engine.isolation import choose_isolation
from localcloud.gcp.vertex.jobs.images import BUILT_IN
from localcloud.gcp.vertex.service import Vertex
from localcloud.gcp.vertex.surroundings import JobAccess, Surroundings
from localcloud.images import ImageMap, read_images


def main() -> None:
    """Serve until SIGTERM."""
    root, storage = Path(sys.argv[1]).absolute(), sys.argv[2]
    root.mkdir(parents=True, exist_ok=True)
    images = ImageMap(BUILT_IN)
    images.extend(read_images(Path(sys.argv[3])))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    environments = Path(os.environ["LOCALCLOUD_ENVIRONMENTS"]).absolute()
    isolation = choose_isolation("auto", root, environments)
    engine = Engine(root, environments=Environments(environments), isolation=isolation, slots=3, grace=2.0)
    access = JobAccess({"STORAGE_EMULATOR_HOST": storage})
    vertex = Vertex(Surroundings(engine, root, storage, access, images))
    sys.stdout.write(f"ready {vertex.serve()}\n")
    sys.stdout.flush()
    ended.wait()
    vertex.stop()
    engine.close()


main()
