"""What a job's programs are given to reach their own cloud: variables, and copies of the files that they name.

A job's pip has to reach the package indexes of the server's user, which the cloud's door refuses like every host that
is not emulated; so those hosts, and they alone, are reached beside it.
"""

import shutil
from collections.abc import Mapping
from urllib.parse import urlsplit

from localcloud.engine.tree import JobTree
from localcloud.gcp.vertex.surroundings import JobAccess

_FOLDER = ".localcloud"
_PUBLIC_INDEX = ("pypi.org", "files.pythonhosted.org")
_INDEX_OPTIONS = ("index-url", "extra-index-url", "find-links")


def for_jobs(environment: Mapping[str, str], index_settings: Mapping[str, str]) -> dict[str, str]:
    """Return a client's environment as a job gets it; `index_settings` are pip's options for package indexes."""
    addresses = [word for option in _INDEX_OPTIONS for word in index_settings.get(option, "").split()]
    hosts = dict.fromkeys([*_PUBLIC_INDEX, *(host for word in addresses if (host := urlsplit(word).hostname))])
    # the door's authority alone would make pip refuse the index's certificate
    values = {name: value for name, value in environment.items() if name != "REQUESTS_CA_BUNDLE"}
    for name in ("no_proxy", "NO_PROXY"):
        values[name] = ",".join([*filter(None, [values.get(name, "")]), *hosts])
    return values


def access_variables(access: JobAccess, tree: JobTree) -> dict[str, str]:
    """Return the variables of a host; the files are copied into its home, where it can look."""
    variables = dict(access.variables)
    folder = tree.home / _FOLDER
    for name, path in access.files.items():
        folder.mkdir(exist_ok=True)
        copy = folder / path.name
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
        variables[name] = str(copy)
    return variables
