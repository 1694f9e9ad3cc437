"""astro_matrix_<engine>: every public operator and decorator of the Astro SDK on one engine, as its users write them.

The test that triggers it names the folder and the schema in the run's configuration by environment variables, makes the
files, and reads the tables back.
"""

import os

import pandas as pd
from airflow.sdk import DAG, task

import include.warehouse.astro_sdk  # noqa: F401 - before astro

from astro import sql as aql
from astro.files import File, get_file_list
from astro.table import Metadata, Table

FOLDER = os.environ.get("ASTRO_MATRIX_FOLDER", "/nowhere")
SCHEMAS = {"postgres": "matrix"}


@aql.transform
def joined(people: Table, scores: Table, least: int):
    return """
        SELECT p.id, p.name, s.score FROM {{ people }} p JOIN {{ scores }} s ON p.id = s.id WHERE s.score >= {{ least }}
    """


@aql.dataframe
def doubled(frame: pd.DataFrame):
    return frame.assign(score=frame["score"] * 2)


@aql.run_raw_sql(handler=lambda result: result.fetchall())
def rows(table: Table):
    return "SELECT id, score FROM {{ table }} ORDER BY id"


@aql.run_raw_sql(results_format="pandas_dataframe")
def frame_of(table: Table):
    return "SELECT id, score FROM {{ table }} ORDER BY id"


@aql.run_raw_sql
def insert(table: Table):
    return "INSERT INTO {{ table }} (id, score) VALUES (4, 40.0)"


@aql.run_raw_sql
def unique(table: Table):
    return "CREATE UNIQUE INDEX unique_people ON {{ table }} (id)"


@task
def see(found, numbers, lengths):
    assert [(1, 1.5), (2, 2.5), (3, 3.5)] == [tuple(row) for row in found], found
    assert [1.5, 2.5, 3.5] == [row["score"] for row in found]
    assert isinstance(numbers, pd.DataFrame)
    assert [1, 2, 3] == numbers["id"].tolist()
    assert [10, 20, 30] == sorted(lengths), list(lengths)


@task
def times_ten(row):
    return row[0] * 10


@task
def fails():
    message = "as it should"
    raise RuntimeError(message)


def matrix(engine: str) -> DAG:
    """Make the DAG of one engine."""
    metadata = Metadata(schema=SCHEMAS.get(engine))
    prefix = f"{metadata.schema}." if metadata.schema else ""

    def table(name: str = "") -> Table:
        return Table(name, conn_id=f"matrix_{engine}", metadata=metadata)

    def s3(key: str) -> File:
        return File(f"s3://astro-matrix/{key}", conn_id="matrix_objects")

    with DAG(f"astro_matrix_{engine}", schedule=None, default_args={"retries": 0}) as dag:
        people = aql.load_file(File(f"{FOLDER}/people.csv"), table("people"), task_id="load_csv")
        scores = aql.load_file(File(f"{FOLDER}/scores.parquet"), table("scores"), task_id="load_parquet")
        nested = aql.load_file(File(f"{FOLDER}/nested.ndjson"), table("nested"), task_id="load_ndjson")
        from_s3 = aql.load_file(s3("in/people.csv"), table("people_s3"), task_id="load_s3_csv")
        aql.load_file(s3("in/scores.parquet"), table("scores_s3"), task_id="load_s3_parquet")
        temporary = joined(people, scores, 1)
        kept = joined(people, scores, 2, output_table=table("kept"))
        from_file = aql.transform_file(
            file_path=f"{FOLDER}/query.sql",
            parameters={"people": people},
            op_kwargs={"output_table": table("from_file")},
            task_id="transform_file",
        )
        frame = doubled(temporary)
        fourfold = doubled.override(task_id="doubled_into_a_table")(frame, output_table=table("fourfold"))
        values = aql.get_value_list(
            sql=f"SELECT id FROM {prefix}people ORDER BY id", conn_id=f"matrix_{engine}", task_id="values"
        )
        people.operator >> values.operator
        see(rows(temporary), frame_of(temporary), times_ten.expand(row=values))
        aql.append(source_table=from_s3, target_table=nested, columns=["id"], task_id="append")
        merged = aql.merge(
            target_table=people,
            source_table=kept,
            columns=["id", "name"],
            target_conflict_columns=["id"],
            if_conflicts="update",
            task_id="merge",
        )
        unique(people) >> merged.operator
        [insert(kept), from_file, values] >> merged.operator
        aql.check_table(fourfold, {"three": {"check_statement": "COUNT(*) = 3"}}, task_id="check_table")
        aql.check_column(fourfold, {"score": {"min": {"equal_to": 6}}}, task_id="check_column")
        aql.export_to_file(fourfold, s3(f"out/{engine}.csv"), if_exists="replace", task_id="export_s3")
        aql.export_to_file(frame, File(f"{FOLDER}/{engine}.csv"), if_exists="replace", task_id="export_frame")
        files = get_file_list(path="s3://astro-matrix/many/", conn_id="matrix_objects", task_id="files")
        aql.LoadFileOperator.partial(task_id="load_mapped", output_table=table()).expand(input_file=files)
        dropped = aql.load_file(File(f"{FOLDER}/people.csv"), table("dropped"), task_id="load_dropped")
        aql.drop_table(dropped, task_id="drop")
        aql.load_file(File(f"{FOLDER}/people.csv"), table(), task_id="load_temporary").operator >> fails()
        aql.cleanup()
    return dag


for name in ("sqlite", "duckdb", "postgres"):
    if os.environ.get(f"AIRFLOW_CONN_MATRIX_{name.upper()}"):
        globals()[f"astro_matrix_{name}"] = matrix(name)
