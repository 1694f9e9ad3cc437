"""astro_<engine>_<place>: every public operator and decorator of the Astro SDK, as its users write them.

The tests that trigger it name the folder by an environment variable, make the files, and read back what is left: tables
and files over connections that are not the SDK's, and what passed through XCom from the file that ``note`` writes.
"""

import json
import os
from pathlib import Path

import pandas as pd
from airflow.sdk import DAG, task

import include.warehouse.astro_sdk  # noqa: F401 - before astro

from astro import sql as aql
from astro.files import File, get_file_list
from astro.table import Metadata, Table

FOLDER = os.environ.get("ASTRO_MATRIX_FOLDER", "/nowhere")
ENGINES = ("sqlite", "duckdb", "postgres")
PLACES = ("local", "s3")


@aql.transform
def joined(people: Table, scores: Table, least: int):
    return """
        SELECT p.id, p.name, s.score FROM {{ people }} p JOIN {{ scores }} s ON p.id = s.id WHERE s.score >= {{ least }}
    """


@aql.transform
def above(table: Table, least: int):
    return "SELECT id, name FROM {{ table }} WHERE id > {{ least }}"


@aql.dataframe
def doubled(frame: pd.DataFrame):
    return frame.assign(score=frame["score"] * 2)


@aql.dataframe
def ids_of(frame: pd.DataFrame):
    return [int(each) for each in sorted(frame["id"])]


@aql.run_raw_sql(handler=lambda result: result.fetchall())
def rows(table: Table):
    return "SELECT id, score FROM {{ table }} ORDER BY id"


@aql.run_raw_sql(results_format="pandas_dataframe")
def frame_of(table: Table):
    return "SELECT id, score FROM {{ table }} ORDER BY id"


@aql.run_raw_sql(handler=lambda result: result.fetchall())
def names(table: Table):
    return "SELECT id, name FROM {{ table }} ORDER BY id"


@aql.run_raw_sql
def insert(table: Table):
    return "INSERT INTO {{ table }} (id, score) VALUES (4, 40.0)"


@aql.run_raw_sql
def unique(table: Table):
    return f"CREATE UNIQUE INDEX unique_{table.name} ON {{{{ table }}}} (id)"


@task
def note(file, values, dag=None):
    """Write what came through XCom where the test finds it; a row has to be readable by name, too."""
    if "rows" in values:
        values["rows by name"] = [row["score"] for row in values["rows"]]
    if isinstance(values.get("frame"), pd.DataFrame):
        values["frame"] = values["frame"].to_dict("list")
    for name in [each for each in values if each.startswith("mapped")]:
        values[name] = sorted(values[name])
    Path(FOLDER, f"{dag.dag_id}-{file}.json").write_text(json.dumps(values, default=list))


@task
def times_ten(row):
    return row[0] * 10


@task
def fails():
    message = "as it should"
    raise RuntimeError(message)


class Place:
    """Where the tables and files of one DAG are."""

    def __init__(self, engine: str, place: str) -> None:
        self.conn_id, self.place, self.engine = f"matrix_{engine}_{place}", place, engine
        self.metadata = Metadata(schema=f"matrix_{place}") if engine == "postgres" else Metadata()

    def table(self, name: str = "") -> Table:
        """Return a table; without a name a temporary one."""
        return Table(name, conn_id=self.conn_id, metadata=self.metadata)

    def file(self, name: str) -> File:
        """Return a file to load."""
        if self.place == "s3":
            return File(f"s3://astro-matrix/{name}", conn_id="matrix_objects")
        return File(f"{FOLDER}/{name}")

    def out(self, name: str) -> File:
        """Return a file to write."""
        return self.file(f"out/{self.engine}/{name}")


def files(at: Place):
    """Use the operators that read or write files; return what was loaded."""
    people = aql.load_file(at.file("people.csv"), at.table("people"), task_id="load_csv")
    scores = aql.load_file(at.file("scores.parquet"), at.table("scores"), task_id="load_parquet")
    nested = aql.load_file(at.file("nested.ndjson"), at.table("nested"), task_id="load_ndjson")
    aql.load_file(at.file("people.json"), at.table("from_json"), task_id="load_json")
    for word in ("export_to_file", "export_file", "export_table_to_file"):
        getattr(aql, word)(scores, at.out(f"{word}.csv"), if_exists="replace", task_id=word)
    frame = doubled(scores)
    aql.export_to_file(frame, at.out("frame.parquet"), if_exists="replace", task_id="export_frame")
    many = at.file("many/")
    found = get_file_list(path=many.path, conn_id=many.conn_id, task_id="get_file_list")
    load = aql.LoadFileOperator.partial(task_id="load_mapped", output_table=at.table())
    loaded = load.expand(input_file=found).output
    note.override(task_id="note_mapped")("mapped", {"mapped_ids": ids_of.expand(frame=loaded)})

    @task
    def outputs():
        return [at.out("mapped-0.csv"), at.out("mapped-1.csv")]

    export = aql.ExportToFileOperator.partial(task_id="export_mapped", input_data=scores, if_exists="replace")
    export.expand(output_file=outputs())
    aql.load_file(at.file("people.csv"), at.table(), task_id="load_temporary").operator >> fails()
    return people, scores, nested, frame, loaded


