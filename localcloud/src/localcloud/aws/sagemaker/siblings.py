"""The services beside SageMaker's own API (feature store, human loops, metrics, edge, geospatial, …): refused by name.

moto knows nothing of their paths and answers them with pages of HTML.
"""

import functools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from botocore.session import get_session

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PREFIX = "sagemaker"
_SERVED_SERVICES = frozenset({"sagemaker", "sagemaker-runtime"})
# what moto implements of the others
_SERVED_OPERATIONS = frozenset({"BatchPutMetrics"})


class Siblings:
    """The middleware. It finds the service where the request log has noted it."""

    def __init__(self, application: "WSGIApplication") -> None:
        """Wrap `application`."""
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass on what is not theirs.

        Raises:
            NotImplementedError: An operation of theirs; the message names it.
        """
        request: dict[str, Any] = environ["localcloud.request"]
        path = environ.get("PATH_INFO", "/")
        if str(request["service"]).startswith(_PREFIX) and path != "/":
            for method, pattern, operation in _operations():
                if method == environ["REQUEST_METHOD"] and pattern.fullmatch(path):
                    raise NotImplementedError(operation)
        return self._application(environ, start_response)


@functools.cache
def _operations() -> list[tuple[str, re.Pattern[str], str]]:
    """Return method, path and name of all operations that are not served; read when the first one is looked for."""
    session = get_session()
    found = []
    for service in session.get_available_services():
        if not service.startswith(_PREFIX) or service in _SERVED_SERVICES:
            continue
        model = session.get_service_model(service)
        for name in model.operation_names:
            http = model.operation_model(name).http
            path = http["requestUri"].partition("?")[0]
            parts = [".+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]*\})", path)]
            if name not in _SERVED_OPERATIONS:
                found.append((http["method"], re.compile("".join(parts)), f"{name} of {service}"))
    return found
