"""What each DAG file costs beyond ``import airflow.sdk``.

    python -m benchmarks.dag_parse [--runs 5]

CPU seconds of a fresh process, bytecode compiled; the exit code is 1 when a file costs more than it may. A file that
stands on the Astro SDK may cost more, and pandas, which the SDK imports whatever it does, is no part of its cost; the
second figure is with pandas, what a parse really takes.
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
# the one file on the Astro SDK: the others of the project stay as cheap as they are
ASTRO_FILES = {"features.py"}
ASTRO_LIMIT_SECONDS = 3.0

_MEASURE = """
import importlib, runpy, sys, time
import airflow.sdk
from airflow.sdk import DAG, Asset, Param, dag, task
for name in sys.argv[2:]:
    importlib.import_module(name)
before = time.process_time()
runpy.run_path(sys.argv[1])
print(time.process_time() - before)
"""


def seconds(path: Path, home: str, *imported: str) -> float:
    """Return the CPU seconds that one fresh process spends on a DAG file, when these modules are imported already."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}", "AIRFLOW_HOME": home}
    answer = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path), *imported],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(answer.stdout.splitlines()[-1])


def main() -> int:
    """Print the table; return 1 when a file costs more than it may."""
    parser = argparse.ArgumentParser(description="Measure what each DAG file costs to parse.")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    slow = 0
    with tempfile.TemporaryDirectory() as home:
        print("| DAG file | n | limit | CPU s beyond airflow.sdk | pandas included |\n|---|---|---|---|---|")
        for path in sorted((PROJECT / "dags").glob("*.py")):
            on_astro = path.name in ASTRO_FILES
            limit = ASTRO_LIMIT_SECONDS if on_astro else LIMIT_SECONDS
            seconds(path, home)  # compiles what is new
            found = [seconds(path, home, *["pandas"] * on_astro) for _ in range(runs)]
            whole = [seconds(path, home) for _ in range(runs)] if on_astro else found
            slow += statistics.mean(found) > limit
            print(f"| {path.name} | {runs} | {limit} | {_figure(found)} | {_figure(whole)} |")
    return 1 if slow else 0


def _figure(found: list[float]) -> str:
    return f"{statistics.mean(found):.3f} ± {statistics.stdev(found):.3f}"


if __name__ == "__main__":
    sys.exit(main())
