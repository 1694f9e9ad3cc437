"""Measure what it costs to wait for many jobs: ``python -m benchmarks.deferred_jobs [--jobs 1000] [--interval 30]``.

Starts a localcloud on a port of its own and creates as many trivial training jobs twice: the first half is waited for
by Flightdeck's trigger, then the second half by the provider's, each in one event loop, as in a triggerer that has
waited for a job before. Counts the calls at the server; takes, ten times a second, how long the loop was blocked; and
for each job how long after its end, by the server's clock, its trigger fired. CPU seconds are those of the process that
waits. Before that, what the adoption of a job adds to a retry: finding it by its name and its tags, with new clients.

The jobs' environment has to be there already (`make setup`).
"""

# A benchmark's result is what it prints; Airflow is imported when its settings are there.
# ruff: noqa: T201, PLC0415

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.localcloud_jobs import ENVIRONMENTS, Server, archive, create, running, training_request

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE_SECONDS = 0.1
ADOPTIONS = 9


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.deferred_jobs", allow_abbrev=False)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--interval", type=int, default=30)
    options = parser.parse_args()
    os.environ["LOCALCLOUD_ENVIRONMENTS"] = str(ENVIRONMENTS)
    sys.path.append("plugins")
    with tempfile.TemporaryDirectory(prefix="deferred-") as root:
        command = [sys.executable, "-m", "localcloud.cli", "up", "--root", root, "--port", "0"]
        with running(command, "") as server:
            extra = {"region_name": "us-east-1", "endpoint_url": server.values["AWS_ENDPOINT_URL"]}
            os.environ |= {name: value for name, value in server.values.items() if name != "AWS_ENDPOINT_URL"}
            os.environ["AIRFLOW_CONN_BENCH"] = json.dumps({"conn_type": "aws", "extra": extra})
            server.client("s3").create_bucket(Bucket="bench")
            server.client("s3").put_object(Bucket="bench", Key="nothing.tar.gz", Body=archive("pass"))
            server.client("s3").put_object(
                Bucket="bench", Key="long.tar.gz", Body=archive("import time; time.sleep(5)")
            )
            print(f"adopting a job, median of {ADOPTIONS}: {adoption(server):.3f} s")
            measured = {
                name: measure(server, Path(root), name, make, options.jobs, options.interval)
                for name, make in (("flightdeck", our_trigger), ("provider", provider_trigger))
            }
    print(f"{options.jobs} jobs, an interval of {options.interval} s\n")
    print("| | flightdeck | provider | ratio |\n|---|---|---|---|")
    for what, figure in measured["flightdeck"].items():
        other = measured["provider"][what]
        print(f"| {what} | {figure:.3f} | {other:.3f} | {other / figure if figure else 0:.1f} |")


def adoption(server: Server) -> float:
    """Return the seconds that a second try takes to find the first one's job, which is still running."""
    from include.jobs.attempts import Attempts
    from include.jobs.completion import Completion
    from include.jobs.identity import TaskIdentity
    from include.jobs.kinds import TRAINING

    spent = []
    for number in range(ADOPTIONS + 1):
        task = TaskIdentity("bench", "a_dag", "a_run", f"task-{number}", -1)
        for _try in range(2):
            began = time.monotonic()
            completion = Completion(TRAINING, lambda: server.client("s3"), lambda: server.client("logs"))
            attempts = Attempts(
                server.client("sagemaker"),
                TRAINING,
                training_request("adopted", "long"),
                task,
                turn=3,
                missing=completion.missing,
            )
            attempt = attempts.find_or_create()
        if not attempt.adopted:
            message = "the second try created a job"
            raise SystemExit(message)
        spent.append(time.monotonic() - began)
    return statistics.median(spent[1:])


def our_trigger(job: str, created: datetime, interval: int) -> Any:
    """Return Flightdeck's trigger for a job."""
    from flightdeck_triggers.sagemaker_state import SageMakerStateTrigger

    return SageMakerStateTrigger(
        kind="Training",
        name=job,
        since=created.isoformat(),
        until=(created + timedelta(hours=1)).isoformat(),
        poll_seconds=interval,
        aws_conn_id="bench",
        region_name=None,
        verify=None,
        botocore_config=None,
    )


def provider_trigger(job: str, _created: datetime, interval: int) -> Any:
    """Return the provider's trigger for a job."""
    from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger

    return SageMakerTrigger(
        job_name=job, job_type="training", waiter_delay=interval, waiter_max_attempts=1000, aws_conn_id="bench"
    )


def measure(
    server: Server, root: Path, name: str, make: Callable[[str, datetime, int], Any], jobs: int, interval: int
) -> dict[str, float]:
    """Create the jobs, wait for all of them, return the figures."""
    client = server.client("sagemaker")
    asyncio.run(wait_for_all(created(client, [f"{name}-before"]), make, 1))
    names = created(client, [f"{name}-{number}" for number in range(jobs)])
    before, began, cpu = calls(root), time.monotonic(), time.process_time()
    fired, blocked = asyncio.run(wait_for_all(names, make, interval))
    spent, cpu = time.monotonic() - began, time.process_time() - cpu
    made = calls(root) - before
    # a job that had ended before anybody waited for it is late by what came before, not by its trigger
    late = [
        fired[job] - max(ended, min(fired.values()))
        for job in names
        if (ended := client.describe_training_job(TrainingJobName=job)["TrainingEndTime"].timestamp())
    ]
    return {
        "seconds until all had fired": spent,
        "status calls": made,
        "status calls per second": made / spent,
        "CPU seconds of the waiting process": cpu,
        "event loop blocked, p99, s": statistics.quantiles(blocked, n=100, method="inclusive")[98],
        "event loop blocked, longest, s": max(blocked),
        "a job's end to its event, median, s": statistics.median(late),
        "a job's end to its event, longest, s": max(late),
    }


def created(client: Any, names: list[str]) -> dict[str, datetime]:
    """Create a trivial job of each name, and return a time before each one's creation."""
    times = {}
    for name in names:
        times[name] = datetime.now(UTC)
        create(client, name, "nothing")
    return times


async def wait_for_all(
    jobs: dict[str, datetime], make: Callable[[str, datetime, int], Any], interval: int
) -> tuple[dict[str, float], list[float]]:
    """Run a trigger for each job; return when each fired, and for how long the loop was blocked at each sample."""
    fired: dict[str, float] = {}
    blocked: list[float] = []

    async def watch() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(SAMPLE_SECONDS)
            blocked.append(time.monotonic() - began - SAMPLE_SECONDS)

    async def wait(job: str) -> None:
        async for _event in make(job, jobs[job], interval).run():
            fired[job] = time.time()
            return

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(wait(job) for job in jobs))
    watching.cancel()
    return fired, blocked


def calls(root: Path) -> int:
    """Return how many status calls the server has answered."""
    lines = (root / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    return sum(json.loads(line)["operation"] in {"ListTrainingJobs", "DescribeTrainingJob"} for line in lines)


if __name__ == "__main__":
    main()
