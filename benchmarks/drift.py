"""Measure what the drift of one month costs: ``python -m benchmarks.drift [--rows 1000000] [--runs 5]``.

Writes a seeded reference and month to Parquet: 10 numeric columns, of which one is inflated with zeros, one holds whole
numbers and eight miss some values, and 2 categorical ones. Writing and each run are processes of their own, started by
one that holds nothing, because a process inherits the peak resident set of the one that started it. CPU seconds are
user and system time; "process" includes imports.
"""

# A benchmark's result is what it prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NUMERIC = [f"n{number}" for number in range(10)]
CATEGORICAL = ["c0", "c1"]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.drift", allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--step", choices=["write", "run"])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.step == "write":
        write_rows(options.folder / "reference.parquet", options.rows, seed=1, shift=0.0)
        write_rows(options.folder / "month.parquet", options.rows, seed=2, shift=0.3)
    elif options.step == "run":
        print(json.dumps(run(options.folder)))
    else:
        with tempfile.TemporaryDirectory(prefix="drift-") as folder:
            in_process("write", folder, options.rows)
            print_table(options.rows, [json.loads(in_process("run", folder)) for _ in range(options.runs)])


def in_process(step: str, folder: str, rows: int = 0) -> str:
    """Do one step in a process of its own and return what it printed."""
    command = [sys.executable, "-m", "benchmarks.drift", "--step", step, "--folder", folder, "--rows", str(rows)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write_rows(path: Path, rows: int, seed: int, shift: float) -> None:
    """Write seeded rows as the feature stage writes them; the first numeric column is shifted."""
    # the measured process does not pay for these
    import duckdb
    import numpy as np
    import pyarrow

    generator = np.random.default_rng(seed)
    columns = {}
    for name in NUMERIC:
        values = generator.normal(shift if name == NUMERIC[0] else 0.0, 1.0, rows)
        missing = generator.random(rows) < 0.02  # noqa: PLR2004 - a share
        columns[name] = pyarrow.array(values, mask=missing)
    rain = np.where(generator.random(rows) < 0.93, 0.0, generator.exponential(0.1, rows))  # noqa: PLR2004 - a share
    columns[NUMERIC[8]] = pyarrow.array(rain)
    columns[NUMERIC[9]] = pyarrow.array(generator.integers(0, 24, rows).astype(float))
    for name, categories in zip(CATEGORICAL, (16, 100), strict=True):
        drawn = (generator.power(3, rows) * categories).astype(int)
        columns[name] = pyarrow.array([f"category {each}" for each in drawn])
    row_ids = pyarrow.array([f"row {number}" for number in range(rows)])
    table = pyarrow.table({"row_id": row_ids, **columns})
    with duckdb.connect() as database:
        database.from_arrow(table).write_parquet(str(path), compression="zstd")


def run(folder: Path) -> dict[str, float]:
    """Profile the reference, measure the month, and return what that took."""
    from include.core.model_spec import Features  # noqa: PLC0415 - imports are measured apart
    from include.monitoring.drift import measure_drift, profile_reference  # noqa: PLC0415 - as above

    features = Features(numeric=NUMERIC, categorical=CATEGORICAL)
    started = time.process_time()
    profile = profile_reference([folder / "reference.parquet"], features)
    profiled = time.process_time()
    drift = measure_drift(folder / "month.parquet", profile)
    measured = time.process_time()
    return {
        "profile": profiled - started,
        "month": measured - profiled,
        "both": measured - started,
        "process": measured,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "psi_of_the_shifted": drift.features[NUMERIC[0]].psi,
    }


def print_table(rows: int, runs: list[dict[str, float]]) -> None:
    """Print the runs as a Markdown table."""
    print(f"{rows:,} rows x {len(NUMERIC)} numeric and {len(CATEGORICAL)} categorical columns, reference as large\n")
    print("| part | n | CPU s, mean ± sd | peak RSS, MB |")
    print("|---|---|---|---|")
    peak = max(each["peak_mb"] for each in runs)
    for part in ("profile", "month", "both", "process"):
        seconds = [each[part] for each in runs]
        deviation = statistics.stdev(seconds) if len(seconds) > 1 else 0.0
        shown = f"{peak:.0f}" if part == "process" else ""
        print(f"| {part} | {len(seconds)} | {statistics.mean(seconds):.2f} ± {deviation:.2f} | {shown} |")
    print(f"\nPSI of the column that was shifted by 0.3 sd: {runs[0]['psi_of_the_shifted']:.4f}")


if __name__ == "__main__":
    main()
