"""What each DAG file costs beyond ``import airflow.sdk``.

    python -m benchmarks.dag_parse [--runs 5]

CPU seconds of a fresh process, bytecode compiled; the exit code is 1 when a file costs more than it may.
"""
# A benchmark's result is what it prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 0.3

_MEASURE = """
import runpy, sys, time
import airflow.sdk
from airflow.sdk import DAG, Asset, Param, dag, task
before = time.process_time()
runpy.run_path(sys.argv[1])
print(time.process_time() - before)
"""


def seconds(path: Path, home: str) -> float:
    """Return the CPU seconds that one fresh process spends on a DAG file."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}", "AIRFLOW_HOME": home}
    answer = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path)], env=environment, capture_output=True, text=True, check=True
    )
    return float(answer.stdout.splitlines()[-1])


def main() -> int:
    """Print the table; return 1 when a file costs more than it may."""
    parser = argparse.ArgumentParser(description="Measure what each DAG file costs to parse.")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    slow = 0
    with tempfile.TemporaryDirectory() as home:
        print(f"| DAG file | n | CPU s beyond airflow.sdk (limit {LIMIT_SECONDS}) |\n|---|---|---|")
        for path in sorted((PROJECT / "dags").glob("*.py")):
            seconds(path, home)  # compiles what is new
            found = [seconds(path, home) for _ in range(runs)]
            slow += statistics.mean(found) > LIMIT_SECONDS
            print(f"| {path.name} | {runs} | {statistics.mean(found):.3f} ± {statistics.stdev(found):.3f} |")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
