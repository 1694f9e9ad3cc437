"""Monitoring's parts: when schedules run, the timer, and what the analyzer makes of data."""

import base64
import json
import math
import pickle
import threading
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.jobs.records import utc_now
from localcloud.aws.sagemaker.monitoring.analyzer.datasets import DatasetError, read_rows
from localcloud.aws.sagemaker.monitoring.analyzer.profiles import columns_of, constraints, statistics
from localcloud.aws.sagemaker.monitoring.analyzer.program import analyze
from localcloud.aws.sagemaker.monitoring.analyzer.violations import violations
from localcloud.aws.sagemaker.monitoring.api import resume
from localcloud.aws.sagemaker.monitoring.cron import ExpressionError, read_expression, read_offset
from localcloud.aws.sagemaker.monitoring.jobs import Window
from localcloud.aws.sagemaker.monitoring.records import MonitoringSchedule, schedules_of
from localcloud.aws.sagemaker.monitoring.timer import Timer

if TYPE_CHECKING:
    from localcloud.aws.sagemaker.front import RunningJobs


def time(text: str) -> datetime:
    """Return a time of 2020-01-01, or of the day that is given."""
    return datetime.fromisoformat(text if "T" in text else f"2020-01-01T{text}")


@pytest.mark.parametrize(
    ("expression", "now", "times"),
    [
        ("cron(0 * ? * * *)", "10:20", ["11:00", "12:00"]),
        ("cron(0 * ? * * *)", "10:00", ["11:00", "12:00"]),
        ("cron(0 12 ? * * *)", "12:00", ["2020-01-02T12:00", "2020-01-03T12:00"]),
        ("cron(0 17/12 ? * * *)", "04:59", ["05:00", "17:00", "2020-01-02T05:00"]),
        ("cron(0 0/2 ? * * *)", "22:30", ["2020-01-02T00:00", "2020-01-02T02:00"]),
        ("cron(0 */8 ? * * *)", "15:59:59.5", ["16:00", "2020-01-02T00:00"]),
    ],
)
def test_next_times(expression: str, now: str, times: list[str]) -> None:
    """An expression's next times come one after the other, over midnight, and each lies after the one before."""
    hours = read_expression(expression)
    assert hours is not None
    found, at = [], time(now)
    for _ in times:
        at = hours.after(at)
        found.append(at)
    assert found == [time(text) for text in times]
    assert hours.before(found[1]) == found[0]


def test_now_has_no_hours() -> None:
    """NOW runs once."""
    assert read_expression("NOW") is None


@pytest.mark.parametrize(
    "expression",
    [
        "now",
        "rate(1 hour)",
        "cron(5 * ? * * *)",
        "cron(0 24 ? * * *)",
        "cron(0 1/0 ? * * *)",
        "cron(0 1/25 ? * * *)",
        "cron(0 * * * ? *)",
        "cron(0 1 ? * * *) ",
    ],
)
def test_expressions_that_are_not_taken(expression: str) -> None:
    """SageMaker takes whole hours, every day, and nothing else."""
    with pytest.raises(ExpressionError, match="Invalid schedule expression"):
        read_expression(expression)


def test_offsets() -> None:
    """Offsets are ISO 8601 durations of days and less."""
    assert [read_offset(text) for text in ("-PT1H", "PT0H", "-P1DT2H3M4S")] == [
        timedelta(hours=-1),
        timedelta(),
        -timedelta(days=1, hours=2, minutes=3, seconds=4),
    ]
    for wrong in ("", "P", "PT", "1H", "P1M"):
        with pytest.raises(ExpressionError, match="Invalid duration"):
            read_offset(wrong)


def test_window() -> None:
    """A window holds the folders of the hours that it touches."""
    window = Window(time("14:20"), time("13:20"), time("14:20"))
    assert [window.holds(f"2020/01/01/{hour}") for hour in (12, 13, 14, 15)] == [False, True, True, False]
    moved = window.moved({"StartTimeOffset": "-PT1H", "EndTimeOffset": "-PT1H"})
    assert (moved.start, moved.end) == (time("12:20"), time("13:20"))


