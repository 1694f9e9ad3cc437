"""The verifier's own drift: the rule by hand on small columns, and what the monitoring measures on any rows."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.laptop.verifier.recompute_drift import recompute_drift
from include.core.model_spec import Features
from include.monitoring.drift import measure_drift, profile_reference
from tests.strategies import values_with_gaps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Values = Sequence[float | str | None]

# as instruments give them; a spread of 1e-180 is a matter of how a program rounds
readings = values_with_gaps.map(lambda drawn: [value if value is None else round(value, 3) for value in drawn])
carriers = st.lists(st.one_of(st.none(), st.sampled_from(["AA", "UA", "", "é"])), min_size=1, max_size=150)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for the files of all examples."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def written(folder: Path, name: str, values: Values, kind: str) -> Path:
    """A Parquet file of one column x."""
    path = folder / f"{name}.parquet"
    numeric = kind == "numeric"
    pq.write_table(
        pyarrow.table({"x": pyarrow.array(values, pyarrow.float64() if numeric else pyarrow.string())}), path
    )
    return path


def drift(folder: Path, reference: Sequence[Values], month: Values, kind: str = "numeric") -> dict[str, Any]:
    """The recomputed drift of the column."""
    paths = [written(folder, f"reference-{number}", values, kind) for number, values in enumerate(reference)]
    return recompute_drift(paths, written(folder, "month", month, kind), {"x": kind})["x"]


def psi(before: Sequence[int], after: Sequence[int]) -> float:
    """PSI of counts, by its formula."""
    shares = [[(count + 0.5) / (sum(side) + len(side) / 2) for count in side] for side in (before, after)]
    return sum((now - then) * math.log(now / then) for then, now in zip(*shares, strict=True))


def assert_alike(measured: Mapping[str, Any], recomputed: Mapping[str, Any]) -> None:
    """Every figure of a feature is the same, to the ninth digit."""
    assert measured.keys() == recomputed.keys()
    for name, figure in measured.items():
        undefined_or_word = figure is None or isinstance(figure, str)
        assert figure == (
            recomputed[name] if undefined_or_word else pytest.approx(recomputed[name], rel=1e-9, abs=1e-9)
        ), name


def test_a_number_falls_into_the_tenth_that_ends_with_it(folder: Path) -> None:
    """1 to 100 in two files make ten bins of ten and one for missing values; 10 falls into the first of them."""
    found = drift(folder, [list(range(1, 51)), list(range(51, 101))], [10.0, 11.0, None, 1000.0])
    assert psi([0] + [10] * 10, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1]) == pytest.approx(found["psi"], rel=1e-12)
    assert (0.0, 0.25) == (found["missing_reference"], found["missing_current"])


def test_a_value_has_a_bin_of_its_own_from_a_fifth_of_the_rows_on(folder: Path) -> None:
    """Missing rows count as rows; what is left is cut at its own deciles."""
    rest = [float(each) for each in range(1, 81)]
    enough = drift(folder, [[0.0] * 20 + rest], [0.0] * 100)["psi"]
    too_few = drift(folder, [[0.0] * 19 + [None] + rest], [0.0] * 100)["psi"]
    assert psi([0, 20, *[8] * 10], [0, 100, *[0] * 10]) == pytest.approx(enough, rel=1e-12)
    # the first tenth ends with the zeros, the second with the value after them, the last with the rest
    assert psi([1, 19, 1, *[10] * 7, 9], [0, 100, 0, *[0] * 7, 0]) == pytest.approx(too_few, rel=1e-12)


def test_a_category_is_rare_below_a_hundredth(folder: Path) -> None:
    """It shares the last bin with what the reference has never seen."""
    found = drift(folder, [["AA"] * 197 + ["UA"] * 2 + ["XX"]], ["XX", "new", "UA", None], kind="categorical")
    assert psi([0, 197, 2, 1], [1, 0, 1, 2]) == pytest.approx(found["psi"], rel=1e-12)


def test_the_effect_sizes_are_those_of_the_textbook(folder: Path) -> None:
    """Cohen's d with the pooled deviation; Cramér's V of two sets with nothing in common is 1, of equal ones 0."""
    assert pytest.approx(math.sqrt(2)) == drift(folder, [[0.0, 1.0]], [1.0, 2.0])["effect_size"]
    assert pytest.approx(1.0) == drift(folder, [["a", "a"]], ["b", "b"], kind="categorical")["effect_size"]
    assert pytest.approx(0.0) == drift(folder, [["a", "b"]], ["a", "b"], kind="categorical")["effect_size"]
    assert drift(folder, [[0.1] * 3], [0.1] * 7)["effect_size"] is None
    assert drift(folder, [["a"]], ["a"], kind="categorical")["effect_size"] is None


@settings(max_examples=40)
@given(
    columns=st.one_of(
        st.tuples(st.just("numeric"), readings, readings, readings),
        st.tuples(st.just("categorical"), carriers, carriers, carriers),
    )
)
def test_any_rows_give_what_the_monitoring_measures(folder: Path, columns: tuple[str, Values, Values, Values]) -> None:
    """Two programs that share nothing but the rule agree on every figure of every feature."""
    kind, *references, month = columns
    features = Features(numeric=["x"]) if kind == "numeric" else Features(numeric=[], categorical=["x"])
    recomputed = drift(folder, references, month, kind)
    paths = [folder / f"reference-{number}.parquet" for number in range(len(references))]
    measured = measure_drift(folder / "month.parquet", profile_reference(paths, features)).features["x"]
    assert_alike(measured.model_dump(), recomputed)


def test_a_small_lake_gives_the_reports_that_the_monitoring_wrote(
    measured: Mapping[str, dict[str, Any]], drifts: Mapping[str, dict[str, Any]]
) -> None:
    """Each feature of each month, to the ninth digit; and the months did drift."""
    for month, report in measured.items():
        assert report["drift"].keys() == drifts[month].keys()
        for name, claimed in report["drift"].items():
            assert_alike(claimed, drifts[month][name])
        assert report["max_psi"] > 0.2


def test_a_row_more_is_seen(features: Mapping[str, Path], drifts: Mapping[str, dict[str, Any]], tmp_path: Path) -> None:
    """The tolerance hides no change of the data."""
    table = pq.read_table(features["2013-05"])
    path = tmp_path / "changed.parquet"
    pq.write_table(pyarrow.concat_tables([table, table.slice(0, 1)]), path)
    found = recompute_drift([features["2013-01"], features["2013-02"]], path, {"temp": "numeric"})["temp"]
    assert abs(found["psi"] - drifts["2013-05"]["temp"]["psi"]) > 1e-6
