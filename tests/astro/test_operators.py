"""Every public operator and decorator of the SDK on each engine; the rows are read back over another connection."""

# annotations are real objects here: the SDK's decorators look for `pd.DataFrame`
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException

from tests.astro.conftest import Warehouse
from tests.astro.runs import Run

from astro import sql as aql
from astro.files import File, get_file_list
from astro.table import Table

PEOPLE = [(1, "Ann"), (2, "Ben"), (3, None)]
SCORES = [(1, 0.1), (2, 2.5), (3, 30.0)]


@pytest.fixture
def people(tmp_path: Path) -> File:
    """Three people, one of them without a name."""
    path = tmp_path / "people.csv"
    path.write_text("id,name\n1,Ann\n2,Ben\n3,NA\n")
    return File(str(path))


@pytest.fixture
def scores(tmp_path: Path) -> File:
    """Their scores."""
    path = tmp_path / "scores.parquet"
    pd.DataFrame(SCORES, columns=["id", "score"]).to_parquet(path)
    return File(str(path))


def loaded(warehouse: Warehouse, people: File, scores: File) -> None:
    """Load both files."""
    with DAG("loads") as dag:
        aql.load_file(people, warehouse.table("people"))
        aql.load_file(scores, warehouse.table("scores"))
    Run(dag).all()


def qualified(table: Table) -> str:
    """Return a table's name in SQL; one without a schema of its own goes to the SDK's default schema."""
    return f"{table.metadata.schema}.{table.name}" if table.metadata.schema else str(table.name)


def test_load_file(warehouse: Warehouse, people: File, scores: File) -> None:
    """CSV and Parquet become tables, a missing text is NULL, and the table passes through XCom."""
    with DAG("d") as dag:
        aql.load_file(people, warehouse.table("people"), task_id="csv")
        aql.load_file(scores, warehouse.table("scores"), task_id="parquet")
    run = Run(dag).all()

    assert PEOPLE == warehouse.content("people")
    assert SCORES == warehouse.content("scores")
    assert ("people", "warehouse", False) == (run.xcom("csv").name, run.xcom("csv").conn_id, run.xcom("csv").temp)


def test_load_file_of_nested_json(warehouse: Warehouse, tmp_path: Path) -> None:
    """A nested field becomes a column whose name joins both names; the others keep theirs."""
    (tmp_path / "a.ndjson").write_text('{"id": 1, "at": {"x": 5}}\n{"id": 2, "at": {"x": 6}}\n')
    with DAG("d") as dag:
        aql.load_file(File(str(tmp_path / "a.ndjson")), warehouse.table("nested"), task_id="load")
    Run(dag).all()

    assert [(1, 5), (2, 6)] == warehouse.rows(f"SELECT id, at_x FROM {warehouse.named('nested')} ORDER BY id")


def test_load_file_as_dataframe(people: File) -> None:
    """Without a table the file comes as a dataframe."""
    with DAG("d") as dag:
        aql.load_file(people, task_id="load")
    frame = Run(dag).all().xcom("load")

    assert [1, 2, 3] == frame["id"].tolist()
    assert ["Ann", "Ben"] == frame["name"].dropna().tolist()


def test_transform(warehouse: Warehouse, people: File, scores: File) -> None:
    """A SELECT over tables and a parameter becomes a table, a temporary one unless it is named."""
    loaded(warehouse, people, scores)

    @aql.transform
    def scored(a: Table, b: Table, least: int):
        return "SELECT a.id, b.score FROM {{ a }} a JOIN {{ b }} b ON a.id = b.id WHERE b.score >= {{ least }}"

    with DAG("d") as dag:
        scored(warehouse.table("people"), warehouse.table("scores"), 2, output_table=warehouse.table("kept"))
        scored(warehouse.table("people"), warehouse.table("scores"), 10)
    run = Run(dag).all()

    assert [(2, 2.5), (3, 30.0)] == warehouse.content("kept")
    temporary = run.xcom("scored__1")
    assert temporary.temp
    assert [(3, 30.0)] == warehouse.rows(f"SELECT * FROM {qualified(temporary)}")


