"""Names of resources: `projects/<project>/locations/<location>/<collection>/<id>` and deeper.

Known limitation: Vertex answers with the project's number in names, the local cloud with what the request said.

Source: https://cloud.google.com/vertex-ai/docs/general/locations, https://google.aip.dev/122
"""

import re
import secrets

from localcloud.gcp.vertex.errors import InvalidArgumentError, NotFoundError

_NAMES = """
africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1 asia-south2
asia-southeast1 asia-southeast2 australia-southeast1 australia-southeast2 europe-central2 europe-north1
europe-southwest1 europe-west1 europe-west2 europe-west3 europe-west4 europe-west6 europe-west8 europe-west9
europe-west12 me-central1 me-central2 me-west1 northamerica-northeast1 northamerica-northeast2 southamerica-east1
southamerica-west1 us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4
"""
LOCATIONS = frozenset(_NAMES.split())
_PARENT = re.compile(r"projects/([^/]+)/locations/([^/]+)")
_ID_DIGITS = 18


def check_parent(parent: str) -> None:
    """Refuse a parent that is no location of Vertex AI.

    Raises:
        InvalidArgumentError: It is no name of a location.
        NotFoundError: There is no such location.
    """
    found = _PARENT.fullmatch(parent)
    if found is None:
        message = f'Invalid resource field value in the request: parent "{parent}" is not of the form "{_FORM}".'
        raise InvalidArgumentError(message)
    if found[2] not in LOCATIONS:
        message = (
            f'Location "{found[2]}" is not found or access is unauthorized. Vertex AI is in: '
            f"{', '.join(sorted(LOCATIONS))}."
        )
        raise NotFoundError(message)


_FORM = "projects/{project}/locations/{location}"


def parent_of(name: str) -> str:
    """Return the location of a resource's name."""
    return "/".join(name.split("/")[:4])


def project_of(name: str) -> str:
    """Return the project of a resource's name."""
    return name.split("/")[1]


def location_of(name: str) -> str:
    """Return the location's id of a resource's name."""
    return name.split("/")[3]


def id_of(name: str) -> str:
    """Return the last part of a name."""
    return name.rsplit("/", 1)[-1]


def new_id() -> str:
    """Return an id as Vertex gives them: digits, no order."""
    return str(10**_ID_DIGITS + secrets.randbelow(9 * 10**_ID_DIGITS))
