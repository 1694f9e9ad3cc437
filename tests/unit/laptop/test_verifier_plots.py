"""What the verifier sees in a plot, by the program that looks at it in a job's environment."""

from __future__ import annotations

import json
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from deploy.laptop.profile import PROJECT
from deploy.laptop.verifier.driver import VerifierError, recompute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_OTHERS = """
import sys
from PIL import Image
from pathlib import Path
real = Image.open(sys.argv[1])
folder = Path(sys.argv[2])
Image.new("RGBA", real.size, "white").save(folder / "blank.png")
Image.new("RGB", (4, 4), "red").save(folder / "small.png")
real.convert("RGB").save(folder / "picture.jpeg")
"""


@pytest.fixture(scope="module")
def found(
    measured: Mapping[str, Any], job_environments: Sequence[Mapping[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Any]:
    """What is found of a month's real plot, and of what is none."""
    folder = tmp_path_factory.mktemp("plots")
    reports = folder / "reports"
    reports.mkdir()
    (reports / "report.json").write_text(json.dumps(measured["2013-04"]))
    program = PROJECT / "include" / "programs" / "plot_months.py"
    python = job_environments[0]["python"]
    subprocess.run([python, program, "--reports", reports, "--output", folder], check=True, timeout=120)
    real = folder / "2013-04.png"
    subprocess.run([python, "-c", _OTHERS, real, folder], check=True, timeout=60)
    content = real.read_bytes()
    (folder / "half.png").write_bytes(content[: len(content) // 2])
    (folder / "endless.png").write_bytes(content[:-12])
    (folder / "flipped.png").write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    (folder / "text.png").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    return recompute(request_of(folder), folder, job_environments)["plots"]  # type: ignore[no-any-return] # JSON


def request_of(folder: Path) -> dict[str, Any]:
    """A request to look at the pictures in a folder, and at nothing else."""
    with zipfile.ZipFile(folder / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", "year,month\n")
    plots = {path.name: str(path) for path in folder.iterdir() if path.suffix in {".png", ".jpeg"}}
    return {"data_folder": str(folder), "months": [], "models": [], "champions": [], "scores": [], "plots": plots}


def test_a_months_plot_is_a_picture_of_something(found: Mapping[str, Any]) -> None:
    """As the pipeline's own program draws it: a page for a screen, with text and bars on it."""
    plot = found["2013-04.png"]
    assert ("PNG", 1320) == (plot["format"], plot["width"])
    assert 500 < plot["height"] < 2000
    assert 0.03 < plot["drawn"] < 0.5


@pytest.mark.parametrize("name", ["half.png", "endless.png", "flipped.png", "text.png", "empty.png"])
def test_a_broken_plot_is_found_out(found: Mapping[str, Any], name: str) -> None:
    """Cut off in the middle or just before its end, with one bit changed, no picture at all."""
    assert found[name]["problem"]


def test_a_blank_plot_has_nothing_drawn(found: Mapping[str, Any]) -> None:
    """All of it is its background."""
    assert 0.0 == found["blank.png"]["drawn"]


def test_a_picture_that_is_no_plot_is_described_as_it_is(found: Mapping[str, Any]) -> None:
    """Size and format are the file's own, whatever its name says."""
    assert (4, 4) == (found["small.png"]["width"], found["small.png"]["height"])
    assert "JPEG" == found["picture.jpeg"]["format"]


def test_without_an_environment_that_can_there_is_no_verdict(tmp_path: Path) -> None:
    """Nothing is taken to be true for want of means to look."""
    with pytest.raises(VerifierError, match="tried none"):
        recompute(request_of(tmp_path), tmp_path, [])
