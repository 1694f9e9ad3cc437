"""What is left of a run: its named tables, and no temporary one."""

# annotations are real objects here: the SDK's decorators look for `pd.DataFrame`
from pathlib import Path

import pytest
from airflow.sdk import DAG, TriggerRule, task
from airflow.serialization.serialized_objects import DagSerialization

from tests.astro.conftest import Warehouse
from tests.astro.runs import Run

from astro import sql as aql
from astro.files import File
from astro.table import Table


@pytest.fixture
def file(tmp_path: Path) -> File:
    """A file with one row."""
    (tmp_path / "t.csv").write_text("id,name\n1,x\n")
    return File(str(tmp_path / "t.csv"))


def flow(warehouse: Warehouse, file: File, **cleanup: object) -> DAG:
    """A DAG that makes a named table, temporary ones by hand, by mapping and by a statement, and cleans up."""

    @aql.transform
    def copied(t: Table):
        return "SELECT * FROM {{ t }}"

    with DAG("d") as dag:
        kept = aql.load_file(file, warehouse.table("kept"), task_id="kept")
        aql.load_file(file, warehouse.table(), task_id="temporary")
        aql.LoadFileOperator.partial(task_id="mapped", output_table=warehouse.table()).expand(input_file=[file, file])
        copied(kept, output_table=warehouse.table())
        aql.cleanup(**cleanup)
    return dag


def test_cleanup_drops_temporary_tables(warehouse: Warehouse, file: File) -> None:
    """Those of mapped tasks too; a named table stays."""
    dag = flow(warehouse, file)
    run = Run(dag)
    for each in ("kept", "temporary", "mapped", "copied"):
        run.task(each)
    assert 5 == len(warehouse.tables())
    run.task("cleanup")

    assert {"kept"} == warehouse.tables()


def test_cleanup_is_a_teardown_after_everything(warehouse: Warehouse, file: File) -> None:
    """It waits for no slot, runs whatever became of the tasks, and does not hide their failure from the run."""
    dag = flow(warehouse, file)
    cleanup = dag.get_task("cleanup")

    assert cleanup.is_teardown
    assert TriggerRule.ALL_DONE_SETUP_SUCCESS == cleanup.trigger_rule
    assert {"temporary", "mapped", "copied"} == cleanup.upstream_task_ids


def test_cleanup_after_a_failure(warehouse: Warehouse, file: File) -> None:
    """The tables of a failed run are dropped, or kept to look at."""
    for skip, left in ((True, 2), (False, 1)):
        run = Run(flow(warehouse, file, skip_on_failure=skip), fails=frozenset({"copied", "mapped"})).all()
        assert left == len(warehouse.tables()), run.states
        for table in warehouse.tables():
            if table.startswith("_tmp"):
                warehouse_drop(warehouse, table)


def warehouse_drop(warehouse: Warehouse, name: str) -> None:
    """Drop a table by the SDK."""
    with DAG("drops") as dag:
        aql.drop_table(table=warehouse.table(name))
    Run(dag).all()


def test_cleanup_of_given_tables(warehouse: Warehouse, file: File) -> None:
    """Only the temporary ones among the given tables are dropped."""
    with DAG("d") as dag:
        first = aql.load_file(file, warehouse.table(), task_id="first")
        aql.load_file(file, warehouse.table(), task_id="second")
        kept = aql.load_file(file, warehouse.table("kept"), task_id="kept")
        aql.cleanup([first, kept])
    run = Run(dag).all()

    assert {"kept", run.xcom("second").name} == warehouse.tables()


def test_cleanup_waits_for_later_tasks(warehouse: Warehouse, file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that was added after it, and does not come before it, is waited for."""
    with DAG("d") as dag:
        aql.load_file(file, warehouse.table(), task_id="first")
        aql.cleanup()

        @task
        def later() -> None: ...

        later()
    run = Run(dag)
    run.task("first")
    run.states["later"] = "running"
    looks = []

    def look(_: float) -> None:
        looks.append(len(warehouse.tables()))
        run.states["later"] = "success"

    monkeypatch.setattr("include.warehouse.astro_sdk.cleanup.time.sleep", look)
    run.task("cleanup")

    assert ([1], set()) == (looks, warehouse.tables())


def test_reading_the_file_again_is_no_new_version(warehouse: Warehouse, file: File) -> None:
    """A temporary table's random name is no part of the DAG."""
    first, second = (DagSerialization.to_dict(flow(warehouse, file)) for _ in range(2))

    assert first == second
