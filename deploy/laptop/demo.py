"""The demo: real months of 2013 arrive one after another, and a model goes through its life on them.

How it works: starts a local cloud and a real Airflow fresh, lands 2013-01 to 2013-06, each when the DAGs are quiet
after the one before: what is trained, released, scored and trained again follows from that. Then the lake is summed up
in ``.local/demo/summary.json`` and a verifier, which shares no code with the pipeline, recomputes what the summary
says. Exit code 0 only when every step did what it says and the verifier agrees; nothing is left running.

    python -m deploy.laptop.demo [--cloud-port 4567] [--airflow-port 8080]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from deploy.laptop.cloud import s3_client, status
from deploy.laptop.errors import PipelineFailed
from deploy.laptop.landing import FLIGHTS_FILE, files_of, land
from deploy.laptop.laptop import AIRFLOW_PORT, CLOUD_PORT, DAGS, FOLDER, Laptop, running_laptop
from deploy.laptop.profile import PROJECT
from deploy.laptop.progress import Progress
from deploy.laptop.quiet import INGEST, Look, wait_until_quiet
from deploy.laptop.summary import build_summary
from deploy.laptop.verifier.driver import VerifierError, verify
from include.core.errors import FlightdeckError
from include.core.months import Month

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MONTHS = tuple(Month(2013, number) for number in range(1, 7))
STEP_SECONDS = 600.0
INTERRUPTED = 130
SUMMARY = FOLDER / "summary.json"
SETUP_SECONDS = PROJECT / ".local" / "setup-seconds"


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description="Run the pipeline on 2013-01 to 2013-06 and verify what it did.")
    parser.add_argument("--cloud-port", type=int, default=CLOUD_PORT)
    parser.add_argument("--airflow-port", type=int, default=AIRFLOW_PORT)
    arguments = parser.parse_args()
    progress = Progress()
    try:
        progress.say("starting the local cloud and Airflow")
        with running_laptop(cloud_port=arguments.cloud_port, airflow_port=arguments.airflow_port) as laptop:
            return _run(laptop, progress)
    except (FlightdeckError, VerifierError) as error:
        progress.say(f"the demo failed: {error}")
        return 1
    except KeyboardInterrupt:
        progress.say("interrupted; everything is stopped")
        return INTERRUPTED


def _run(laptop: Laptop, progress: Progress) -> int:
    # a demo that fails must not leave the summary of one that did not
    SUMMARY.unlink(missing_ok=True)
    progress.say(f"the local cloud answers at {laptop.cloud.endpoint} after {laptop.cloud.ready_seconds:.1f} s")
    progress.say(f"Airflow is healthy at {laptop.airflow.url} after {laptop.airflow.ready_seconds:.1f} s")
    started = time.monotonic()
    run_pipeline(laptop, progress)
    seconds = {
        "setup": _setup_seconds(),
        "cloud_ready": laptop.cloud.ready_seconds,
        "airflow_ready": laptop.airflow.ready_seconds,
        "pipeline": time.monotonic() - started,
    }
    client = s3_client(laptop.cloud.environment)
    summary = build_summary(client, laptop.airflow.rest, seconds)
    require_steps(summary)
    _write(SUMMARY, summary)
    progress.now("the verifier recomputes what the summary says")
    verdict = verify(summary, laptop.cloud.environment, status(laptop.cloud.root)["environments"])
    for score in summary["scores"]:
        score.update(verdict.hindsight.get(score["month"], {}))
    _write(SUMMARY, summary)
    show(summary, progress)
    for difference in verdict.differences:
        progress.say(f"the verifier disagrees: {difference}")
    if verdict.differences:
        return 1
    progress.say(f"the verifier agrees: {verdict.checked} statements checked; the summary is {SUMMARY}")
    return 0


def run_pipeline(laptop: Laptop, progress: Progress) -> None:
    """Land the months one after another, waiting for quiet each time.

    Raises:
        PipelineFailed: a task or run failed, or the DAGs did not come to rest in time.
        ServiceFailed: the cloud or a part of Airflow ended.
    """
    laptop.unpause()
    client = s3_client(laptop.cloud.environment)
    reporter = _Reporter(laptop, progress)
    for number, month in enumerate(MONTHS):
        files = files_of(month)
        reporter.wait(MONTHS[:number])
        land(client, month, files)
        progress.say(f"{month} lands: {files[FLIGHTS_FILE].rows:,} flights")
    reporter.wait(MONTHS)


def require_steps(summary: dict[str, Any]) -> None:
    """Return when the summary holds what the demo's steps are for; what it says of them, the verifier checks.

    Raises:
        PipelineFailed: a step left nothing behind, or a task failed and its run went on.
    """
    problems = []
    landed = [month["month"] for month in summary["months"]]
    if landed != [str(month) for month in MONTHS]:
        problems.append(f"the lake holds the months {landed}")
    if not any(model["decision"] == "promote" for model in summary["models"]):
        reasons = "; ".join(model["reason"] for model in summary["models"]) or "no candidate was recorded"
        problems.append(f"no model was released ({reasons})")
    elif not summary["scores"]:
        problems.append("no month was scored")
    if not any(decision["decision"] == "retrain" and decision["champion_version"] for decision in summary["decisions"]):
        problems.append("no champion's performance asked for a training")
    problems += [
        f"task {task['task_id']} of {run['dag_id']} {run['run_id']} is {task['state']}"
        for run in summary["dag_runs"]
        for task in run["tasks"]
        if task["state"] in {"failed", "upstream_failed"}
    ]
    if problems:
        raise PipelineFailed(
            "the demo's result",
            "; ".join(problems),
            rule="all months land, a model is released, the months after its holdout are scored, one asks for another",
            remedy="run `make up` and look at the DAGs' runs",
        )


def show(summary: dict[str, Any], progress: Progress) -> None:
    """Print the closing table: what each month was to the model, and what was decided when it had landed."""
    rows = []
    scores = {score["month"]: score for score in summary["scores"]}
    decisions = {decision["as_of"]: [] for decision in summary["decisions"]}  # type: dict[str, list[dict[str, Any]]]
    for decision in summary["decisions"]:
        decisions[decision["as_of"]].append(decision)
    for month in summary["months"]:
        name = month["month"]
        score = scores.get(name)
        rows.append(
            (
                name,
                f"{month['rows_in']:,}",
                f"{month['rows_quarantined']:,}",
                str(score["model_version"]) if score else "",
                f"{score['roc_auc']:.4f}" if score else "",
                f"{score['skill']:+.4f}" if score else "",
                f"{score['max_psi']:.2f}" if score and score["max_psi"] is not None else "",
                "; ".join(f"{each['decision']}: {each['reason']}" for each in decisions.get(name, [])),
            )
        )
    header = ("month", "rows in", "quarantined", "champion", "AUC", "skill", "max PSI", "decision when it had landed")
    progress.table("What happened", header, rows)
    releases = [
        (
            str(model["version"]),
            ", ".join(model["trained_on"]),
            model["holdout_month"],
            f"{model['metrics']['roc_auc']:.4f}",
            model["decision"],
            model["reason"],
        )
        for model in summary["models"]
    ]
    progress.table("The model's versions", ("version", "trained on", "holdout", "AUC", "decision", "reason"), releases)
    progress.note("A month is scored by the champion of its time, before its labels arrive. AUC and skill are what the")
    progress.note("verifier recomputed; the pipeline's own figures, once the labels have arrived, are the same.")
    names = {"setup": "setup", "cloud_ready": "cloud ready", "airflow_ready": "Airflow ready", "pipeline": "pipeline"}
    known = [f"{names[name]} {value:.0f} s" for name, value in summary["seconds"].items() if value is not None]
    progress.note(", ".join(known))


class _Reporter:
    """Waits for quiet, and says once of each run how it ended."""

    def __init__(self, laptop: Laptop, progress: Progress) -> None:
        self._laptop = laptop
        self._progress = progress
        self._reported: set[tuple[str, str]] = set()

    def wait(self, landed: Sequence[Month]) -> None:
        wait_until_quiet(
            self._laptop.airflow.rest,
            DAGS,
            landed,
            deadline=time.monotonic() + STEP_SECONDS,
            on_look=self._report,
        )

    def _report(self, seen: Look, coming: Sequence[str]) -> None:
        self._laptop.require_running()
        for run in seen.dag_runs:
            if run.seconds is not None and (run.dag_id, run.run_id) not in self._reported:
                self._reported.add((run.dag_id, run.run_id))
                # a run on a data interval is about a month; the others were woken by an event or by hand
                about = f" of {Month.of(run.interval_start)}" if run.dag_id == INGEST and run.interval_start else ""
                self._progress.say(f"{run.dag_id}{about}: {run.state} in {run.seconds:.1f} s")
        self._progress.now(coming[0] if coming else "quiet")


def _setup_seconds() -> float | None:
    try:
        return float(SETUP_SECONDS.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _write(path: Path, summary: dict[str, Any]) -> None:
    whole = path.with_suffix(".tmp")
    whole.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    whole.replace(path)


if __name__ == "__main__":
    sys.exit(main())