def test_transform_replaces_a_table_that_it_reads(warehouse: Warehouse, people: File, scores: File) -> None:
    """The statement sees the old table while the new one is made."""
    loaded(warehouse, people, scores)

    @aql.transform
    def without_first(table: Table):
        return "SELECT * FROM {{ table }} WHERE id > 1"

    with DAG("d") as dag:
        without_first(warehouse.table("scores"), output_table=warehouse.table("scores"))
    Run(dag).all()

    assert SCORES[1:] == warehouse.content("scores")
    assert {"people", "scores"} == warehouse.tables()


def test_transform_file(warehouse: Warehouse, people: File, scores: File, tmp_path: Path) -> None:
    """A statement comes from a file."""
    loaded(warehouse, people, scores)
    (tmp_path / "q.sql").write_text("SELECT id\nFROM {{ t }}\nWHERE id < 3")
    with DAG("d") as dag:
        aql.transform_file(
            file_path=str(tmp_path / "q.sql"),
            parameters={"t": warehouse.table("scores")},
            op_kwargs={"output_table": warehouse.table("low")},
        )
    Run(dag).all()

    assert [(1,), (2,)] == warehouse.content("low")


def test_dataframe(warehouse: Warehouse, people: File, scores: File) -> None:
    """A table comes as a dataframe, and a dataframe goes into a table or on through XCom."""
    loaded(warehouse, people, scores)

    @aql.dataframe
    def doubled(frame: pd.DataFrame):
        return frame.assign(score=frame["score"] * 2)

    with DAG("d") as dag:
        first = doubled(warehouse.table("scores"))
        doubled(first, output_table=warehouse.table("fourfold"))
    run = Run(dag).all()

    assert [0.2, 5.0, 60.0] == run.xcom("doubled")["score"].tolist()
    assert [(1, 0.4), (2, 10.0), (3, 120.0)] == warehouse.content("fourfold")


def test_dataframe_becomes_a_table_for_sql(warehouse: Warehouse, people: File, scores: File) -> None:
    """A statement's argument that is a dataframe is a table in it."""
    loaded(warehouse, people, scores)

    @aql.dataframe
    def made(frame: pd.DataFrame):
        return frame[["id"]]

    @aql.transform
    def selected(frame: pd.DataFrame, table: Table):
        return "SELECT f.id FROM {{ frame }} f JOIN {{ table }} t ON t.id = f.id"

    with DAG("d") as dag:
        made_one = made(warehouse.table("people"))
        selected(frame=made_one, table=warehouse.table("scores"), output_table=warehouse.table("ids"))
    Run(dag).all()

    assert [(1,), (2,), (3,)] == warehouse.content("ids")


def test_run_raw_sql(warehouse: Warehouse, people: File, scores: File) -> None:
    """A statement is committed; rows come as rows, lists or a dataframe."""
    loaded(warehouse, people, scores)

    @aql.run_raw_sql
    def insert(t: Table):
        return "INSERT INTO {{ t }} (id, score) VALUES (4, 4.5)"

    def query(t: Table):
        return "SELECT id, score FROM {{ t }} WHERE id > 2 ORDER BY id"

    with DAG("d") as dag:
        table = warehouse.table("scores")
        inserted = insert(table)
        rows = aql.run_raw_sql(query, handler=lambda result: result.fetchall(), task_id="rows")(table)
        lists = aql.run_raw_sql(query, results_format="list", task_id="lists")(table)
        frame = aql.run_raw_sql(query, results_format="pandas_dataframe", task_id="frame")(table)
        inserted >> [rows, lists, frame]
    run = Run(dag).all()

    assert [*SCORES, (4, 4.5)] == warehouse.content("scores")
    assert [(3, 30.0), (4, 4.5)] == run.xcom("rows")
    assert (3, 30.0, 30.0) == (run.xcom("rows")[0]["id"], run.xcom("rows")[0].score, run.xcom("rows")[0][1])
    assert [[3, 30.0], [4, 4.5]] == run.xcom("lists")
    assert [30.0, 4.5] == run.xcom("frame")["score"].tolist()


