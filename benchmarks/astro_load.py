"""Measure load_file into DuckDB and Postgres: ``python -m benchmarks.astro_load``.

Writes a seeded CSV of the given size and the same rows as Parquet, then loads them through the Astro SDK's database
classes: natively, as the bridge does, and by the code of upstream's pandas path (``upstream``), on the same packages
and in the same run. Writing and each load are processes of their own; the peak is the loading process' own resident
set. The Postgres server (pgserver: ``make .local/postgres.stamp``) is another process and not counted.

What upstream does: DuckDB through ``DataFrame.to_sql`` with ``method="multi"`` and a chunk of a million rows, which
SQLAlchemy compiles into one statement with a parameter for each value; Postgres through one text in memory. Neither
ends with a gigabyte in useful time and memory, so each gets a part of it (``_PARTS``: 4 and 200 MB of CSV), and what is
compared is rows per second.
"""

# A benchmark's result is what it prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_ROW_BYTES = 92  # of the CSV, about
_PARTS = {"duckdb": 4, "postgres": 200}  # megabytes of CSV that upstream's path gets


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.astro_load", allow_abbrev=False)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--engines", nargs="+", choices=sorted(_PARTS), default=sorted(_PARTS))
    parser.add_argument("--step", choices=["write", "native", "upstream"])
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.step == "write":
        write_rows(options.file, options.megabytes)
    elif options.step:
        print(json.dumps(load(options.file, options.step)))
    else:
        with tempfile.TemporaryDirectory(prefix="astro-load-") as folder:
            print_table(Path(folder), options)


def print_table(folder: Path, options: argparse.Namespace) -> None:
    """Load every file on every engine by both ways, and print a Markdown table."""
    sizes = {"whole": options.megabytes} | {name: min(_PARTS[name], options.megabytes) for name in options.engines}
    for name, megabytes in sizes.items():
        in_process("write", folder / f"{name}.csv", {}, "--megabytes", str(megabytes))
    print("| engine | file | way | size, MB | n | wall s | CPU s | rows/s | peak RSS, MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for engine in options.engines:
        with database(engine, folder) as connection:
            for kind in ("csv", "parquet"):
                for way in ("native", "upstream"):
                    size = engine if way == "upstream" else "whole"
                    path = folder / f"{size}.{kind}"
                    environment = {"AIRFLOW_CONN_BENCHMARK": connection, "AIRFLOW_HOME": str(folder / "airflow")}
                    runs = [json.loads(in_process(way, path, environment)) for _ in range(options.runs)]
                    print(row(engine, kind, way, path, runs), flush=True)


def row(engine: str, kind: str, way: str, path: Path, runs: list[dict[str, float]]) -> str:
    """Return one row of the table."""

    def spread(figure: str) -> str:
        values = [each[figure] for each in runs]
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        return f"{statistics.mean(values):.1f} ± {deviation:.1f}"

    rate = statistics.mean(each["rows"] / each["wall"] for each in runs)
    peak = max(each["peak_mb"] for each in runs)
    size = path.stat().st_size / 1e6
    figures = f"{size:.0f} | {len(runs)} | {spread('wall')} | {spread('cpu')} | {rate:,.0f} | {peak:.0f}"
    return f"| {engine} | {kind} | {way} | {figures} |"


class database:  # noqa: N801 - reads as a statement
    """An empty database; gives its Airflow connection.

    Args:
        engine: ``duckdb`` or ``postgres``.
        folder: Where it lies.
    """

    def __init__(self, engine: str, folder: Path) -> None:
        self._engine, self._folder, self._server = engine, folder, None

    def __enter__(self) -> str:
        if self._engine == "duckdb":
            return json.dumps({"conn_type": "duckdb", "host": str(self._folder / "db.duckdb")})
        os.environ["XDG_RUNTIME_DIR"] = str(self._folder)
        from pgserver import get_server  # noqa: PLC0415 - an environment of `make verify` only

        self._folder.chmod(0o755)  # the server runs as another user
        self._server = get_server(self._folder / "postgres", cleanup_mode="stop")
        place = {"host": str(self._folder / "postgres"), "login": "postgres", "schema": "postgres"}
        return json.dumps({"conn_type": "postgres", **place})

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.cleanup()


def in_process(step: str, path: Path, environment: dict[str, str], *arguments: str) -> str:
    """Do one step in a process of its own and return what it printed last."""
    command = [sys.executable, "-m", "benchmarks.astro_load", "--step", step, "--file", str(path), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def write_rows(path: Path, megabytes: int) -> None:
    """Write seeded rows as CSV, and the same rows as Parquet beside it."""
    # the measured process does not pay for it
    import duckdb

    rows = megabytes * 1_000_000 // _ROW_BYTES
    with duckdb.connect() as memory:
        memory.execute("SELECT setseed(0.5)")
        memory.execute(
            f"""
            CREATE TABLE t AS SELECT
                range AS id, random() AS x, random() * 1000 AS y, CAST(random() * 100000 AS BIGINT) AS n,
                'category ' || CAST(random() * 100 AS INT) AS category,
                CASE WHEN random() < 0.05 THEN NULL ELSE 'text of row ' || range END AS text
            FROM range({rows})
            """  # noqa: S608 - a number of its own
        )
        memory.execute(f"COPY t TO '{path}' (HEADER)")
        memory.execute(f"COPY t TO '{path.with_suffix('.parquet')}'")


def load(path: Path, way: str) -> dict[str, float]:
    """Load a file into the table t and return what that took, imports apart."""
    import include.warehouse.astro_sdk  # noqa: F401, PLC0415 - imports are measured apart

    from astro.databases import create_database  # noqa: PLC0415 - as above
    from astro.files import File  # noqa: PLC0415 - as above
    from astro.table import Table  # noqa: PLC0415 - as above

    engine, table, file = create_database("benchmark"), Table("t", conn_id="benchmark"), File(str(path))
    table = engine.populate_table_metadata(table)
    engine.create_schema_if_applicable(table.metadata.schema)
    engine.drop_table(table)
    wall, cpu = time.monotonic(), time.process_time()
    if way == "native":
        engine.load_file_to_table(file, table)
    elif engine.sql_type == "duckdb":
        upstream_to_duckdb(engine, table, file)
    else:
        upstream_to_postgres(engine, table, file)
    taken = {"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu}
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {**taken, "rows": engine.row_count(table), "peak_mb": int(peak.split()[1]) / 1024}


def upstream_to_duckdb(engine: Any, table: Any, file: Any) -> None:
    """Do what upstream's load_file does on DuckDB."""
    engine.create_table_using_schema_autodetection(table, file)
    frame = file.export_to_dataframe()
    with engine.transaction() as connection:
        frame.to_sql(table.name, con=connection, if_exists="append", chunksize=1_000_000, method="multi", index=False)


def upstream_to_postgres(engine: Any, table: Any, file: Any) -> None:
    """Do what upstream's load_file does on Postgres, with psycopg 3's COPY."""
    engine.create_table_using_schema_autodetection(table, file)
    frame = file.export_to_dataframe_via_byte_stream()
    text = io.StringIO()
    frame.to_csv(text, sep=",", header=True, index=False)
    text.seek(0)
    connection = engine.hook.get_conn()
    with connection, connection.cursor() as cursor:
        name = engine.get_table_qualified_name(table)
        with cursor.copy(f"COPY {name} FROM STDIN DELIMITER ',' CSV HEADER") as copy:
            copy.write(text.getvalue())


if __name__ == "__main__":
    main()
