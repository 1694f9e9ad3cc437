"""What a job's programs are given to reach their own cloud: variables, and copies of the files that they name."""

import shutil

from localcloud.engine.tree import JobTree
from localcloud.gcp.vertex.surroundings import JobAccess

_FOLDER = ".localcloud"


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