def test_get_value_list(warehouse: Warehouse, people: File, scores: File) -> None:
    """A query's rows are what a task is mapped over."""
    loaded(warehouse, people, scores)

    @aql.dataframe
    def first(row: Any):
        return row[0] * 10

    with DAG("d") as dag:
        sql = f"SELECT id FROM {warehouse.named('people')} ORDER BY id"
        first.expand(row=aql.get_value_list(sql=sql, conn_id="warehouse"))
    run = Run(dag).all()

    assert [(1,), (2,), (3,)] == run.xcom("get_value_list")
    assert [10, 20, 30] == run.xcom("first")


def test_append(warehouse: Warehouse, people: File, scores: File) -> None:
    """Rows are appended, the columns by name."""
    loaded(warehouse, people, scores)
    with DAG("d") as dag:
        aql.append(source_table=warehouse.table("scores"), target_table=warehouse.table("people"), columns={"id": "id"})
    Run(dag).all()

    assert [(1, 2), (2, 2), (3, 2)] == warehouse.rows(
        f"SELECT id, COUNT(*) FROM {warehouse.named('people')} GROUP BY id ORDER BY id"
    )


@pytest.mark.parametrize(
    ("if_conflicts", "expected"),
    [("update", [(1, "new"), (2, "Ben"), (3, None), (9, "nine")]), ("ignore", [*PEOPLE, (9, "nine")])],
)
def test_merge(
    warehouse: Warehouse,
    people: File,
    scores: File,
    tmp_path: Path,
    if_conflicts: str,
    expected: list[tuple[int, str | None]],
) -> None:
    """A row with a known key updates or is left out; a new one is added."""
    loaded(warehouse, people, scores)
    (tmp_path / "more.csv").write_text("id,name\n1,new\n9,nine\n")

    @aql.run_raw_sql
    def unique(t: Table):
        return "CREATE UNIQUE INDEX by_id ON {{ t }} (id)"

    with DAG("d") as dag:
        source = aql.load_file(File(str(tmp_path / "more.csv")), warehouse.table("more"))
        merged = aql.merge(
            target_table=warehouse.table("people"),
            source_table=source,
            columns=["id", "name"],
            target_conflict_columns=["id"],
            if_conflicts=if_conflicts,
        )
        unique(warehouse.table("people")) >> merged.operator
    Run(dag).all()

    assert expected == warehouse.content("people")


def test_merge_is_all_or_nothing(warehouse: Warehouse, people: File, scores: File, tmp_path: Path) -> None:
    """With `exception` a conflict leaves the table as it was, also the rows before the conflict."""
    loaded(warehouse, people, scores)
    (tmp_path / "more.csv").write_text("id,name\n9,nine\n1,new\n")

    @aql.run_raw_sql
    def unique(t: Table):
        return "CREATE UNIQUE INDEX by_id ON {{ t }} (id)"

    with DAG("d") as dag:
        source = aql.load_file(File(str(tmp_path / "more.csv")), warehouse.table("more"))
        unique(warehouse.table("people"))
        aql.merge(
            target_table=warehouse.table("people"),
            source_table=source,
            columns=["id", "name"],
            target_conflict_columns=["id"],
            if_conflicts="exception",
            task_id="merge",
        )
    run = Run(dag)
    run.task("load_file")
    run.task("unique")
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        run.task("merge")

    assert PEOPLE == warehouse.content("people")