def test_timer() -> None:
    """What is due first is done first; what was removed is not done; a defect stops nothing else."""
    timer, over = Timer(), threading.Event()
    done: list[str] = []
    now = utc_now()

    def fail(_: datetime) -> None:
        done.append("fail")
        raise ValueError

    def end(when: datetime) -> None:
        done.append(str(when))
        over.set()

    timer.set("late", now + timedelta(seconds=0.2), end)
    timer.set("never", now + timedelta(seconds=0.1), lambda _: done.append("never"))
    timer.set("early", now + timedelta(seconds=0.05), fail)
    timer.remove("never")
    assert timer.next_of("late") == now + timedelta(seconds=0.2)
    assert over.wait(10)
    assert done == ["fail", str(now + timedelta(seconds=0.2))]
    assert timer.next_of("late") is None


@pytest.mark.parametrize(("when", "seconds"), [("NOW", 0), ("cron(0 * ? * * *)", 3600)])
def test_schedules_after_a_restart(when: str, seconds: int) -> None:
    """A schedule that a server left is on the next one's timer; a stopped one and one that has run once are not."""
    backend, timer = SageMakerModelBackend("us-east-1", "123456789012"), Timer()
    for name in ("due", "stopped", "done"):
        config = {"ScheduleConfig": {"ScheduleExpression": when}, "MonitoringJobDefinitionName": name}
        schedule = MonitoringSchedule(name, {"MonitoringScheduleName": name, "MonitoringScheduleConfig": config})
        schedule.change(waits_to_run_once=name == "due", status="Stopped" if name == "stopped" else "Scheduled")
        schedules_of(backend)[name] = pickle.loads(pickle.dumps(schedule))  # noqa: S301 - our own
    held = threading.Event()

    def hold(_: datetime) -> None:
        held.wait(10)

    timer.set("busy", utc_now(), hold)  # so that nothing runs while we look
    begun = utc_now()
    resume(backend, cast("RunningJobs", SimpleNamespace(timer=timer)))
    found = {name: timer.next_of(name) for name in ("due", "stopped", "done")}
    timer.clear()
    held.set()
    due = found["due"]
    assert due is not None
    assert timedelta() <= due - begun <= timedelta(seconds=seconds + 1)
    assert found["stopped"] is None
    assert (found["done"] is None) == (when == "NOW")


def profile(values: list[Any], name: str = "x") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the statistics and the suggested constraints of one column."""
    columns = columns_of([{name: value} for value in values])
    return statistics(columns, len(values))["features"][0], constraints(columns)["features"][0]


def test_numeric_statistics() -> None:
    """A numeric column has the documented figures, buckets that hold every value, and a sketch of all of them."""
    found, suggested = profile(["1", "2", None, "4", "5"])
    numeric = found["numerical_statistics"]
    buckets = numeric["distribution"]["kll"]["buckets"]
    assert (found["inferred_type"], numeric["common"]) == ("Integral", {"num_present": 4, "num_missing": 1})
    assert [numeric[field] for field in ("mean", "sum", "std_dev", "min", "max")] == [3.0, 12.0, math.sqrt(2.5), 1, 5]
    assert (len(buckets), sum(bucket["count"] for bucket in buckets)) == (10, 4)
    assert (buckets[0]["lower_bound"], buckets[-1]["upper_bound"]) == (1.0, 5.0)
    assert numeric["distribution"]["kll"]["sketch"]["data"] == [[1.0, 2.0, 4.0, 5.0]]
    assert suggested == {
        "name": "x",
        "inferred_type": "Integral",
        "completeness": 0.8,
        "num_constraints": {"is_non_negative": True},
    }


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2"], "Integral"),
        (["1", "2.5"], "Fractional"),
        ([1, 2.0], "Fractional"),
        (["1", "x"], "String"),
        (["nan"], "String"),
        ([None], "Unknown"),
    ],
)
def test_inferred_types(values: list[Any], kind: str) -> None:
    """A column's type is the narrowest that all its values have."""
    found, suggested = profile(values)
    assert (found["inferred_type"], suggested["inferred_type"]) == (kind, kind)


