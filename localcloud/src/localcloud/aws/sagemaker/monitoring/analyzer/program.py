"""The program of the analyzer's stand-in: what a monitoring or a baselining job runs.

Follows the container contract: `dataset_format`, `dataset_source`, `output_path`, `baseline_constraints` and
`baseline_statistics` are variables; statistics.json and constraints.json are written, and constraint_violations.json
when there are constraints to hold the data against. The exit message says how it went.

What it does not do: preprocessing and postprocessing scripts, CloudWatch metrics, Parquet. What is asked for and not
covered ends the job with a reason.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcloud.aws.sagemaker.monitoring.analyzer.datasets import DatasetError, read_rows
from localcloud.aws.sagemaker.monitoring.analyzer.profiles import columns_of, constraints, statistics
from localcloud.aws.sagemaker.monitoring.analyzer.violations import violations

_UNSUPPORTED = ("record_preprocessor_script", "post_analytics_processor_script")


def main() -> None:
    """Analyze, and leave the exit message in the file that the first argument names."""
    try:
        message, code = analyze(os.environ), 0
    except (DatasetError, OSError, ValueError, KeyError) as error:
        message, code = f"Error: {error}", 1
    sys.stdout.write(f"{message}\n")
    Path(sys.argv[1]).write_text(message, encoding="utf-8")
    sys.exit(code)


def analyze(variables: Mapping[str, str]) -> str:
    """Write the reports; return the exit message."""
    for name in _UNSUPPORTED:
        if variables.get(name):
            message = f"localcloud's analyzer does not run a {name}"
            raise DatasetError(message)
    baseline = _read(variables.get("baseline_constraints"))
    earlier = _read(variables.get("baseline_statistics"))
    names = [feature["name"] for feature in (baseline or {}).get("features", [])]
    rows = read_rows(Path(variables["dataset_source"]), json.loads(variables["dataset_format"]), names)
    if not rows:
        message = f"no records below {variables['dataset_source']}"
        raise DatasetError(message)
    columns = columns_of(rows)
    output = Path(variables["output_path"])
    _write(output / "statistics.json", statistics(columns, len(rows)))
    _write(output / "constraints.json", constraints(columns))
    if baseline is None:
        return "Completed: Job completed successfully with no violations."
    found = violations(columns, baseline, earlier)
    _write(output / "constraint_violations.json", {"violations": found})
    if found:
        return f"CompletedWithViolations: Job completed successfully with {len(found)} violations."
    return "Completed: Job completed successfully with no violations."


def _read(path: str | None) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else None


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
