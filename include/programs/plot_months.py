"""Draw each measured month: a processing job's program.

How it works: every ``*.json`` below ``--reports`` is a month's report as the monitoring wrote it; each becomes
``<month>.png``: the features' drift as bars against the customary bounds, and the performance beside them. The same
report gives the same bytes.

What it does not do: measure or judge anything; import anything of this project.
"""

# A job's log is what it prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")

# after the backend is chosen
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# of more features than fit on a page, those that moved most are drawn
_MOST_BARS = 40
# fewer bars leave room for the performance's lines
_LEAST_PLACES = 9
_LEAST_PSI = 5e-4
_BOUNDS = (0.1, 0.2)
_STABLE, _MOVING, _MOVED = "#5b8db8", "#e0a030", "#c8503c"
_INK, _FAINT = "#222222", "#777777"
# a longer list of reference months is abbreviated
_MOST_MONTHS = 4
_FIGURES = {
    "roc_auc": "ROC AUC",
    "skill": "skill",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    "base_rate": "base rate",
    "rmse": "RMSE",
    "mae": "MAE",
    "rows": "labelled rows",
}


class PlotError(Exception):
    """A report cannot be drawn; the message says which and what is wrong."""


def main(arguments: list[str]) -> None:
    """Draw every report."""
    parser = argparse.ArgumentParser(prog="plot_months.py", allow_abbrev=False)
    parser.add_argument("--reports", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        reports = read_reports(options.reports)
    except PlotError as error:
        sys.exit(f"plot_months: {error}")
    options.output.mkdir(parents=True, exist_ok=True)
    for month, report in sorted(reports.items()):
        path = options.output / f"{month}.png"
        draw(report, path)
        print(f"{month}: largest PSI {report['max_psi']:.3f} ({report['max_psi_feature']}), drawn to {path.name}")


def read_reports(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the reports below ``folder`` by month.

    Raises:
        PlotError: there is none, two are of the same month, or a file is no report.
    """
    reports: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*.json")):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            month, drift = report["month"], report["drift"]
        except (ValueError, KeyError, TypeError) as error:
            message = f"{path} is no report of a month: {type(error).__name__}: {error}"
            raise PlotError(message) from error
        if month in reports or not drift:
            message = (
                f"{path} is {'a second report of' if month in reports else 'a report without features of'} {month}"
            )
            raise PlotError(message)
        reports[month] = report
    if not reports:
        message = f"there is no report (*.json) below {folder}"
        raise PlotError(message)
    return reports


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw one month's report to the PNG file ``path``."""
    drift = sorted(report["drift"].items(), key=lambda item: (-item[1]["psi"], item[0]))
    shown = drift[:_MOST_BARS]
    height = 2.2 + 0.3 * max(len(shown), _LEAST_PLACES)
    figure = plt.figure(figsize=(12, height), dpi=110)
    bars = figure.add_axes((0.23, 0.75 / height, 0.29, 1 - 1.75 / height))
    side = figure.add_axes((0.77, 0.75 / height, 0.21, 1 - 1.75 / height))
    title = f"{report['model']} in {report['month']}"
    figure.text(0.02, 1 - 0.35 / height, title, fontsize=15, weight="bold", color=_INK)
    figure.text(0.02, 1 - 0.62 / height, _reference(report), fontsize=10, color=_FAINT)
    _draw_bars(bars, shown, len(drift) - len(shown))
    _write_performance(side, report)
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


def _reference(report: dict[str, Any]) -> str:
    months = sorted(report["reference_months"])
    listed = ", ".join(months) if len(months) <= _MOST_MONTHS else f"{months[0]} … {months[-1]} ({len(months)} months)"
    return f"{report['rows']:,} rows, compared with {listed}, the training months of version {report['model_version']}"


def _draw_bars(axes: Axes, drift: list[tuple[str, dict[str, Any]]], left_out: int) -> None:
    values = [each["psi"] for _, each in drift]
    places = range(len(drift))
    axes.barh(places, [max(each, _LEAST_PSI) for each in values], height=0.7, color=[_colour(each) for each in values])
    axes.set_xscale("log")
    greatest = max(1.0, *values) * 1.3
    axes.set_xlim(_LEAST_PSI, greatest)
    axes.set_ylim(max(len(drift), _LEAST_PLACES) - 0.4, -0.6)
    axes.set_yticks(places, [name for name, _ in drift], fontsize=9)
    axes.tick_params(axis="y", length=0)
    for bound in _BOUNDS:
        axes.axvline(bound, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.text(bound, -0.75, f"{bound:g}", fontsize=8, ha="center", va="bottom", color=_INK)
    ticks = [tick for tick in (0.001, 0.01, 0.1, 1, 10) if tick <= greatest]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
    axes.set_xticks([], minor=True)
    rest = f"; {left_out} features that moved less are left out" if left_out else ""
    axes.set_xlabel(f"population stability index, logarithmic{rest}", fontsize=9)
    for edge in ("top", "right", "left"):
        axes.spines[edge].set_visible(False)
    columns = [("PSI", 1.16, _INK), ("effect size", 1.38, _FAINT), ("missing, %", 1.62, _FAINT)]
    beside = axes.get_yaxis_transform()
    for name, right, colour in columns:
        axes.text(right, -0.75, name, fontsize=8, ha="right", va="bottom", transform=beside, color=colour)
    for place, (_, each) in zip(places, drift, strict=True):
        texts = (f"{each['psi']:.3f}", _effect(each), _missing(each))
        for (_, right, colour), text in zip(columns, texts, strict=True):
            axes.text(right, place, text, fontsize=9, ha="right", va="center", transform=beside, color=colour)


def _effect(drift: dict[str, Any]) -> str:
    """Return Cohen's d with its sign, or Cramér's V."""
    size = drift["effect_size"]
    if size is None:
        return "none"
    return (f"d {size:+.2f}" if drift["kind"] == "numeric" else f"V {size:.2f}").replace("-", "\N{MINUS SIGN}")


def _missing(drift: dict[str, Any]) -> str:
    """Return how the percentage of missing values changed, nothing where it did not."""
    before, after = (f"{100 * drift[key]:.0f}" for key in ("missing_reference", "missing_current"))
    return "" if before == after else f"{before} → {after}"


def _colour(psi: float) -> str:
    low, high = _BOUNDS
    return _STABLE if psi < low else _MOVING if psi < high else _MOVED


def _write_performance(axes: Axes, report: dict[str, Any]) -> None:
    axes.set_axis_off()
    # rows of text of a constant height, whatever the number of bars
    step = 0.3 / (axes.get_position().height * axes.figure.get_figheight())
    performance = report["performance"]
    if performance is None:
        lines = [("not scored, or no labels yet", "")]
        title = "performance"
    else:
        title = f"performance of version {report['scored_by']}"
        lines = [(_FIGURES[key], _figure(performance[key])) for key in _FIGURES if key in performance]
    axes.text(0, 1, title, fontsize=11, weight="bold", va="top", color=_INK, transform=axes.transAxes)
    for number, (name, value) in enumerate(lines, start=1):
        height = 1 - (number + 0.3) * step
        axes.text(0, height, name, fontsize=10, va="top", color=_FAINT, transform=axes.transAxes)
        axes.text(1, height, value, fontsize=10, va="top", ha="right", color=_INK, transform=axes.transAxes)


def _figure(value: float | None) -> str:
    if value is None:
        return "undefined"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"
    return text.replace("-", "\N{MINUS SIGN}")


if __name__ == "__main__":
    main(sys.argv[1:])
