"""docs/leaving-the-astro-sdk.md: each example runs as it stands there, and both ways leave the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException

from tests.astro.runs import Run

from astro import sql as aql

if TYPE_CHECKING:
    from tests.astro.conftest import Warehouse

PAGE = Path(__file__).resolve().parents[2] / "docs" / "leaving-the-astro-sdk.md"
INTRODUCTION, *SECTIONS = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
EXAMPLES = {section.partition("\n")[0]: section for section in SECTIONS}
# other names of what has a section, and what is no task
OTHER_NAMES = {"export_file", "export_table_to_file", "Table", "Metadata"}
TABLES = {
    "people": "SELECT * FROM (VALUES (1, 'Ann'), (2, 'Ben'), (3, NULL)) AS people(id, name)",
    "scores": "SELECT * FROM (VALUES (1, 0.1::DOUBLE), (2, 2.5), (3, 30.0)) AS scores(id, score)",
    "more": "SELECT * FROM (VALUES (1, 'new'), (9, 'nine')) AS more(id, name)",
}


def blocks(text: str) -> list[str]:
    """Return the page's Python, block by block."""
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def left_by(block: str, folder: Path, place: str, change: str = "") -> dict[str, Any]:
    """Run a block on fresh tables and files; return every table, every new file and the XCom of the task ``result``."""
    Path(place).unlink(missing_ok=True)
    with duckdb.connect(place) as database:
        for name, select in TABLES.items():
            database.execute(f"CREATE TABLE {name} AS {select}")
        if "merge" in block:
            database.execute("CREATE UNIQUE INDEX by_id ON people (id)")
        if change:
            database.execute(change)
    folder.mkdir()
    (folder / "many").mkdir()
    for name in ("a", "b"):
        (folder / "many" / f"{name}.csv").write_text("id,name\n1,x\n")
    (folder / "more.csv").write_text("id,name\n1,new\n9,NA\n")
    (folder / "query.sql").write_text("SELECT id FROM {{ people }} WHERE id > 1")
    before = set(folder.rglob("*"))
    with DAG("d", schedule=None, template_searchpath=str(folder)) as dag:
        names: dict[str, Any] = {"FOLDER": str(folder), "__name__": "page"}
        # the annotations are objects, as in a file without `from __future__ import annotations`
        code = compile(blocks(INTRODUCTION)[0] + block, str(PAGE), "exec", dont_inherit=True)
        exec(code, names)  # noqa: S102 - the page's examples
    run = Run(dag).all()
    with duckdb.connect(place) as database:
        found = [name for (name,) in database.execute("SELECT table_name FROM information_schema.tables").fetchall()]
        tables = {name: sorted(database.table(name).fetchall(), key=repr) for name in found}
    files = {path.name: pd.read_parquet(path).to_dict("list") for path in set(folder.rglob("*")) - before}
    result = run.xcom("result")
    return {"tables": tables, "files": files, "result": result and [_plain(each) for each in result]}


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("name", EXAMPLES)
def test_both_ways_leave_the_same(name: str, duck: Warehouse, tmp_path: Path) -> None:
    """The same rows in the same tables, the same files, the same XCom; and something changed, unless it is a check."""
    before, after = blocks(EXAMPLES[name])
    assert "aql." in before or "get_file_list" in before
    assert not re.search(r"(?<!\.)\b(File|get_file_list|Table|table)\(|\baql\.", after), "the SDK is not left"

    left = left_by(before, tmp_path / "before", duck.place)
    assert left == left_by(after, tmp_path / "after", duck.place)
    nothing = left_by("", tmp_path / "nothing", duck.place)
    assert name.startswith("check_") == (left == nothing)


@pytest.mark.parametrize("name", ["check_table", "check_column"])
def test_both_ways_find_what_is_wrong(name: str, duck: Warehouse, tmp_path: Path) -> None:
    """A check that does not hold fails the task, before and after."""
    for number, block in enumerate(blocks(EXAMPLES[name])):
        with pytest.raises(AirflowException, match="tests have failed"):
            left_by(block, tmp_path / str(number), duck.place, change="DELETE FROM people")


def test_every_public_function_has_a_successor() -> None:
    """No function of ``astro.sql`` is left without an example."""
    functions = {name for name in aql.__all__ if not name.endswith("Operator")}
    assert functions | {"get_file_list"} == set(EXAMPLES) | OTHER_NAMES
