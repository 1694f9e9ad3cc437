"""moto's dispatcher, which remembers to which service a host name belongs, and what a service's class has.

moto asks its folders on disk and tries its URL patterns for every request: a fifth of the price of a small one. It
lists the methods of the service's class for every request as well: a seventh.
"""

import functools
from typing import Any

import moto.core.responses
import moto.core.utils
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app


class Dispatcher(DomainDispatcherApplication):
    """Passes each request on to the application of its service."""

    def __init__(self) -> None:
        """Begin without applications; each is made for its first request."""
        super().__init__(create_backend_app)
        self._backends: dict[str, Any] = {}
        moto.core.responses.method_names_from_class = functools.cache(  # type: ignore[attr-defined] # moto's own import
            moto.core.utils.method_names_from_class
        )

    def get_backend_for_host(self, host: str | None) -> Any:
        """Return the name of the service that answers for a host name; None for one that moto does not know."""
        if host is None:
            return None
        if host not in self._backends:
            found = super().get_backend_for_host(host)
            # names that nobody knows are the clients' to choose: remembering them would never end
            if found is None:
                return None
            self._backends[host] = found
        return self._backends[host]
