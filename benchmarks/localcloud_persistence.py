"""Measure what keeping its state costs the local cloud: ``python -m benchmarks.localcloud_persistence [--rounds 6]``.

Two servers run at the same time: one as it is, and one that keeps nothing. Each operation is asked of both in turns,
in batches, by one client. CPU seconds are the server's own, wall seconds the client's. Then the first server is killed
and started again over 2,000 objects and 500 jobs (copies of one real job).
"""

# A benchmark's result is what it prints.
# ruff: noqa: RUF001, T201

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.contract.local_cloud import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECTS, JOBS, BATCH = 2000, 500, 25
_TICKS = os.sysconf("SC_CLK_TCK")
_FORGETFUL = """
import sys
from localcloud.aws.persistence import state

class Forgetful(state.State):
    def restore(self): pass
    def around(self, request, carry_out): return carry_out()
    def save_all(self): pass
    def clear(self, reset): return reset()

state.State = Forgetful
from localcloud.cli import main
# after the command that this one takes the place of
sys.exit(main(sys.argv[4:]))
"""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.localcloud_persistence", allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=6)
    rounds = parser.parse_args().rounds
    os.environ.setdefault("LOCALCLOUD_ENVIRONMENTS", str(Path(__file__).parents[1] / ".local" / "environments"))
    with tempfile.TemporaryDirectory() as folder:
        kept = LocalCloud(Path(folder) / "kept")
        forgetful = LocalCloud(Path(folder) / "forgetful", within=(sys.executable, "-c", _FORGETFUL))
        try:
            print(
                f"load {os.getloadavg()[0]:.0f}; idle RSS: {memory(kept)} MB as it is, {memory(forgetful)} MB without"
            )
            compare(kept, forgetful, rounds)
        finally:
            forgetful.end(signal.SIGKILL)
        measure_restart(kept, Path(folder))


def compare(kept: LocalCloud, forgetful: LocalCloud, rounds: int) -> None:
    """Print what each operation costs with and without state."""
    for cloud in (kept, forgetful):
        logs = cloud.client("logs")
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")
        cloud.train("job", "print('hello')")
        cloud.finished("Training", "job")
    small, large = b"x" * 1_000, b"x" * 1_000_000
    operations: dict[str, Callable[[LocalCloud, int], Any]] = {
        "put_object 1 KB": lambda cloud, number: cloud.put(f"small/{number}", small),
        "put_object 1 MB": lambda cloud, number: cloud.put(f"large/{number % 20}", large),
        "put_log_events": put_line,
        "DescribeTrainingJob": lambda cloud, _: cloud.describe("Training", "job"),
        "create to Completed": train,
    }
    print("| operation | n | CPU ms as it is | without | ratio | wall ms as it is | without | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name, operation in operations.items():
        batch = 2 if name == "create to Completed" else BATCH
        costs: list[tuple[float, float]] = []
        others: list[tuple[float, float]] = []
        for number in range(rounds):
            for cloud, found in ((kept, costs), (forgetful, others)):
                found.append(cost(cloud, operation, number * batch, batch))
        cells = []
        for which in (0, 1):
            own, other = (statistics.fmean(item[which] for item in found) for found in (costs, others))
            cells += [f"{own:.2f} ± {statistics.stdev(item[which] for item in costs):.2f}", f"{other:.2f}"]
            cells.append(f"**{own / other:.2f}**")
        print(f"| {name} | {rounds} × {batch} | {' | '.join(cells)} |")


def put_line(cloud: LocalCloud, number: int) -> None:
    """Write one event."""
    event = {"timestamp": int(time.time() * 1000), "message": f"line {number}"}
    cloud.client("logs").put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])


def train(cloud: LocalCloud, number: int) -> None:
    """Run a trivial training job to its end."""
    cloud.train(f"job-{number}", "print('hello')")
    cloud.finished("Training", f"job-{number}")


def cost(cloud: LocalCloud, operation: Callable[[LocalCloud, int], Any], first: int, batch: int) -> tuple[float, float]:
    """Return an operation's CPU and wall milliseconds."""
    processor, wall = processor_seconds(cloud), time.perf_counter()
    for number in range(first, first + batch):
        operation(cloud, number)
    seconds = processor_seconds(cloud) - processor, time.perf_counter() - wall
    return seconds[0] * 1000 / batch, seconds[1] * 1000 / batch


def measure_restart(cloud: LocalCloud, folder: Path) -> None:
    """Print what a start costs, empty and over a full state."""
    for number in range(OBJECTS):
        cloud.put(f"restart/{number}", b"x" * 1000)
    cloud.end(signal.SIGKILL)
    database = sqlite3.connect(folder / "kept" / "state" / "parts.db")
    copied = "INSERT INTO parts (address, path, data, bodies) SELECT address, ?, data, bodies FROM parts WHERE path = ?"
    for number in range(JOBS):
        database.execute(copied, (f'["training_jobs", "copy-{number}"]', '["training_jobs", "job"]'))
    database.commit()
    database.close()
    size = sum(file.stat().st_size for file in (folder / "kept" / "state").rglob("*") if file.is_file())
    for title, root in (("empty", folder / "empty"), (f"{OBJECTS:,} objects, {JOBS} jobs more", folder / "kept")):
        started = time.perf_counter()
        cloud = LocalCloud(root)
        seconds = time.perf_counter() - started
        print(
            f"start, {title}: {seconds:.1f} s wall, {processor_seconds(cloud):.1f} s CPU, RSS {memory(cloud)} MB"
            + (f", state {size / 1e6:.0f} MB" if root.name == "kept" else "")
        )
        cloud.end(signal.SIGKILL)


def processor_seconds(cloud: LocalCloud) -> float:
    """Return the CPU seconds of a server."""
    fields = Path(f"/proc/{cloud.process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(cloud: LocalCloud) -> int:
    """Return the resident memory of a server in MB."""
    lines = Path(f"/proc/{cloud.process.pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


if __name__ == "__main__":
    main()