def test_text_statistics() -> None:
    """A column of text has counts of its values, and a domain when they are few and repeat."""
    found, suggested = profile(["a", "b", "a", "a"])
    assert found["string_statistics"] == {
        "common": {"num_present": 4, "num_missing": 0},
        "distinct_count": 2.0,
        "distribution": {"categorical": {"buckets": [{"value": "a", "count": 3}, {"value": "b", "count": 1}]}},
    }
    assert suggested["string_constraints"] == {"domains": ["a", "b"]}
    assert "string_constraints" not in profile(["a", "b", "c"])[1]


def found_in(now: list[Any], before: list[Any], config: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the kinds and descriptions of the violations of one column against an earlier state."""
    earlier = columns_of([{"x": value} for value in before])
    limits = constraints(earlier)
    limits["monitoring_config"]["distribution_constraints"] |= config
    found = violations(columns_of([{"x": value} for value in now]), limits, statistics(earlier, len(before)))
    return [(item["constraint_check_type"], item["description"]) for item in found]


def test_distances() -> None:
    """Drift is told beyond the threshold: by all values, by buckets when there are too many, less chance if Robust."""
    before = [str(number) for number in range(100)]
    shifted = [str(number + 20) for number in range(80)] + [str(number + 100) for number in range(20)]
    assert found_in(before, before, {}) == []
    ((kind, description),) = found_in(shifted, before, {})
    words = description.split()
    assert (kind, words[4:]) == ("baseline_drift_check", ["exceeds", "threshold:", "0.1"])
    assert float(words[3]) == pytest.approx(0.2)
    assert found_in(shifted, before, {"comparison_threshold": 0.21}) == []
    assert found_in(shifted, before, {"perform_comparison": "Disabled"}) == []
    # 0.2 - 1.358 * sqrt(200 / 10,000) = 0.008
    assert found_in(shifted, before, {"comparison_method": "Robust"}) == []
    many = [str(number) for number in range(3000)]
    ((kind, description),) = found_in([str(number + 600) for number in range(3000)], many, {})
    assert (kind, 0.19 < float(description.split()[3]) < 0.21) == ("baseline_drift_check", True)
    with pytest.raises(DatasetError, match="does not do the comparison_method Cosine"):
        found_in(before, before, {"comparison_method": "Cosine"})


def test_distance_of_texts() -> None:
    """Drift of text is the largest change of one value's share, and looked at when the constraints ask for it."""
    before, now = ["a", "a", "b", "b"], ["a", "a", "a", "b"]
    assert found_in(now, before, {}) == []
    assert found_in(now, before, {"categorical_comparison_threshold": 0.2}) == [
        ("baseline_drift_check", "Baseline drift distance: 0.25 exceeds threshold: 0.2")
    ]
    with pytest.raises(DatasetError, match="categorical_drift_method ChiSquared"):
        found_in(now, before, {"categorical_comparison_threshold": 0.2, "categorical_drift_method": "ChiSquared"})


def test_missing_column() -> None:
    """A column of the baseline that is not there is one violation of the dataset."""
    limits = constraints(columns_of([{"a": "1", "b": "2"}]))
    assert violations(columns_of([{"a": "1"}]), limits, None) == [
        {
            "feature_name": "Missing columns",
            "constraint_check_type": "missing_column_check",
            "description": "There are missing columns in current dataset. Number of columns in current dataset: 1, "
            "Number of columns in baseline constraints: 2",
        }
    ]
    limits["monitoring_config"]["evaluate_constraints"] = "Disabled"
    assert violations(columns_of([{"a": "1"}]), limits, None) == []


def test_types_of_values_and_overrides() -> None:
    """A share of values of another type is a violation below the threshold, which a feature may override."""
    limits = constraints(columns_of([{"x": "1.5"}]))
    now = columns_of([{"x": "1"}, {"x": "2.5"}, {"x": "y"}, {"x": "3"}])
    (found,) = violations(now, limits, None)
    assert found["description"] == (
        "Data type match requirement is not met. Expected data type: Fractional, Expected match: 100.0%. "
        "Observed: Only 75.0% of data is Fractional."
    )
    limits["features"][0]["monitoringConfigOverrides"] = {"datatype_check_threshold": 0.7}
    assert violations(now, limits, None) == []


def test_json_lines(tmp_path: Path) -> None:
    """Nested objects make columns of their own, null is missing, and what is no JSON is named."""
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": {"c": "x", "d": null}}\n\n{"a": 2.5, "e": true}\n')
    rows = read_rows(tmp_path, {"json": {"lines": True}}, [])
    assert rows == [{"a": 1, "b_c": "x", "b_d": None}, {"a": 2.5, "e": "true"}]
    (tmp_path / "a.jsonl").write_text("no json")
    with pytest.raises(DatasetError, match=r"a\.jsonl does not follow the format"):
        read_rows(tmp_path, {"json": {"line": "true"}}, [])
    with pytest.raises(DatasetError, match="does not read the format"):
        read_rows(tmp_path, {"json": {"line": False}}, [])


def test_csv_without_header(tmp_path: Path) -> None:
    """Columns without names get the baseline's if there are as many, else numbers."""
    (tmp_path / "a.csv").write_text("1,\n2,x\n")
    form = {"csv": {"header": ["false"]}}
    assert read_rows(tmp_path, form, ["p", "q"]) == [{"p": "1", "q": None}, {"p": "2", "q": "x"}]
    assert read_rows(tmp_path, form, []) == [{"_c0": "1", "_c1": None}, {"_c0": "2", "_c1": "x"}]
    (tmp_path / "a.csv").write_text("a,b,c\n1,2\n")
    with pytest.raises(DatasetError, match="a line has 2 fields, the header 3"):
        read_rows(tmp_path, {"csv": {"header": True}}, [])


def captured(data: str, encoding: str = "CSV", kind: str = "text/csv") -> dict[str, str]:
    """Return one side of a captured invocation."""
    return {"observedContentType": kind, "mode": "INPUT", "data": data, "encoding": encoding}


def test_captured_invocations(tmp_path: Path) -> None:
    """The output's columns stand before the input's; several records of an invocation make several rows."""
    file = tmp_path / "AllTraffic" / "2020" / "capture.jsonl"
    file.parent.mkdir(parents=True)
    encoded = base64.b64encode(b"7,8\n").decode()
    invocations = [
        {"endpointInput": captured("1,2\n3,4"), "endpointOutput": captured("0.5\n0.6\n")},
        {"endpointInput": captured(encoded, "BASE64"), "endpointOutput": captured("0.7")},
    ]
    lines = [json.dumps({"captureData": data, "eventVersion": "0"}) for data in invocations]
    file.write_text("\n".join(lines))
    form = {"sagemakerCaptureJson": {"captureIndexNames": ["endpointInput", "endpointOutput"]}}
    assert [list(row.values()) for row in read_rows(tmp_path, form, ["y", "a", "b"])] == [
        ["0.5", "1", "2"],
        ["0.6", "3", "4"],
        ["0.7", "7", "8"],
    ]
    sides = {"endpointInput": captured('{"a": 1}', "JSON"), "endpointOutput": captured('{"y": 2}', "JSON")}
    file.write_text(json.dumps({"captureData": sides}))
    assert read_rows(tmp_path, form, []) == [{"y": 2, "a": 1}]


def test_scripts_are_refused(tmp_path: Path) -> None:
    """What the analyzer does not run is refused before it reads anything."""
    with pytest.raises(DatasetError, match="does not run a record_preprocessor_script"):
        analyze({"record_preprocessor_script": "/a.py", "output_path": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
