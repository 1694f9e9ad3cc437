"""What the JSONPath expressions of a transform's filters select."""

from typing import Any

import pytest

from localcloud.aws.sagemaker.transform.paths import PathError, RecordPath

ROW = ["a", "b", "c", "d"]
RECORD = {"id": 1, "features": [1, 2, 3], "image": {"label": 2, "size": 9}}


@pytest.mark.parametrize(
    ("expression", "record", "selected"),
    [
        ("$", ROW, ROW),
        ("$[1]", ROW, "b"),
        ("$[-1]", ROW, "d"),
        ("$[0:3]", ROW, ["a", "b", "c"]),
        ("$[1:]", ROW, ["b", "c", "d"]),
        ("$[:2]", ROW, ["a", "b"]),
        ("$[0,2]", ROW, ["a", "c"]),
        ("$[0,2:]", ROW, ["a", "c", "d"]),
        ("$.features", RECORD, [1, 2, 3]),
        ("$.features[0]", RECORD, 1),
        ("$['id']", RECORD, 1),
        ("$['id','features']", RECORD, {"id": 1, "features": [1, 2, 3]}),
        ("$.image.['label', 'size']", RECORD, {"label": 2, "size": 9}),
        ("$.*", {"a": 1, "b": 2}, [1, 2]),
        ("$[*].id", [{"id": 1}, {"id": 2}], [1, 2]),
    ],
)
def test_selection(expression: str, record: Any, selected: Any) -> None:
    """Names select attributes, numbers and slices positions; several of them an object or an array."""
    assert RecordPath(expression).select(record) == selected


@pytest.mark.parametrize("expression", ["id", "", "$..id", "$[?(@.id)]", "$[]", "$.id[", "$[1,]", "$" + "[0]" * 30])
def test_expressions_that_are_refused(expression: str) -> None:
    """An expression with another operator, or longer than 63 characters, is none."""
    with pytest.raises(PathError):
        RecordPath(expression)


@pytest.mark.parametrize(
    ("expression", "record"), [("$[4]", ROW), ("$.id", ROW), ("$.other", RECORD), ("$[0]", RECORD), ("$.*", 1)]
)
def test_records_that_lack_what_is_selected(expression: str, record: Any) -> None:
    """Selecting what a record does not have is an error, not an empty answer."""
    with pytest.raises(PathError, match=r"which .* selects"):
        RecordPath(expression).select(record)
