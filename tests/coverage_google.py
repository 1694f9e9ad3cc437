"""Google's half of localcloud/COVERAGE.md: the methods that its services have, and what localcloud answers them with.

How it works: Google's generated clients name every method of a service by its path, which is read from their sources.
What localcloud answers is asked of its own objects, over an empty root: a Vertex AI and a Secret Manager as `localcloud
up` makes them. A method's name is `<Service>.<Method>`, as in `JobService.CreateCustomJob`.

What it does not do: Cloud Storage and the token endpoint, which are no gRPC services.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERTEX, SECRETS = "google.cloud.aiplatform.v1", "google.cloud.secretmanager.v1"
_PACKAGES = {VERTEX: "google.cloud.aiplatform_v1", SECRETS: "google.cloud.secretmanager_v1"}
_OPERATIONS = "google.longrunning.Operations"
_PATH = re.compile(r'"/(?P<service>[\w.]+)/(?P<method>\w+)"')


@cache
def operations() -> Mapping[str, list[str]]:
    """Return the methods of each API; long-running operations are Vertex AI's."""
    found = {api: sorted(_methods_of(api, package)) for api, package in _PACKAGES.items()}
    return {**found, VERTEX: sorted({*found[VERTEX], *_methods_of(_OPERATIONS, _PACKAGES[VERTEX])})}


def _methods_of(api: str, package: str) -> set[str]:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    sources = [
        path.read_text(encoding="utf-8") for each in folders for path in each.glob("services/*/transports/grpc.py")
    ]
    paths = [found for source in sources for found in _PATH.finditer(source) if found["service"].startswith(api)]
    return {f"{found['service'].rpartition('.')[2]}.{found['method']}" for found in paths}


@cache
def methods() -> Mapping[str, Mapping[str, Callable[..., object]]]:
    """Return what localcloud answers each API's methods with."""
    # heavy, and needed only when the page is asked for
    from localcloud.engine.engine import Engine  # noqa: PLC0415
    from localcloud.engine.environments import Environments  # noqa: PLC0415
    from localcloud.engine.isolation import choose_isolation  # noqa: PLC0415
    from localcloud.gcp.secretmanager.rpc import SecretManager  # noqa: PLC0415
    from localcloud.gcp.secretmanager.store import Store  # noqa: PLC0415
    from localcloud.gcp.vertex.service import Vertex  # noqa: PLC0415
    from localcloud.gcp.vertex.surroundings import JobAccess, Surroundings  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="localcloud-coverage-") as folder:
        root = Path(folder)
        environments = root / "environments"
        isolation = choose_isolation("auto", root, environments)
        engine = Engine(root, environments=Environments(environments), isolation=isolation, slots=1, grace=0.0)
        try:
            vertex = Vertex(Surroundings(engine, root, "http://127.0.0.1:9", JobAccess()))
            secrets = SecretManager(Store(root / "secrets.db"))
        finally:
            engine.close()
        answered = {name.rpartition(".")[2].replace("/", "."): method for name, method in vertex.methods.items()}
        return {
            VERTEX: answered,
            SECRETS: {f"SecretManagerService.{name}": method for name, method in secrets.methods.items()},
        }
