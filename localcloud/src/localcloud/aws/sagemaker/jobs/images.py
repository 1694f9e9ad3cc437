"""Which container images the local cloud can stand in for, and with which packages.

A job's image is not pulled: a Python environment with the packages that matter in it takes its place. To map another
image, add an entry to IMAGES. The pins resolve on Python 3.11 to 3.13; they are near, not equal, to the packages of
AWS's image of that name, whatever its tag.
"""

import re
from dataclasses import dataclass

_REGISTRY = r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/"
_REFERENCE = r"([:@].+)?$"
_SCIENTIFIC = ("numpy==2.3.5", "pandas==2.3.3", "pyarrow==22.0.0", "scikit-learn==1.7.2", "scipy==1.16.3")


@dataclass(frozen=True)
class Image:
    """One image: its short name, the pattern of its addresses, and the packages it brings."""

    name: str
    pattern: str
    base: tuple[str, ...]


IMAGES = (
    Image(
        "sagemaker-xgboost",
        f"{_REGISTRY}sagemaker-xgboost{_REFERENCE}",
        ("xgboost-cpu==3.0.5", "matplotlib==3.10.7", *_SCIENTIFIC),
    ),
    Image("sagemaker-scikit-learn", f"{_REGISTRY}sagemaker-scikit-learn{_REFERENCE}", ("skops==0.13.0", *_SCIENTIFIC)),
)


class UnknownImageError(Exception):
    """No entry of IMAGES matches."""


def find_image(address: str) -> Image:
    """Return the entry that stands in for the image at `address`."""
    for image in IMAGES:
        if re.match(image.pattern, address):
            return image
    known = ", ".join(image.name for image in IMAGES)
    message = (
        f"localcloud has no environment for the image {address!r}. It stands in for: {known}. "
        "To map another image, add its address pattern and packages to IMAGES in localcloud.aws.sagemaker.jobs.images."
    )
    raise UnknownImageError(message)
