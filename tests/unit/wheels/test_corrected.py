"""A corrected wheel: the same code under other limits, whole, marked and reproducible."""

from __future__ import annotations

import base64
import csv
import hashlib
import tomllib
import zipfile
from email import message_from_string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from deploy.wheels.build import CORRECTION, PROJECT, REQUIREMENT, SHA256, build, require_published
from deploy.wheels.corrected import Correction, correct
from deploy.wheels.errors import WheelRefused

if TYPE_CHECKING:
    from pathlib import Path

INFO = "shop-1.2.dist-info"
CODE = "# Version: 1.2\nREQUIRES = 'Requires-Dist: pandas<2'\n"
METADATA = """\
Metadata-Version: 2.4
Name: shop
Version: 1.2
License-File: LICENSE
Requires-Dist: attrs>=20
Requires-Dist: pandas<2
Requires-Dist: Tills[card,cash]<0.6,>=0.2 ; extra == "all"
Provides-Extra: all

Install it with
Requires-Dist: pandas<2
Version: 1.2
"""
SHOP = Correction("fixed", {"pandas": "<3.1", "tills": ""})


def wheel_of(folder: Path, members: dict[str, str], moment: tuple[int, int, int] = (2020, 5, 17)) -> Path:
    """Write a wheel ``shop`` 1.2 with the members, changed at a moment."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "shop-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name, (*moment, 1, 2, 4)), text)
    return path


def shop(folder: Path, moment: tuple[int, int, int] = (2020, 5, 17), **others: str) -> Path:
    """Write a whole wheel; others are members beside its metadata."""
    members = {
        "shop/__init__.py": CODE,
        f"{INFO}/licenses/LICENSE": "Do as you like.\n",
        f"{INFO}/WHEEL": "Wheel-Version: 1.0\n",
        f"{INFO}/METADATA": METADATA,
        "shop-1.2.data/scripts/till": "#!python\n",
        **{f"{INFO}/{name}": text for name, text in others.items()},
        f"{INFO}/RECORD": "shop/__init__.py,sha256=of-the-published-one,1\n",
    }
    return wheel_of(folder, members, moment)


def content(wheel: Path) -> dict[str, str]:
    """Return the members and their text."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def names_in(folder: Path) -> list[str]:
    """Return the names of a folder's files."""
    return sorted(path.name for path in folder.iterdir())


def test_the_version_says_that_it_is_another_wheel(tmp_path: Path) -> None:
    """File name, metadata and the folders that carry the version have the local label."""
    corrected = correct(shop(tmp_path), tmp_path, SHOP)

    assert "shop-1.2+fixed-py3-none-any.whl" == corrected.name
    members = content(corrected)
    assert "1.2+fixed" == message_from_string(members["shop-1.2+fixed.dist-info/METADATA"])["Version"]
    assert {"shop", "shop-1.2+fixed.data", "shop-1.2+fixed.dist-info"} == {name.split("/")[0] for name in members}


def test_limits_alone_change(tmp_path: Path) -> None:
    """Extras, markers, other requirements and the description stay; a limit is replaced wherever it is."""
    metadata = content(correct(shop(tmp_path), tmp_path, SHOP))["shop-1.2+fixed.dist-info/METADATA"]

    header, _, description = metadata.partition("\n\n")
    assert METADATA.partition("\n\n")[2] == description
    assert ["attrs>=20", "pandas<3.1", 'Tills[card,cash] ; extra == "all"'] == message_from_string(header).get_all(
        "Requires-Dist"
    )


def test_code_and_licence_are_the_published_ones(tmp_path: Path) -> None:
    """No byte of what is not metadata changes, also where it looks like metadata."""
    members = content(correct(shop(tmp_path), tmp_path, SHOP))

    assert CODE == members["shop/__init__.py"]
    assert "Do as you like.\n" == members["shop-1.2+fixed.dist-info/licenses/LICENSE"]
    assert "#!python\n" == members["shop-1.2+fixed.data/scripts/till"]


