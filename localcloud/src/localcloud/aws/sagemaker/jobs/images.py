"""Which container images the local cloud can stand in for: address, packages, Python, entry point.

Purpose: a job's image is not pulled. A Python environment with the packages that matter in it takes its place.

How it works: the first entry whose pattern matches an image's address is taken, the user's entries before the built-in
ones. A user's entries come from a file (`localcloud up --images FILE`), read strictly:

    images:
      - name: trainer
        address: 123456789012.dkr.ecr.*.amazonaws.com/trainer:*    # `*` is anything but a slash
        packages: [scikit-learn==1.7.2, pandas==2.3.3]
        python: "3.12"                        # optional; the server's own if it is missing
        entrypoint: [python, -m, trainer]     # optional; what runs when a job names no command of its own

What it does not do: images' own files, system packages and variables.

Known limitation: the packages are near, not equal, to those of AWS's images. AWS's images have Python 3.8 to 3.10, for
which several of their packages have no counterpart on the Python that runs the server; `remark` says what differs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import localcloud
from localcloud.errors import ImagesError

_REGISTRY = r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/"
_KEYS = ("name", "address", "packages", "python", "entrypoint")
_NEEDED = ("name", "address", "packages")
_SCIENTIFIC = ("numpy==2.3.5", "pandas==2.3.3", "pyarrow==22.0.0", "scikit-learn==1.7.2", "scipy==1.16.3")
# the newest releases of that time that the server's Python can run
_SCIENTIFIC_2023 = (
    "numpy==1.24.4; python_version < '3.12'",
    "numpy==1.26.4; python_version >= '3.12'",
    "pandas==1.5.3; python_version < '3.12'",
    "pandas==2.1.4; python_version >= '3.12'",
    "pyarrow==14.0.2",
    "scikit-learn==1.2.2; python_version < '3.12'",
    "scikit-learn==1.3.2; python_version >= '3.12'",
    "scipy==1.10.1; python_version < '3.12'",
    "scipy==1.11.4; python_version >= '3.12'",
)


@dataclass(frozen=True)
class Image:
    """One stand-in.

    Args:
        name: What it is called in messages.
        pattern: A regular expression for the whole address.
        base: The packages it brings, as requirements.
        python: The version of its interpreter; the server's own if empty.
        entrypoint: The command of a job that names none; none if empty.
        remark: How it differs from the image.
    """

    name: str
    pattern: str
    base: tuple[str, ...]
    python: str = ""
    entrypoint: tuple[str, ...] = ()
    remark: str = ""

    def matches(self, address: str) -> bool:
        """Whether it stands in for the image at `address`."""
        return re.fullmatch(self.pattern, address) is not None


def _framework(name: str, tag: str, base: tuple[str, ...], remark: str) -> Image:
    return Image(name, rf"{_REGISTRY}{name}:{re.escape(tag)}(-[a-z0-9-]+)?", base, remark=remark)


# imported from where the server has it: the analyzer needs nothing but the standard library
_ANALYZER = (
    f"import sys; sys.path.append({str(Path(localcloud.__file__).parents[1])!r}); "
    "from localcloud.aws.sagemaker.monitoring.analyzer.program import main; main()"
)

BUILT_IN = (
    _framework(
        "sagemaker-xgboost",
        "3.0-5",
        ("xgboost-cpu==3.0.5", "matplotlib==3.10.7", *_SCIENTIFIC),
        "xgboost 3.0.5 as on AWS, without GPU; newer numpy, pandas (AWS: 2.1.0, 2.2.3) and Python (AWS: 3.10)",
    ),
    _framework(
        "sagemaker-xgboost",
        "1.7-1",
        ("xgboost==1.7.6", "matplotlib==3.7.5; python_version < '3.12'", *_SCIENTIFIC_2023),
        "xgboost 1.7.6 (AWS: 1.7.4); much newer numpy, pandas, scikit-learn and Python (AWS: 1.24, 1.1, 0.24, 3.8)",
    ),
    _framework(
        "sagemaker-scikit-learn",
        "1.4-2",
        ("scikit-learn==1.4.2", "numpy==1.26.4", "pandas==2.2.3", "pyarrow==17.0.0", "scipy==1.13.1"),
        "scikit-learn 1.4.2 as on AWS; numpy 1.26.4, for which it was built (AWS: 2.1.0), newer Python (AWS: 3.10)",
    ),
    _framework(
        "sagemaker-scikit-learn",
        "1.2-1",
        _SCIENTIFIC_2023,
        "scikit-learn 1.2.2, on Python 3.12 1.3.2 (AWS: 1.2.1); newer pandas (AWS: 1.1.3) and Python (AWS: 3.9)",
    ),
    Image(
        "sagemaker-model-monitor-analyzer",
        rf"{_REGISTRY}sagemaker-model-monitor-analyzer(:[A-Za-z0-9_.-]+)?",
        (),
        entrypoint=("python", "-c", _ANALYZER, "/opt/ml/output/message"),
        remark="a program of our own: CSV, JSON lines and captured invocations; no scripts, metrics or Parquet",
    ),
)


class UnknownImageError(Exception):
    """No entry matches."""


class ImageMap:
    """The entries, the user's before the built-in ones."""

    def __init__(self) -> None:
        """Begin with the built-in ones."""
        self._images: tuple[Image, ...] = BUILT_IN

    def extend(self, images: Sequence[Image]) -> None:
        """Look at `images` before the others."""
        self._images = (*images, *self._images)

    def known(self) -> tuple[Image, ...]:
        """Return all entries."""
        return self._images

    def find(self, address: str) -> Image:
        """Return the entry that stands in for the image at `address`."""
        for image in self._images:
            if image.matches(address):
                return image
        tags: dict[str, list[str]] = {}
        for image in self._images:
            tags.setdefault(image.name, []).append(_tag(image))
        known = ", ".join(":".join(filter(None, (name, " and ".join(found)))) for name, found in tags.items())
        message = (
            f"localcloud has no environment for the image {address!r}. It stands in for: {known}. To map another "
            "image, add its address pattern and packages to a YAML file and start the cloud with `--images FILE`; see "
            "localcloud/README.md."
        )
        raise UnknownImageError(message)


