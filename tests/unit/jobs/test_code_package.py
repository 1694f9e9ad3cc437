"""A model's code as cloud jobs receive it."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from include.jobs.code_package import pack, publish_code

if TYPE_CHECKING:
    from include.core.lake import Lake

contents = st.dictionaries(st.from_regex(r"[a-z]{1,12}\.py", fullmatch=True), st.binary(max_size=500), max_size=5)


@given(contents)
def test_an_archive_gives_back_what_was_packed(files: dict[str, bytes]) -> None:
    """Every file comes out as it went in, and packing again gives the same bytes."""
    packed = pack(files)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        found = {}
        for entry in archive:
            content = archive.extractfile(entry)
            assert content is not None
            found[entry.name] = content.read()
    assert files == found
    assert packed == pack(files)


def test_code_is_published_once_as_folder_and_archive(lake: Lake) -> None:
    """The model's entry point, its door, its requirements and the programs beside it lie in both; twice is once."""
    package = publish_code(lake, "flight_delay")
    folder = lake.key(package.files)
    names = {key.removeprefix(folder) for key in lake.keys(folder)}
    assert {"train.py", "predict.py", "requirements.txt", "evaluate.py", "serve.py"} <= names
    content = lake.read_bytes(lake.key(package.archive))
    assert content is not None
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert names == set(archive.getnames())
    before = sorted(lake.keys(""))
    assert package == publish_code(lake, "flight_delay")
    assert before == sorted(lake.keys(""))