def test_the_same_wheel_gives_the_same_bytes(tmp_path: Path) -> None:
    """Neither the clock, the folder nor when the published members were written shows in the result."""
    first = correct(shop(tmp_path / "a", moment=(2020, 5, 17)), tmp_path / "a", SHOP)
    second = correct(shop(tmp_path / "b", moment=(2024, 1, 31)), tmp_path / "b", SHOP)

    assert first.read_bytes() == second.read_bytes()
    assert ["shop-1.2+fixed-py3-none-any.whl", "shop-1.2-py3-none-any.whl"] == names_in(tmp_path / "a")


@settings(max_examples=25)
@given(
    files=st.dictionaries(
        st.from_regex(r"shop/[a-z ,\"]{1,8}\.py", fullmatch=True), st.text(alphabet='ab\n,"é', max_size=40), max_size=5
    )
)
def test_record_names_every_member(tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]) -> None:
    """RECORD has each member once, with its digest and size, and itself without either."""
    folder = tmp_path_factory.mktemp("wheel")
    corrected = correct(wheel_of(folder, {**files, f"{INFO}/METADATA": METADATA}), folder, SHOP)

    with zipfile.ZipFile(corrected) as archive:
        read = {name: archive.read(name) for name in archive.namelist()}
    record = "shop-1.2+fixed.dist-info/RECORD"
    expected = [
        [name, f"sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')}", str(len(data))]
        for name, data in read.items()
        if name != record
    ]
    assert [*expected, [record, "", ""]] == list(csv.reader(read[record].decode().splitlines()))


def test_a_correction_of_nothing_is_refused(tmp_path: Path) -> None:
    """A requirement that the wheel does not have would be a correction that misses its mark."""
    with pytest.raises(WheelRefused, match=r"shop-1.2-py3-none-any.whl: METADATA: it does not require numpy\. Rule: "):
        correct(shop(tmp_path), tmp_path, Correction("fixed", {"numpy": "<3"}))

    assert ["shop-1.2-py3-none-any.whl"] == names_in(tmp_path)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"shop/__init__.py": CODE}, "no shop-1.2.dist-info/METADATA in it"),
        ({f"{INFO}/METADATA": METADATA.replace("1.2", "1.3")}, "no line `Version: 1.2` in it"),
        ({f"{INFO}/METADATA": METADATA, f"{INFO}/RECORD.jws": "{}"}, "it is signed"),
    ],
)
def test_a_strange_wheel_is_refused(tmp_path: Path, members: dict[str, str], said: str) -> None:
    """A wheel without its metadata, with another version's or with a signature is left alone, and named."""
    with pytest.raises(WheelRefused, match=f"shop-1.2-py3-none-any.whl.*: {said}"):
        correct(wheel_of(tmp_path, members), tmp_path, SHOP)


def test_another_wheel_than_the_published_is_refused(tmp_path: Path) -> None:
    """The digest decides, before anything is written; the message has both."""
    other = shop(tmp_path).rename(tmp_path / "astro_sdk_python-1.9.0-py3-none-any.whl")
    found = hashlib.sha256(other.read_bytes()).hexdigest()

    with pytest.raises(WheelRefused, match=f"sha256 {found}.*has sha256 {SHA256}"):
        require_published(other)
    with pytest.raises(WheelRefused, match=found):
        build(tmp_path / "dist", other)
    assert [] == names_in(tmp_path / "dist")


def test_the_pin_is_what_the_project_installs() -> None:
    """The wheel that is corrected is the one that uv.lock names."""
    lock = tomllib.loads((PROJECT / "uv.lock").read_text(encoding="utf-8"))
    (locked,) = [package for package in lock["package"] if package["name"] == "astro-sdk-python"]

    assert REQUIREMENT == f"astro-sdk-python=={locked['version']}"
    assert [f"sha256:{SHA256}"] == [wheel["hash"] for wheel in locked["wheels"]]


def test_the_limits_let_in_what_uv_is_told_to_take() -> None:
    """A requirement that pyproject.toml overrides is corrected in the wheel, and no other."""
    uv = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]

    overridden = {Requirement(line).name for line in uv["override-dependencies"]}
    assert overridden == CORRECTION.limits.keys()