def tables(at: Place, people, scores, nested, frame, loaded):
    """Use the operators that work on tables."""
    prefix = f"{at.metadata.schema}." if at.metadata.schema else ""
    temporary = joined(people, scores, 1)
    kept = joined(people, scores, 2, output_table=at.table("kept"))
    from_file = aql.transform_file(
        file_path=f"{FOLDER}/query.sql",
        parameters={"people": people},
        op_kwargs={"output_table": at.table("from_file")},
        task_id="transform_file",
    )
    fourfold = doubled.override(task_id="dataframe_into_a_table")(frame, output_table=at.table("fourfold"))
    values = aql.get_value_list(
        sql=f"SELECT id FROM {prefix}people ORDER BY id", conn_id=at.conn_id, task_id="get_value_list"
    )
    people.operator >> values.operator
    append = aql.append(source_table=people, target_table=nested, columns=["id"], task_id="append")
    merge = {"columns": ["id", "name"], "target_conflict_columns": ["id"], "if_conflicts": "update"}
    merged = aql.merge(target_table=people, source_table=kept, **merge, task_id="merge")
    indexed = unique(people)
    [indexed, insert(kept), from_file, values, append, temporary] >> merged.operator
    aql.check_table(fourfold, {"three": {"check_statement": "COUNT(*) = 3"}}, task_id="check_table")
    aql.check_column(fourfold, {"score": {"min": {"equal_to": 6}}}, task_id="check_column")
    dropped = aql.load_file(at.file("people.csv"), at.table("dropped"), task_id="load_dropped")
    aql.drop_table(dropped, task_id="drop_table")
    received = {
        "rows": rows(temporary),
        "frame": frame_of(temporary),
        "mapped_values": times_ten.expand(row=values),
        "mapped_rows": names.expand(table=loaded),
    }
    note("unmapped", received)

    target = aql.load_file(at.file("people.csv"), at.table("appended"), task_id="load_appended")
    append = aql.AppendOperator.partial(task_id="append_mapped", target_table=target, columns=["id", "name"])
    append.expand(source_table=loaded)
    base = aql.load_file(at.file("people.csv"), at.table("merged"), task_id="load_merged")
    merging = aql.MergeOperator.partial(task_id="merge_mapped", target_table=base, **merge)
    unique.override(task_id="unique_merged")(base) >> merging.expand(source_table=loaded)
    chosen = above.override(task_id="transform_mapped").partial(least=10).expand(table=loaded)
    counts = {"two": {"check_statement": "COUNT(*) = 2"}}
    aql.SQLCheckOperator.partial(task_id="check_table_mapped", checks=counts).expand(dataset=chosen)
    least = {"id": {"min": {"greater_than": 10}}}
    aql.ColumnCheckOperator.partial(task_id="check_column_mapped", column_mapping=least).expand(dataset=chosen)

    @task
    def targets():
        return [at.table("doomed_0"), at.table("doomed_1")]

    doomed = aql.LoadFileOperator.partial(task_id="load_doomed", input_file=at.file("people.csv"))
    aql.DropTableOperator.partial(task_id="drop_mapped").expand(table=doomed.expand(output_table=targets()).output)


def matrix(engine: str, place: str) -> DAG:
    """Make the DAG of one engine, whose files are in one place; what works on tables alone needs but one place."""
    at = Place(engine, place)
    with DAG(f"astro_{engine}_{place}", schedule=None, default_args={"retries": 0}) as dag:
        made = files(at)
        if place == "local":
            tables(at, *made)
        aql.cleanup()
    return dag


if FOLDER != "/nowhere":
    for each in ENGINES:
        for where in PLACES:
            globals()[f"astro_{each}_{where}"] = matrix(each, where)