IMAGES = ImageMap()


def find_image(address: str) -> Image:
    """Return what stands in for the image at `address`.

    Raises:
        UnknownImageError: nothing does; the message says how to map it.
    """
    return IMAGES.find(address)


def read_images(path: Path) -> list[Image]:
    """Read a user's entries; an ImagesError names file, key, rule, value and remedy."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = (
            f"images file {path}: cannot be read ({error.strerror}). Give the path of an existing file to --images."
        )
        raise ImagesError(message) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        message = f"images file {path}: is not YAML: {' '.join(str(error).split())}. Correct the file's syntax."
        raise ImagesError(message) from error
    if not isinstance(content, dict) or list(content) != ["images"]:
        shown = list(content) if isinstance(content, dict) else content
        raise _wrong(path, "(top level)", "must be a mapping with the one key `images`", shown, "write `images:`")
    if not isinstance(content["images"], list):
        raise _wrong(path, "images", "must be a list of entries", content["images"], "begin each entry with `- name:`")
    return [_entry(path, f"images[{number}]", item) for number, item in enumerate(content["images"])]


def _entry(path: Path, where: str, item: object) -> Image:
    if not isinstance(item, dict):
        raise _wrong(path, where, "must be a mapping", item, f"write the keys {', '.join(_NEEDED)}")
    for key in item:
        if key not in _KEYS:
            raise _wrong(path, f"{where}.{key}", f"is not one of {', '.join(_KEYS)}", item[key], "remove or rename it")
    for key in _NEEDED:
        if key not in item:
            raise _wrong(path, f"{where}.{key}", "is needed", sorted(item), f"add `{key}:`")
    _check_kinds(path, where, item)
    python = item.get("python", "")
    if python and not re.fullmatch(r"3\.\d{1,2}", python):
        raise _wrong(path, f"{where}.python", 'must be a version such as "3.12"', python, "give major and minor number")
    return Image(
        name=item["name"],
        pattern=re.escape(item["address"]).replace(r"\*", "[^/]*"),
        base=tuple(item["packages"]),
        python=python,
        entrypoint=tuple(item.get("entrypoint", [])),
    )


def _check_kinds(path: Path, where: str, item: dict[str, Any]) -> None:
    for key in ("name", "address", "python"):
        if key in item and (not isinstance(item[key], str) or not item[key]):
            raise _wrong(path, f"{where}.{key}", "must be text", item[key], "put it in quotes")
    for key in ("packages", "entrypoint"):
        words = item.get(key, [])
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise _wrong(path, f"{where}.{key}", "must be a list of texts", words, "write `[first, second]`")


def _wrong(path: Path, key: str, rule: str, value: object, remedy: str) -> ImagesError:
    return ImagesError(f"images file {path}: {key} {rule}, got {value!r}. Remedy: {remedy}.")


def _tag(image: Image) -> str:
    found = re.search(r":([^(]*)\(", image.pattern)
    return found.group(1).replace("\\", "") if found else ""
