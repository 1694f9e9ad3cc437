"""Which container images a local cloud can stand in for: address, packages, Python, entry point.

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

Each cloud has its own built-in entries: `localcloud.aws.sagemaker.jobs.images`, `localcloud.gcp.vertex.jobs.images`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcloud.errors import ImagesError

_KEYS = ("name", "address", "packages", "python", "entrypoint")
_NEEDED = ("name", "address", "packages")


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


class UnknownImageError(Exception):
    """No entry matches."""


class ImageMap:
    """The entries, the user's before the built-in ones."""

    def __init__(self, built_in: Sequence[Image]) -> None:
        """Begin with the built-in ones."""
        self._images: tuple[Image, ...] = tuple(built_in)

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