def test_export(warehouse: Warehouse, people: File, scores: File, tmp_path: Path) -> None:
    """A table goes into a file; a file that exists is replaced only if that is asked for."""
    loaded(warehouse, people, scores)
    target = tmp_path / "out.csv"
    with DAG("d") as dag:
        aql.export_to_file(input_data=warehouse.table("scores"), output_file=File(str(target)), task_id="first")
        aql.export_to_file(input_data=warehouse.table("people"), output_file=File(str(target)), task_id="again")
        aql.export_to_file(
            input_data=warehouse.table("people"), output_file=File(str(target)), task_id="over", if_exists="replace"
        )
    run = Run(dag)
    run.task("first")
    assert "id,score\n1,0.1\n2,2.5\n3,30.0\n" == target.read_text()
    with pytest.raises(FileExistsError):
        run.task("again")
    run.task("over")

    assert "id,name\n1,Ann\n2,Ben\n3,\n" == target.read_text()
    assert ["out.csv", "people.csv", "scores.parquet"] == sorted(
        path.name for path in tmp_path.iterdir() if not path.name.startswith("warehouse")
    )


def test_check_table(warehouse: Warehouse, people: File, scores: File) -> None:
    """A check that holds passes; one that does not fails the task and names the check."""
    loaded(warehouse, people, scores)
    with DAG("d") as dag:
        aql.check_table(warehouse.table("people"), {"three": {"check_statement": "COUNT(*) = 3"}}, task_id="holds")
        aql.check_table(warehouse.table("people"), {"four": {"check_statement": "COUNT(*) = 4"}}, task_id="fails")
    run = Run(dag)
    run.task("holds")
    with pytest.raises(AirflowException, match="four"):
        run.task("fails")


def test_check_column(warehouse: Warehouse, people: File, scores: File) -> None:
    """The same for columns, of a table that another task returned."""
    loaded(warehouse, people, scores)
    holds = {"id": {"min": {"equal_to": 1}, "null_check": {"equal_to": 0}}}
    with DAG("d") as dag:
        table = aql.load_file(people, warehouse.table("people"), task_id="load")
        aql.check_column(table, holds, task_id="holds")
        aql.check_column(table, {"name": {"null_check": {"equal_to": 0}}}, task_id="fails")
    run = Run(dag)
    run.task("load")
    run.task("holds")
    with pytest.raises(AirflowException, match="null_check"):
        run.task("fails")


def test_check_column_of_a_dataframe() -> None:
    """A dataframe is checked without a database."""
    frame = pd.DataFrame({"a": [1, 2]})
    with DAG("d") as dag:
        aql.check_column(frame, {"a": {"max": {"leq_to": 2}}}, task_id="holds")
        aql.check_column(frame, {"a": {"max": {"leq_to": 1}}}, task_id="fails")
    run = Run(dag)
    run.task("holds")
    with pytest.raises(AirflowException, match="max"):
        run.task("fails")


def test_checks_keep_the_operators_arguments(warehouse: Warehouse) -> None:
    """A pool or a number of retries reaches the operator, which upstream lost."""
    with DAG("d", default_args={"retries": 4}):
        table = aql.check_table(
            warehouse.table("t"), {"any": {"check_statement": "1 = 1"}}, pool="one", retries=7
        ).operator
        column = aql.check_column(warehouse.table("t"), {"a": {"min": {"equal_to": 1}}}, pool="one")

    assert [("one", 7), ("one", 4)] == [(task.pool, task.retries) for task in (table, column)]


def test_drop_table(warehouse: Warehouse, people: File, scores: File) -> None:
    """The table is gone; the other one is not."""
    loaded(warehouse, people, scores)
    with DAG("d") as dag:
        aql.drop_table(table=warehouse.table("people"))
    Run(dag).all()

    assert {"scores"} == warehouse.tables()


def test_mapped_loads(warehouse: Warehouse, tmp_path: Path) -> None:
    """Each instance of a mapped load has a temporary table of its own."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"id,name\n1,{name}\n")
    with DAG("d") as dag:
        files = get_file_list(path=str(tmp_path / "*.csv"), conn_id=None, task_id="files")
        aql.LoadFileOperator.partial(task_id="load", output_table=warehouse.table()).expand(input_file=files)
    run = Run(dag).all()

    tables = run.xcom("load")
    assert 2 == len({table.name for table in tables})
    assert {"a", "b"} == {name for table in tables for _, name in warehouse.content(table.name)}
